"""The metrics of one model, computed against real images and a classifier that are the same for every model."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.config import EvaluateConfig
from faceforge.evaluation.diagnostics.discriminator import discriminator_metrics
from faceforge.evaluation.metrics.comparison import Evidence
from faceforge.evaluation.metrics.frechet import frechet_from_features
from faceforge.evaluation.metrics.precision_recall import overlaps, recalled_images
from faceforge.evaluation.reference import EvaluationReference
from faceforge.inference.calibration import LabelledLogits
from faceforge.models.bundle import Bundle
from faceforge.models.sampling import draw_latents


class ModelScores(NamedTuple):
    """Metrics of one model and the samples behind them; S = `evaluate.samples`, n of them are compared.

    Attributes:
        metrics: by name.
        evidence: what the intervals are computed from.
        samples: uint8 (S, H, W, C); the first n are compared with the holdout.
        labels: requested labels int32 (S, columns of the image set), including columns the model does not use.
        columns: the label columns that the model uses.
        predicted: labels predicted by the classifier, int32 (S, columns of the image set); (S, 0) without labels.
        logits: of the model's own discriminator, with labels: training images, holdout images, samples; empty for a
            release bundle, which has no discriminator.
    """

    metrics: dict[str, float]
    evidence: Evidence
    samples: NDArray[np.uint8]
    labels: NDArray[np.int32]
    columns: tuple[str, ...]
    predicted: NDArray[np.int32]
    logits: dict[str, LabelledLogits]


def score_model(bundle: Bundle, reference: EvaluationReference, config: EvaluateConfig) -> ModelScores:
    """Generates samples and computes their metrics, with the same latents, labels and real images for every model."""
    names = tuple(bundle.info.labels)
    columns = [list(reference.vocabularies).index(name) for name in names]
    n, total = reference.compared, len(reference.holdout_labels)
    # Samples are requested with the labels of the holdout images, so that class frequencies do not differ.
    labels = reference.holdout_labels[np.arange(config.samples) % total]
    samples = bundle.generate(
        draw_latents(config.seed, config.samples, bundle.info.spec.latent_size), labels[:, columns]
    )
    features, predicted = reference.classifier.features(samples[:n]), reference.classifier.predict(samples)
    metrics = _distribution_metrics(reference.holdout_features, features)
    correct = predicted[:, columns] == labels[:, columns]
    if columns:
        for name, share in zip(names, correct.mean(axis=0), strict=True):
            metrics[f"domain/label_agreement_{name}"] = float(share)
        real = [reference.classifier.holdout_accuracy[name] for name in names]
        metrics["domain/label_agreement"] = float(correct.mean())
        metrics["domain/real_label_accuracy"] = float(np.mean(real))
    logits: dict[str, LabelledLogits] = {}
    if bundle.discriminator is not None:  # a registered champion is a release bundle without one
        logits = {
            "training images": (bundle.logits(reference.train, codes := reference.train_labels[:, columns]), codes),
            "holdout images": (bundle.logits(reference.holdout, codes := labels[:n, columns]), codes),
            "samples": (bundle.logits(samples[:n], labels[:n, columns]), labels[:n, columns]),
        }
        metrics |= discriminator_metrics(bundle.info.loss, *logits.values())
    if reference.inception is not None:
        metrics |= reference.inception.metrics(samples, labels, names, config.seed)
    finite = bool(np.isfinite(features).all())
    mask = recalled_images(reference.holdout_features, features, k=3) if finite else np.zeros(n, bool)
    return ModelScores(
        metrics=metrics,
        evidence=Evidence(features, mask, correct.mean(axis=1) if columns else np.zeros(0)),
        samples=samples,
        labels=labels,
        columns=names,
        predicted=predicted,
        logits=logits,
    )


def real_against_real(reference: EvaluationReference) -> dict[str, float]:
    """The distribution metrics of training images in place of samples, as `..._floor`."""
    metrics = _distribution_metrics(reference.holdout_features, reference.train_features)
    return {f"{name}_floor": value for name, value in metrics.items()}


def _distribution_metrics(real: NDArray[np.float32], fake: NDArray[np.float32]) -> dict[str, float]:
    near, wide = overlaps(real, fake, (3, 5))
    return {
        "domain/frechet": frechet_from_features(real, fake),
        "domain/precision": near.precision,
        "domain/recall": near.recall,
        "domain/density": wide.density,
        "domain/coverage": wide.coverage,
    }
