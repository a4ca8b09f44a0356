"""Compares the two face detectors of ingest and evaluation: recall, and how steadily eyes lie in the cropped images.

    python benchmarks/face_detectors.py --model face_detection_yunet_2023mar.onnx --aligned CELEBA --photos FOLDER
    python benchmarks/face_detectors.py --model face_detection_yunet_2023mar.onnx --holdout IMAGE_SET --images 500

CELEBA is a folder of aligned CelebA images, in which the eyes are always in the same place, so that rotated copies have
known eyes too. The spread is the mean distance of the eyes from their mean position, in percent of the crop's edge.
IMAGE_SET is a folder that ingest wrote: of its holdout images, as they are, rotated by 30 degrees, and cut into eight
by eight blocks in random order, the share is measured in which `realism/detected` counts a face.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from faceforge.data.imageset.reader import ImageSet
from faceforge.data.preprocess.crop import Region, align_to_landmarks, square_around_box
from faceforge.data.preprocess.decode import RejectedError
from faceforge.data.preprocess.face_model import detect_landmarks
from faceforge.data.preprocess.faces import detect_face
from faceforge.evaluation.diagnostics.realism import has_face

_EYES = np.array([69.5 + 111.5j, 107.5 + 111.5j]) / 178  # of aligned CelebA images, in units of their width
_MARGIN = 0.25
_ANGLES = (0, 15, 30, 45)


def main() -> None:
    """Prints one line of JSON for each detector, kind of images and angle."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="YuNet as an ONNX file")
    parser.add_argument("--aligned", type=Path, help="folder of aligned CelebA images")
    parser.add_argument("--photos", type=Path, help="folder of other images with one face each; for recall only")
    parser.add_argument("--holdout", type=Path, help="image set, for the rate of the evaluation")
    parser.add_argument("--images", type=int, default=300, help="images of each folder")
    arguments = parser.parse_args()
    for angle in _ANGLES if arguments.aligned else ():
        for name in ("cascade", "face_model"):
            measured = _measure(name, arguments.model, _some(arguments.aligned, arguments.images), angle)
            print(json.dumps({"images": "aligned CelebA", "rotated": angle, "detector": name, **measured}), flush=True)
    for name in ("cascade", "face_model") if arguments.photos else ():
        measured = _measure(name, arguments.model, _some(arguments.photos, arguments.images), 0)
        shown = {key: measured[key] for key in ("recall", "milliseconds")}
        print(json.dumps({"images": arguments.photos.name, "rotated": 0, "detector": name, **shown}), flush=True)
    for name in ("cascade", "face_model") if arguments.holdout else ():
        rates = _rates(arguments.holdout, arguments.images, arguments.model if name == "face_model" else "")
        print(json.dumps({"images": "holdout", "detector": name, **rates}), flush=True)


def _rates(folder: Path, count: int, model: str) -> dict[str, float]:
    """Shares of images in which the evaluation counts a face."""
    random = np.random.default_rng(0)
    images = random.permutation(ImageSet.open(folder).load("holdout")[0])[:count]
    turned = np.stack([np.asarray(Image.fromarray(image).rotate(30, Image.Resampling.BICUBIC)) for image in images])
    edge = images.shape[1] // 8
    blocks = images.reshape(-1, 8, edge, 8, edge, 3).swapaxes(2, 3).reshape(-1, 64, edge, edge, 3)
    mixed = blocks[:, random.permutation(64)].reshape(-1, 8, 8, edge, edge, 3).swapaxes(2, 3).reshape(images.shape)
    kinds = {"as they are": images, "rotated": turned, "blocks in random order": mixed}
    return {kind: round(float(has_face(pixels, model).mean()), 3) for kind, pixels in kinds.items()}


def _some(folder: Path, count: int) -> list[Path]:
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    return files[:: max(len(files) // count, 1)][:count]


def _measure(name: str, model: str, files: list[Path], angle: float) -> dict[str, Any]:
    """Recall, processor time for an image, and the spread of the eyes for `crop=face` and `crop=landmarks`."""
    eyes: dict[str, list[Any]] = {"face": [], "landmarks": []}
    found, seconds = 0, 0.0
    for number, file in enumerate(files):
        turn = angle if number % 2 else -angle
        image = Image.open(file).convert("RGB").rotate(turn, Image.Resampling.BICUBIC)
        middle = complex(*image.size) / 2
        true = (_EYES * image.width - middle) * np.exp(-1j * math.radians(turn)) + middle
        began = time.process_time()
        try:
            box, points = detect_landmarks(image, model) if name == "face_model" else (detect_face(image), None)
        except RejectedError:
            continue
        finally:
            seconds += time.process_time() - began
        found += 1
        eyes["face"].append(_inside(true, square_around_box(box, image.size, _MARGIN)))
        if points:
            eyes["landmarks"].append(_inside(true, align_to_landmarks(points, image.size, _MARGIN)))
    return {
        "recall": round(found / len(files), 3),
        "milliseconds": round(1000 * seconds / len(files), 1),
        **{f"spread of {kind}": _spread(places) for kind, places in eyes.items() if places},
    }


def _inside(points: Any, region: Region) -> Any:
    """Points in units of the crop's edge."""
    return (points - complex(region.x, region.y)) * np.exp(-1j * region.angle) / region.edge


def _spread(places: list[Any]) -> float:
    positions = np.array(places)
    return round(float(100 * np.abs(positions - positions.mean(0)).mean()), 2)


if __name__ == "__main__":
    main()
