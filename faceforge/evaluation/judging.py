"""The metrics of one model, against real images and a classifier that are the same for every model judged."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.config import EvaluateConfig
from faceforge.data.sheet import image_grid
from faceforge.evaluation.discriminator import discriminator_metrics
from faceforge.evaluation.domain import DomainClassifier
from faceforge.evaluation.frechet import frechet_from_features
from faceforge.evaluation.precision_recall import overlap
from faceforge.models.bundle import Bundle
from faceforge.models.sampling import draw_latents, label_combinations

SHEET_ROWS, SHEET_COLUMNS = 16, 10


class Yardstick(NamedTuple):
    """What models are judged against: n = `compared` images of each kind, in the order in which they are used."""

    classifier: DomainClassifier
    vocabularies: dict[str, list[str]]  # label column -> classes, in the order of the labels' columns
    holdout: NDArray[np.uint8]  # (n, H, W, C)
    holdout_features: NDArray[np.float32]  # (n, D)
    holdout_labels: NDArray[np.int32]  # (N, columns): of all holdout images, the first n those of `holdout`
    train: NDArray[np.uint8]  # (n, H, W, C)
    train_labels: NDArray[np.int32]  # (n, columns)

    @property
    def compared(self) -> int:
        """How many samples, holdout and training images are compared, each."""
        return len(self.holdout)


def judge(bundle: Bundle, yardstick: Yardstick, config: EvaluateConfig) -> dict[str, float]:
    """The metrics of one model; the same latents, labels and real images for every model."""
    columns = [list(yardstick.vocabularies).index(column) for column in bundle.info.labels]
    n, total = yardstick.compared, len(yardstick.holdout_labels)
    # Samples ask for the labels of the holdout images, so that class shares are no difference between the two.
    labels = yardstick.holdout_labels[np.arange(config.samples) % total][:, columns]
    samples = bundle.generate(draw_latents(config.seed, config.samples, bundle.info.spec.latent_size), labels)
    metrics = _likeness(yardstick.holdout_features, yardstick.classifier.features(samples[:n]))
    if columns:
        agreement = (yardstick.classifier.predict(samples)[:, columns] == labels).mean(axis=0)
        for column, share in zip(bundle.info.labels, agreement, strict=True):
            metrics[f"domain/label_agreement_{column}"] = float(share)
        real = [yardstick.classifier.holdout_accuracy[column] for column in bundle.info.labels]
        metrics["domain/label_agreement"] = float(agreement.mean())
        metrics["domain/real_label_accuracy"] = float(np.mean(real))

    def scored(images: NDArray[np.uint8], codes: NDArray[np.int32]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        return bundle.logits(images, codes), codes

    return metrics | discriminator_metrics(
        bundle.info.loss,
        train=scored(yardstick.train, yardstick.train_labels[:, columns]),
        holdout=scored(yardstick.holdout, yardstick.holdout_labels[:n, columns]),
        fake=scored(samples[:n], labels[:n]),
    )


def sample_sheet(bundle: Bundle, seed: int) -> NDArray[np.uint8]:
    """A grid of samples: a row per combination of classes (the first `SHEET_ROWS`), the same latents in every row."""
    combinations = label_combinations(bundle.info.labels)[:SHEET_ROWS]
    rows = len(combinations) if bundle.info.labels else SHEET_COLUMNS // 2
    latents = draw_latents(seed, SHEET_COLUMNS * (1 if bundle.info.labels else rows), bundle.info.spec.latent_size)
    if bundle.info.labels:
        latents = np.tile(latents, (rows, 1))
    labels = np.repeat(combinations, len(latents) // len(combinations), axis=0)
    return image_grid(bundle.generate(latents, labels), columns=SHEET_COLUMNS, pad=1)


def real_against_real(yardstick: Yardstick) -> dict[str, float]:
    """The measures of likeness with training images in place of samples."""
    likeness = _likeness(yardstick.holdout_features, yardstick.classifier.features(yardstick.train))
    return {f"{name}_floor": value for name, value in likeness.items()}


def _likeness(real: NDArray[np.float32], fake: NDArray[np.float32]) -> dict[str, float]:
    near, wide = overlap(real, fake, k=3), overlap(real, fake, k=5)
    return {
        "domain/frechet": frechet_from_features(real, fake),
        "domain/precision": near.precision,
        "domain/recall": near.recall,
        "domain/density": wide.density,
        "domain/coverage": wide.coverage,
    }
