"""The classifier that says what an image shows."""

from __future__ import annotations

import json
from pathlib import Path

from faceforge.config import EvaluateConfig
from faceforge.data.imageset import ImageSet
from faceforge.errors import FaceForgeError
from faceforge.evaluation.domain import DomainClassifier, train_classifier

NO_CLASSIFIER = (
    "checking labels needs a classifier: name the real images that the model learnt from, or the output of its "
    "evaluation"
)


def find_classifier(kept: Path | None, data: ImageSet | None, work: Path) -> DomainClassifier:
    """The classifier that the model was judged with, or one trained here on real images.

    Args:
        kept: folder of the former; None = it is not at hand.
        data: the real images; None = there are none.
        work: where a trained one is kept for the next attempt.

    Raises:
        FaceForgeError: neither is to be had.
    """
    if kept is not None and (found := _load(kept)) is not None:
        return found
    if data is None:
        raise FaceForgeError(NO_CLASSIFIER)
    if (found := _load(work)) is not None:
        return found
    config = EvaluateConfig.model_validate({})
    trained = train_classifier(
        data.load("train"),
        data.load("holdout"),
        data.info.labels,
        epochs=config.classifier_epochs,
        seed=config.seed,
        facts={"digest": data.info.digest, "epochs": config.classifier_epochs, "seed": config.seed},
    )
    trained.save(work)
    return trained


def classifier_of(model: str) -> DomainClassifier | None:
    """The classifier kept with a version `models:/NAME/VERSION`; None if there is none, or another kind of model.

    MLflow must have been told where the registry is.
    """
    if not model.startswith("models:"):
        return None
    from tempfile import TemporaryDirectory

    from faceforge.tracking.versions import download_version

    with TemporaryDirectory() as scratch:
        return _load(download_version(model, Path(scratch)) / "classifier")


def _load(folder: Path) -> DomainClassifier | None:
    """The classifier in a folder, whatever it was trained from; None if there is no readable one."""
    try:
        facts = json.loads((folder / "classifier.json").read_text())["facts"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return DomainClassifier.load(folder, facts)
