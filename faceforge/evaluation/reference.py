"""Loads the evaluation reference: real images in a fixed order and a classifier trained on them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.config import EvaluateConfig
from faceforge.data.imageset.info import DatasetInfo
from faceforge.data.imageset.reader import ImageSet
from faceforge.data.ingest.split import MIN_IMAGES
from faceforge.errors import FaceForgeError
from faceforge.evaluation.diagnostics.copies import CopyDetector
from faceforge.evaluation.domain_classifier import DomainClassifier, train_classifier
from faceforge.evaluation.inception.reference_features import InceptionReference, open_inception_reference

LabelledPixels = tuple[NDArray[np.uint8], NDArray[np.int32]]  # images (N, H, W, C) and codes (N, columns)

COMPARED_AT_MOST = 10_000  # the cost of pairwise distances grows with the square


class EvaluationReference(NamedTuple):
    """Real images and their features, the same for every model; n = `compared` images of each kind are compared."""

    classifier: DomainClassifier
    vocabularies: dict[str, list[str]]  # label column -> classes, in the order of the labels' columns
    holdout: NDArray[np.uint8]  # (n, H, W, C)
    holdout_features: NDArray[np.float32]  # (n, D)
    holdout_labels: NDArray[np.int32]  # (N, columns): of all holdout images, the first n those of `holdout`
    train: NDArray[np.uint8]  # (n, H, W, C)
    train_features: NDArray[np.float32]  # (n, D)
    train_labels: NDArray[np.int32]  # (n, columns)
    all_train: NDArray[np.uint8]  # (T, H, W, C): every training image, for the search for copies
    all_train_labels: NDArray[np.int32]  # (T, columns)
    copies: CopyDetector  # of all training images and the n holdout images
    inception: InceptionReference | None = None  # features of the training images from the FID network
    notes: tuple[str, ...] = ()  # what is missing, and how to get it

    @property
    def compared(self) -> int:
        """Number of samples, holdout images and training images that are compared, each."""
        return len(self.holdout)


def prepare(images: ImageSet, folder: Path, config: EvaluateConfig, compared: int) -> EvaluationReference:
    """Loads the real images and trains the classifier, or reuses the one in `folder` if it fits data and settings."""
    train, holdout = images.load("train"), images.load("holdout")
    # Image sets may be ordered by class, so subsets are drawn in a random order.
    order = np.random.default_rng([config.seed, 1]).permutation(len(holdout[0]))
    chosen = np.random.default_rng([config.seed, 2]).permutation(len(train[0]))[:compared]
    compared_holdout, compared_train = holdout[0][order[:compared]], train[0][chosen]
    with ThreadPoolExecutor(1) as thread:
        # Neither training nor this preparation keeps all cores busy, and training calls no `map_blocks`, whose limit of
        # BLAS threads holds for the whole process.
        copies = thread.submit(CopyDetector, train[0], compared_holdout)
        classifier = _classifier(train, holdout, images.info, folder, config, compared)
    vocabularies = images.info.labels
    inception, notes = open_inception_reference(config.inception_weights, *train, vocabularies, config.seed)
    return EvaluationReference(
        classifier=classifier,
        vocabularies=vocabularies,
        holdout=compared_holdout,
        holdout_features=classifier.features(compared_holdout),
        holdout_labels=holdout[1][order],
        train=compared_train,
        train_features=classifier.features(compared_train),
        train_labels=train[1][chosen],
        all_train=train[0],
        all_train_labels=train[1],
        copies=copies.result(),
        inception=inception,
        notes=tuple(notes),
    )


def _classifier(
    train: LabelledPixels,
    holdout: LabelledPixels,
    info: DatasetInfo,
    folder: Path,
    config: EvaluateConfig,
    compared: int,
) -> DomainClassifier:
    """The classifier in `folder` if it fits data and settings, else a new one, which is saved there."""
    dimensions = 64 if compared >= 128 else 32  # a covariance of 64 features from fewer images would be noise
    facts: dict[str, Any] = {
        "digest": info.digest,
        "epochs": config.classifier_epochs,
        "seed": config.seed,
        "dimensions": dimensions,
    }
    classifier = DomainClassifier.load(folder, facts)
    outdated = classifier is not None and (
        classifier.training_features is None or (info.labels and not classifier.class_counts)
    )
    if classifier is None or outdated:  # outdated: saved by an older version
        classifier = train_classifier(
            train,
            holdout,
            info.labels,
            epochs=config.classifier_epochs,
            seed=config.seed,
            dimensions=dimensions,
            facts=facts,
        )
        classifier.save(folder)
    return classifier


def comparable(info: DatasetInfo, config: EvaluateConfig) -> int:
    """Number of images of each kind that can be compared.

    Raises:
        FaceForgeError: fewer than `MIN_IMAGES` of a kind.
    """
    available = {
        "holdout images": (info.counts["holdout"].total, "raise ingest.holdout or ingest more images"),
        "training images": (info.counts["train"].total, "ingest more images"),
        "samples": (config.samples, "raise evaluate.samples"),
    }
    for kind, (count, remedy) in available.items():
        if count < MIN_IMAGES:
            raise FaceForgeError(
                f"{count} {kind} are too few to evaluate on, at least {MIN_IMAGES} are needed; {remedy}"
            )
    return min(COMPARED_AT_MOST, *(count for count, _ in available.values()))
