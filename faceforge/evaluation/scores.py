"""The metrics of one model, against real images and a classifier that are the same for every model judged."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.config import EvaluateConfig
from faceforge.evaluation.diagnostics.discriminator import discriminator_metrics
from faceforge.evaluation.metrics.comparison import Evidence
from faceforge.evaluation.metrics.frechet import frechet_from_features
from faceforge.evaluation.metrics.precision_recall import overlap, recalled
from faceforge.evaluation.reference import Yardstick
from faceforge.inference.calibration import Scored
from faceforge.models.bundle import Bundle
from faceforge.models.sampling import draw_latents


class Judged(NamedTuple):
    """One model's numbers, and what they were made of; S = `evaluate.samples`, n = how many are compared."""

    metrics: dict[str, float]
    evidence: Evidence
    samples: NDArray[np.uint8]  # (S, H, W, C), the first n of them compared
    labels: NDArray[np.int32]  # (S, columns of the set), what was asked for; those the model does not take included
    columns: tuple[str, ...]  # which of them the model takes
    seen: NDArray[np.int32]  # (S, columns of the set), what the classifier sees; (S, 0) if it knows no labels
    scored: dict[str, Scored]  # logits of its own discriminator and labels: training images, holdout images, samples


def judge(bundle: Bundle, yardstick: Yardstick, config: EvaluateConfig) -> Judged:
    """Draws samples and measures them; the same latents, labels and real images for every model."""
    names = tuple(bundle.info.labels)
    columns = [list(yardstick.vocabularies).index(name) for name in names]
    n, total = yardstick.compared, len(yardstick.holdout_labels)
    # Samples ask for the labels of the holdout images, so that class shares are no difference between the two.
    labels = yardstick.holdout_labels[np.arange(config.samples) % total]
    samples = bundle.generate(
        draw_latents(config.seed, config.samples, bundle.info.spec.latent_size), labels[:, columns]
    )
    features, seen = yardstick.classifier.features(samples[:n]), yardstick.classifier.predict(samples)
    metrics = _likeness(yardstick.holdout_features, features)
    right = seen[:, columns] == labels[:, columns]
    if columns:
        for name, share in zip(names, right.mean(axis=0), strict=True):
            metrics[f"domain/label_agreement_{name}"] = float(share)
        real = [yardstick.classifier.holdout_accuracy[name] for name in names]
        metrics["domain/label_agreement"] = float(right.mean())
        metrics["domain/real_label_accuracy"] = float(np.mean(real))
    scored: dict[str, Scored] = {
        "training images": (bundle.logits(yardstick.train, codes := yardstick.train_labels[:, columns]), codes),
        "holdout images": (bundle.logits(yardstick.holdout, codes := labels[:n, columns]), codes),
        "samples": (bundle.logits(samples[:n], labels[:n, columns]), labels[:n, columns]),
    }
    metrics |= discriminator_metrics(bundle.info.loss, *scored.values())
    if yardstick.reference is not None:
        metrics |= yardstick.reference.metrics(samples, labels, names, config.seed)
    finite = bool(np.isfinite(features).all())
    mask = recalled(yardstick.holdout_features, features, k=3) if finite else np.zeros(n, bool)
    return Judged(
        metrics=metrics,
        evidence=Evidence(features, mask, right.mean(axis=1) if columns else np.zeros(0)),
        samples=samples,
        labels=labels,
        columns=names,
        seen=seen,
        scored=scored,
    )


def real_against_real(yardstick: Yardstick) -> dict[str, float]:
    """The measures of likeness with training images in place of samples."""
    likeness = _likeness(yardstick.holdout_features, yardstick.train_features)
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
