"""The step `augment`: image set -> image set with an enlarged training split."""

from __future__ import annotations

from pathlib import Path

from faceforge.config import resolve
from faceforge.data.imageset.reader import ImageSet
from faceforge.steps.log_data import log_image_set
from faceforge.steps.tracked import Tracking, maybe_tracked


def run_augment(*, data: Path, preset: str, settings: str, out: Path, tracking: Tracking | None) -> ImageSet:
    """Enlarges the training split of an image set; see `faceforge.data.augment`."""
    from faceforge.data.augment import augment_image_set

    config = resolve(preset, settings)
    with maybe_tracked("augment", tracking) as run:
        images = augment_image_set(data, out, config.augment, config.train.seed)
        if run is not None:
            run.log_params(config.augment.model_dump(mode="json"))
            log_image_set(run, images)
    return images
