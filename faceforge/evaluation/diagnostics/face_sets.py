"""Compares two sets of photographs of faces in an independent face embedding, without the FID network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from faceforge.evaluation.diagnostics.faces import distances, face_embeddings, matches, require_faces
from faceforge.evaluation.inception.fid import Comparison, Part
from faceforge.evaluation.inception.image_inputs import open_images

AT_MOST = 1000  # images of each set: an embedding takes some 40 ms of one core
_EDGE = 150  # pixels of the network's input


def compare_face_sets(real: str, fake: str, seed: int = 0) -> Comparison:
    """The metrics `face/mmd`, `precision`, `recall` and `identity_match` of two sets of images.

    `identity_match` is the share of images of `fake` that show the same person as an image of `real`.

    Args:
        real: the reference set; see `open_images`. Images should show one upright face each.
        fake: the evaluated set.
        seed: chooses the images if a set has more than `AT_MOST`.

    Raises:
        FaceForgeError: the packages are not installed, a set is absent or too small, or the reference shows no faces.
    """
    sides = [open_images(spec).sample(AT_MOST, seed) for spec in (real, fake)]
    chips = [np.stack([_chip(image) for image in side]) if side.count else np.empty(0, np.uint8) for side in sides]
    require_faces(chips[0], min(map(len, chips)))
    embeddings = [face_embeddings(images) for images in chips]
    metrics = distances(*embeddings) | {"face/identity_match": matches(embeddings[1], embeddings[0])}
    first, second = (Part(side.name, len(images), len(side.skipped)) for side, images in zip(sides, chips, strict=True))
    notes = [f"{side.name}: {len(side.skipped)} images skipped" for side in sides if side.skipped]
    return Comparison(metrics, first, second, weights="", precision="float32", notes=notes)


def _chip(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The central square of an image uint8 (H, W, 3) as uint8 (150, 150, 3)."""
    import cv2

    height, width = image.shape[:2]
    edge = min(height, width)
    top, left = (height - edge) // 2, (width - edge) // 2
    way = cv2.INTER_AREA if edge > _EDGE else cv2.INTER_CUBIC
    chip = cv2.resize(image[top : top + edge, left : left + edge], (_EDGE, _EDGE), interpolation=way)
    return np.asarray(chip, np.uint8)
