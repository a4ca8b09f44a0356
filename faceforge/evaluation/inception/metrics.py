"""Metrics between real images and samples in the features of the FID network.

Each metric needs a least number of images (`MINIMA`) and is left out if there are fewer.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from faceforge.evaluation.inception.extractor import Inception
from faceforge.evaluation.inception.feature_statistics import FeatureStatistics
from faceforge.evaluation.metrics.extrapolation import MIN_SAMPLES as MIN_EXTRAPOLATED
from faceforge.evaluation.metrics.extrapolation import frechet_infinity
from faceforge.evaluation.metrics.frechet import frechet_distance
from faceforge.evaluation.metrics.inception_score import inception_score
from faceforge.evaluation.metrics.kernel import kernel_distance
from faceforge.evaluation.metrics.precision_recall import overlaps

Measure = Literal["fid", "fid_infinity", "kid", "overlap", "inception_score"]
ToLogits = Callable[[NDArray[np.float32]], NDArray[np.float32]]
MEASURES: tuple[Measure, ...] = ("fid", "fid_infinity", "kid", "overlap", "inception_score")
# Name of each measure for people, its first metric, and the least number of images of each kind.
LABELS: dict[Measure, str] = {
    "fid": "FID",
    "fid_infinity": "FID at infinity",
    "kid": "KID",
    "overlap": "precision and recall",
    "inception_score": "Inception score",
}
FIRST_NAME: dict[Measure, str] = {**{name: name for name in MEASURES}, "overlap": "precision"}
PER_CLASS: tuple[Measure, ...] = ("fid", "kid", "overlap")
MIN_FID = 2048  # of each kind: with fewer, the covariance of 2,048 features is not even of full rank
MIN_PAIRED = 100  # of each kind, for measures that do not need the covariance
MINIMA: dict[Measure, int] = {
    "fid": MIN_FID,
    "fid_infinity": MIN_EXTRAPOLATED,
    "kid": MIN_PAIRED,
    "overlap": MIN_PAIRED,
    "inception_score": MIN_FID,
}

DESCRIPTIONS = {
    "inception.../fid": "Frechet Inception distance: features of the 2015 Inception network after TF1 resizing, float64"
    f" statistics; lower is better; at least {MIN_FID:,} images of each kind; falls as their number grows",
    "inception.../fid_infinity": "FID extrapolated to infinitely many samples, from all samples and random halves; at"
    f" least {MIN_EXTRAPOLATED:,} samples",
    "inception.../fid_infinity_error": "standard error of that extrapolation",
    "inception.../kid": "kernel Inception distance, cubic kernel, unbiased: mean over 100 subsets of 1,000 or all",
    "inception.../kid_std": "its standard deviation over the subsets",
    "inception.../precision": "share of samples within the k-nearest-neighbour balls of the real images, k = 3",
    "inception.../recall": "share of real images within the k-nearest-neighbour balls of the samples, k = 3",
    "inception.../density": "mean number of real balls that contain a sample, divided by k = 5; about 1 for real"
    " images",
    "inception.../coverage": "share of real images with a sample in their ball, k = 5",
    "inception.../inception_score": "for comparison with old papers only; hardly informative about faces",
    "inception.../inception_score_std": "its standard deviation over 10 splits",
    "inception.../..._class_...": "the same measure, real images and samples of one class only",
}


def inception_metrics(
    network: Inception,
    real: NDArray[np.float32],
    fake: NDArray[np.float32],
    *,
    real_labels: NDArray[np.integer] | None = None,
    fake_labels: NDArray[np.integer] | None = None,
    vocabularies: Mapping[str, Sequence[str]] | None = None,
    seed: int = 0,
    minima: Mapping[Measure, int] = MINIMA,
) -> dict[str, float]:
    """All metrics in Inception features, also per class; see `DESCRIPTIONS`.

    Args:
        network: `Inception.load(...)`. Without the published weights, the names begin with `inception_unverified/`.
        real: `network.features` of real images, (N, 2048). FID's custom is the whole training set.
        fake: of samples, (M, 2048).
        real_labels, fake_labels: codes (N, columns) and (M, columns); None = no measures per class.
        vocabularies: label column -> classes, in the order of the columns of the labels.
        seed: random seed of subsets.
        minima: least number of images of each kind per measure.
    """
    metrics = measure(FeatureStatistics.of(real), FeatureStatistics.of(fake), MEASURES, network.logits, seed, minima)
    if real_labels is not None and fake_labels is not None:
        for name, of_real, of_fake in _classes(real_labels, fake_labels, vocabularies or {}):
            if of_real.any() and of_fake.any():
                parts = FeatureStatistics.of(real[of_real]), FeatureStatistics.of(fake[of_fake])
                of_class = measure(*parts, PER_CLASS, None, seed, minima)
                metrics |= {f"{metric}_class_{name}": value for metric, value in of_class.items()}
    return {f"{network.space}/{name}": value for name, value in metrics.items()}


def measure(
    real: FeatureStatistics,
    fake: FeatureStatistics,
    measures: Collection[Measure],
    to_logits: ToLogits | None,
    seed: int = 0,
    minima: Mapping[Measure, int] = MINIMA,
) -> dict[str, float]:
    """Computes measures, named without the feature space in front; those with too few images are left out.

    Args:
        real, fake: statistics of features.
        measures: of `MEASURES`.
        to_logits: `Inception.logits`; None = no Inception score.
        seed: random seed of subsets.
        minima: least number of images of each kind per measure.
    """
    counts = [part.gaussian.count or sys.maxsize for part in (real, fake)]  # 0 = unknown, from other programs' files
    rows = min(len(real.rows), len(fake.rows))
    metrics: dict[str, float] = {}
    if "fid" in measures and min(counts) >= minima["fid"]:
        first, second = real.gaussian, fake.gaussian
        metrics["fid"] = frechet_distance(first.mean, first.covariance, second.mean, second.covariance)
    if "fid_infinity" in measures and len(fake.rows) >= minima["fid_infinity"] and min(counts) >= minima["fid"]:
        metrics["fid_infinity"], metrics["fid_infinity_error"] = frechet_infinity(real.gaussian, fake.rows, seed)
    if "kid" in measures and rows >= minima["kid"]:
        metrics["kid"], metrics["kid_std"] = kernel_distance(real.rows, fake.rows, seed)
    if "overlap" in measures and rows >= minima["overlap"]:
        near, wide = overlaps(real.rows, fake.rows, (3, 5))
        metrics |= {"precision": near.precision, "recall": near.recall}
        metrics |= {"density": wide.density, "coverage": wide.coverage}
    if "inception_score" in measures and to_logits is not None and len(fake.rows) >= minima["inception_score"]:
        metrics["inception_score"], metrics["inception_score_std"] = inception_score(to_logits(fake.rows), seed=seed)
    return metrics


def _classes(
    real: NDArray[np.integer], fake: NDArray[np.integer], vocabularies: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, NDArray[np.bool_], NDArray[np.bool_]]]:
    """Per class: `column_class`, cleaned for use in a metric name, and the rows of that class on both sides."""
    for place, (column, classes) in enumerate(vocabularies.items()):
        for code, name in enumerate(classes):
            readable = re.sub(r"[^\w. -]", "_", f"{column}_{name}")
            yield readable, real[:, place] == code, fake[:, place] == code
