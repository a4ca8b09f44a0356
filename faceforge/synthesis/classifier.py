"""The classifier that checks the labels of generated images."""

from __future__ import annotations

from pathlib import Path

from faceforge.config import EvaluateConfig
from faceforge.data.imageset.reader import ImageSet
from faceforge.errors import FaceForgeError
from faceforge.evaluation.domain_classifier import DomainClassifier, train_classifier
from faceforge.evaluation.saved_classifier import load_classifier

NO_CLASSIFIER = (
    "checking labels needs a classifier: name the image set the model was trained on (--data), or the output of its "
    "evaluation (--report)"
)
OLD_CLASSIFIER = (
    "the classifier of the model's evaluation was saved by an older version, without the class frequencies that "
    "checking labels needs; evaluate the model again, or name the image set it was trained on (--data)"
)


def find_classifier(saved: Path | None, data: ImageSet | None, work: Path) -> DomainClassifier:
    """The classifier used in the model's evaluation, or one trained here on real images.

    Args:
        saved: folder of the former; None = not available.
        data: the real images; None = not available.
        work: folder where a newly trained classifier is saved for the next attempt.

    Raises:
        FaceForgeError: neither is available.
    """
    old = False
    if saved is not None and (classifier := load_classifier(saved)) is not None:
        old = not classifier.class_counts  # a version that did not save the frequencies of classes
        if not old:
            return classifier
    if data is None:
        raise FaceForgeError(OLD_CLASSIFIER if old else NO_CLASSIFIER)
    if (classifier := load_classifier(work)) is not None:
        return classifier
    config = EvaluateConfig.model_validate({})
    classifier = train_classifier(
        data.load("train"),
        data.load("holdout"),
        data.info.labels,
        epochs=config.classifier_epochs,
        seed=config.seed,
        facts={"digest": data.info.digest, "epochs": config.classifier_epochs, "seed": config.seed},
    )
    classifier.save(work)
    return classifier
