"""Measures the very images of a synthetic set: label agreement, distance, copies, repeats, diversity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.data.imageset.reader import ImageSet
from faceforge.data.pixels import from_bytes
from faceforge.evaluation.diagnostics.holdout_distances import holdout_distances
from faceforge.evaluation.domain_classifier import DomainClassifier
from faceforge.synthesis.checks import COPY_QUANTILE
from faceforge.synthesis.copies import nearest_distance, thumbnails

MEASURED_AT_MOST = 2048  # images that the classifier sees, chosen at random
MIN_OF_CLASS = 10  # images of a combination of classes, below which its diversity is not known

LABEL_AGREEMENT, REAL_ACCURACY = "synthetic/label_agreement", "synthetic/real_label_accuracy"
DISTANCE, REAL_DISTANCE = "synthetic/distance", "synthetic/distance_real"
COPIES, REPEATS = "synthetic/copies", "synthetic/repeats"
DCR_SHARE, NNDR_TRAIN, NNDR_HOLDOUT = "synthetic/dcr_share", "synthetic/nndr_train", "synthetic/nndr_holdout"
DIVERSITY, LOWEST_DIVERSITY = "synthetic/diversity", "synthetic/diversity_lowest"

DESCRIPTIONS = {
    LABEL_AGREEMENT: "share of the images for which the classifier of the model's evaluation predicts all labels,"
    " corrected for class frequencies",
    REAL_ACCURACY: "the same share for real holdout images of the same classes, mean over label columns: the most to"
    " expect",
    DISTANCE: "Frechet distance between the features of this classifier on the images and on the real training images,"
    " less what chance gives, in units of the variance of the latter",
    REAL_DISTANCE: "the same for real holdout images",
    COPIES: "share of the images that are closer to a training image, or its mirror image, than 99 % of the real"
    " holdout images are (thumbnails of 16 x 16 pixels); 1 % is what unseen real images give",
    DCR_SHARE: "share of the images that are closer to a training image than to any holdout image, equal numbers of"
    " both (thumbnails); 0.5 = nothing memorised, 1 = all are closer to a training image (DCR share)",
    NNDR_TRAIN: "mean over the images of distance to the nearest training image / distance to the second nearest"
    f" (thumbnails); clearly below {NNDR_HOLDOUT} = images single out training images (NNDR)",
    NNDR_HOLDOUT: "the same to holdout images, which the model was not trained on",
    REPEATS: "share of the images whose pixels another image of the set has",
    DIVERSITY: "root mean square distance between the images of a combination of classes (thumbnails), divided by that"
    " between real training images of the same classes; mean over the combinations",
    LOWEST_DIVERSITY: "the same, of the combination with the lowest",
}


class SetMeasures(NamedTuple):
    """Metrics of a synthetic set.

    Attributes:
        metrics: finite numbers by name; see `DESCRIPTIONS`. What cannot be measured is left out.
        notes: why, one sentence each.
    """

    metrics: dict[str, float]
    notes: list[str]


def measure_set(
    images: ImageSet, data: ImageSet | None, classifier: DomainClassifier | None, seed: int = 0
) -> SetMeasures:
    """Measures the images of a set as they are stored.

    Args:
        images: the synthetic set.
        data: the real images, for copies and diversity; None: these two are not measured.
        classifier: of the model's evaluation, for labels and distance; None: these two are not measured.
        seed: random seed of the images that the classifier sees.
    """
    metrics, notes = {REPEATS: _repeats(images)}, []
    if classifier is None:
        notes.append("Label agreement and distance need the classifier of the model's evaluation (--report).")
    else:
        metrics |= _classified(images, classifier, seed)
    if data is None:
        notes.append("Copies and diversity need the real images (--data).")
    else:
        metrics |= _against_real(images, data)
    return SetMeasures({name: value for name, value in metrics.items() if math.isfinite(value)}, notes)


def _repeats(images: ImageSet) -> float:
    digests = [record.sha256 for record in images.records("train", images=False)]
    return 1 - len(set(digests)) / max(len(digests), 1)


def _classified(images: ImageSet, classifier: DomainClassifier, seed: int) -> dict[str, float]:
    """Label agreement and distance, of at most `MEASURED_AT_MOST` images."""
    total = images.info.counts["train"].total
    chosen = set(np.random.default_rng(seed).permutation(total)[:MEASURED_AT_MOST].tolist())
    records = [record for row, record in enumerate(images.records("train")) if row in chosen]
    pixels = np.stack([from_bytes(record.image, images.info.channels) for record in records])
    columns = [column for column in images.info.labels if column in classifier.vocabularies]
    metrics: dict[str, float] = {}
    if columns and classifier.class_counts:
        wanted = np.array(
            [[classifier.vocabularies[column].index(record.labels[column]) for column in columns] for record in records]
        )
        places = [list(classifier.vocabularies).index(column) for column in columns]
        predicted = classifier.predict_balanced(pixels)[:, places]
        metrics[LABEL_AGREEMENT] = float((predicted == wanted).all(axis=1).mean())
        recalls = [
            classifier.holdout_recall.get(column, {}).get(record.labels[column], (math.nan, 0))[0]
            for record in records
            for column in columns
        ]
        metrics[REAL_ACCURACY] = float(np.nanmean(recalls)) if np.isfinite(recalls).any() else math.nan
    if classifier.training_features is not None and len(pixels) > 1:
        metrics[DISTANCE] = classifier.training_features.distance(classifier.features(pixels))[0]
        metrics[REAL_DISTANCE] = classifier.training_features.floor
    return metrics


def _against_real(images: ImageSet, data: ImageSet) -> dict[str, float]:
    """Copies, DCR share, NNDR and diversity, of all images."""
    own, train = thumbnails(images), thumbnails(data)
    metrics: dict[str, float] = {}
    if data.info.counts["holdout"].total >= 1 / COPY_QUANTILE:
        holdout = thumbnails(data, "holdout")
        limit = np.quantile(nearest_distance(holdout, train), COPY_QUANTILE)
        metrics[COPIES] = float((nearest_distance(own, train) < limit).mean())
        known, unseen, drawn = (part.astype(np.float32) for part in (train, holdout, own))
        compared = holdout_distances(known, unseen, drawn, "pixels")
        for name in (DCR_SHARE, NNDR_TRAIN, NNDR_HOLDOUT):
            metrics[name] = compared[f"{name.replace('synthetic', 'privacy')}_pixels"]
    columns = [column for column in images.info.labels if column in data.info.labels]
    made, real = _spreads(images, own, columns), _spreads(data, train, columns)
    ratios = [made[names] / real[names] for names in made if real.get(names)]
    if ratios:
        metrics |= {DIVERSITY: float(np.mean(ratios)), LOWEST_DIVERSITY: float(min(ratios))}
    return metrics


def _spreads(images: ImageSet, small: NDArray[np.uint8], columns: Sequence[str]) -> dict[tuple[str, ...], float]:
    """Combination of classes -> root mean square distance between two of its images."""
    rows: dict[tuple[str, ...], list[int]] = {}
    for row, record in enumerate(images.records("train", images=False)):
        rows.setdefault(tuple(record.labels[column] for column in columns), []).append(row)
    return {
        names: float(np.sqrt(2 * small[chosen].astype(np.float64).var(axis=0, ddof=1).mean()))
        for names, chosen in rows.items()
        if len(chosen) >= MIN_OF_CLASS
    }
