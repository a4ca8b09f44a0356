"""The image sets of a search: a validation split is carved from the training images, the holdout is not touched.

Search and holdout never meet: trials train on the rest of the training images and are scored on the validation split.
The holdout is only used to report the result.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from faceforge.config import AugmentConfig
from faceforge.data.augment import augment_image_set
from faceforge.data.imageset.info import INFO_FILE, Split
from faceforge.data.imageset.reader import ImageSet
from faceforge.data.imageset.writer import ImageSetWriter
from faceforge.data.pixels import encode, from_bytes
from faceforge.errors import FaceForgeError
from faceforge.evaluation.reference import MIN_IMAGES
from faceforge.files import atomic_folder

SHARE = 0.15  # of the training images, for validation


def carve_validation(images: ImageSet, out: Path) -> ImageSet:
    """Writes an image set whose `holdout` is a validation split of the given set's training images.

    Images are chosen by their content, so that the split does not change when the search is repeated. A complete result
    of an earlier call is reused.

    Args:
        images: the image set, as ingest wrote it.
        out: folder of the new image set.

    Raises:
        FaceForgeError: the set was augmented, which would put copies of validation images into training, or it is
            too small.
    """
    if images.info.parent_digest not in ("", images.info.digest):
        raise FaceForgeError(
            f"{images.root} was made from another image set; give the one that `faceforge ingest` wrote, "
            "trials augment it themselves"
        )
    if (out / INFO_FILE).is_file() and ImageSet.open(out).info.parent_digest == images.info.digest:
        return ImageSet.open(out)
    info = images.info
    total = info.counts["train"].total
    if total < 4 * MIN_IMAGES:
        raise FaceForgeError(f"{total} training images are too few for a search; at least {4 * MIN_IMAGES} are needed")
    share = max(SHARE, 1.25 * MIN_IMAGES / total)  # a quarter more, since the number is random
    with atomic_folder(out) as partial:
        writer = ImageSetWriter.like(info, partial)
        for record in images.records("train"):
            split: Split = "holdout" if _position(record.sha256) < share else "train"
            image = encode(from_bytes(record.image, info.channels), record.image)
            writer.add(split, image, record.path, record.labels, record.source)
        writer.finish(parent_digest=info.digest)
    return ImageSet.open(out)


def augmented(search: ImageSet, config: AugmentConfig, seed: int, folder: Path) -> Path:
    """The search set augmented by a configuration; a complete result of an earlier call is reused."""
    settings = json.dumps([config.model_dump(mode="json"), seed, search.info.digest], sort_keys=True)
    out = folder / hashlib.sha256(settings.encode()).hexdigest()[:12]
    if not (out / INFO_FILE).is_file():
        augment_image_set(search.root, out, config, seed)
    return out


def _position(sha256: str) -> float:
    """A number in [0, 1) that depends on an image's content only, and not on ingest's choice of the holdout."""
    return int(hashlib.sha256(f"validation {sha256}".encode()).hexdigest()[:13], 16) / 16**13
