"""The classifier that says what an image shows."""

from __future__ import annotations

from pathlib import Path

from faceforge.config import EvaluateConfig
from faceforge.data.imageset.reader import ImageSet
from faceforge.errors import FaceForgeError
from faceforge.evaluation.domain_classifier import DomainClassifier, train_classifier
from faceforge.evaluation.saved_classifier import load_classifier

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
    if kept is not None and (found := load_classifier(kept)) is not None:
        return found
    if data is None:
        raise FaceForgeError(NO_CLASSIFIER)
    if (found := load_classifier(work)) is not None:
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
