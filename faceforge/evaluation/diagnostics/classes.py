"""Measures every class from equal numbers of samples, so that a rare class counts as much as a common one.

In samples with the class frequencies of the real images, a broken rare class changes the overall metrics less than
chance does. Here every class has as many samples, and its own comparison with the real images of the class.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.evaluation.diagnostics.class_scores import ClassScores
from faceforge.evaluation.diagnostics.copies import FALSE_ALARM, CopyDetector
from faceforge.evaluation.diagnostics.discriminator import membership_by_discriminator
from faceforge.evaluation.diagnostics.membership import UNKNOWN, Attack, attack_by_pixels
from faceforge.evaluation.diagnostics.pixel_features import coarse_pixels
from faceforge.evaluation.diagnostics.rates import interval
from faceforge.evaluation.metrics.comparison import Interval
from faceforge.evaluation.metrics.frechet import frechet_from_features
from faceforge.evaluation.metrics.neighbours import k_nearest
from faceforge.inference.calibration import LabelledLogits

SAMPLES_AT_MOST, SAMPLES_AT_LEAST, TOTAL = 128, 64, 2048  # per class, and of all classes together
MIN_REAL = 10  # real images of a class, below which its diversity and distance are not known

Images = NDArray[np.uint8]
Codes = NDArray[np.int32]


class LabelledImages(NamedTuple):
    """Images with codes (N, columns), features of the domain classifier (N, D) and predicted codes (N, columns)."""

    images: Images
    codes: Codes
    features: NDArray[np.float32]
    predicted: Codes


def requested_labels(labels: Codes, vocabularies: Mapping[str, Sequence[str]], seed: int) -> Codes:
    """Labels to request so that every class of every column has as many samples; (N, columns).

    The other columns of a request are those of a random real image of the class.

    Args:
        labels: codes (M, columns) of real images; classes without any are left out.
        vocabularies: label column -> classes, in the order of the columns of the codes.
        seed: random seed of the choice.
    """
    classes = sum(map(len, vocabularies.values()))
    count = int(np.clip(TOTAL // max(classes, 1), SAMPLES_AT_LEAST, SAMPLES_AT_MOST))
    rng = np.random.default_rng([seed, 8])
    parts = [np.empty((0, labels.shape[1]), np.int32)]
    for column, names in enumerate(vocabularies.values()):
        for code in range(len(names)):
            rows = np.flatnonzero(labels[:, column] == code)
            if len(rows):
                parts.append(labels[rng.choice(rows, count)])
    return np.concatenate(parts).astype(np.int32)


def balanced_rows(labels: Codes, vocabularies: Mapping[str, Sequence[str]]) -> NDArray[np.intp]:
    """Rows of real images with up to `SAMPLES_AT_MOST` of every class, in ascending order."""
    rows = [
        _first(labels[:, position] == code, SAMPLES_AT_MOST)
        for position, names in enumerate(vocabularies.values())
        for code in range(len(names))
    ]
    return np.unique(np.concatenate(rows))


def class_scores(
    train: LabelledImages,
    holdout: LabelledImages,
    fake: LabelledImages,
    vocabularies: Mapping[str, Sequence[str]],
    detector: CopyDetector,
    logits: tuple[LabelledLogits, LabelledLogits] | None = None,
) -> list[ClassScores]:
    """Metrics of every class that has samples.

    Args:
        train: training images; their predictions are not used.
        holdout: holdout images.
        fake: samples with their requested labels, see `requested_labels`.
        vocabularies: label column -> classes, in the order of the columns of the codes.
        detector: of copies of the training images.
        logits: of the discriminator on training images and on holdout images, with codes as above.
    """
    present = [
        (position, column, code, name)
        for position, (column, names) in enumerate(vocabularies.items())
        for code, name in enumerate(names)
        if (fake.codes[:, position] == code).any()
    ]
    agreements = agreement_by_class(fake.codes, fake.predicted, vocabularies)
    distances = detector.distances(fake.images)
    near_exact = detector.near_exact(distances)
    # With many classes, some exceed a limit by chance: the false alarm rate holds for all of them together.
    false_alarm = FALSE_ALARM / max(len(present), 1)
    scores = []
    for position, column, code, name in present:
        rows = _first(fake.codes[:, position] == code, SAMPLES_AT_MOST)
        of_class = [kind.codes[:, position] == code for kind in (train, holdout)]
        copies = [detector.copies(found.select(rows), space, false_alarm) for space, found in distances.items()]
        most = max(copies, key=lambda result: result.count - result.limit)
        agreement = agreements[f"{column}={name}"]
        real_agreement = _share(holdout.predicted[of_class[1], position] == code)
        real = _pool(train, holdout, of_class, len(rows))
        others = _pool(train, holdout, [~part for part in of_class], len(real[0]))
        scores.append(
            ClassScores(
                column=column,
                name=name,
                train_images=int(of_class[0].sum()),
                holdout_images=int(of_class[1].sum()),
                samples=len(rows),
                agreement=agreement.value,
                agreement_low=agreement.low,
                agreement_high=agreement.high,
                real_agreement=real_agreement.value,
                real_agreement_low=real_agreement.low,
                real_agreement_high=real_agreement.high,
                copies=most.count,
                copies_limit=most.limit,
                near_exact_copies=int(near_exact[rows].sum()),
                **_spread(coarse_pixels(fake.images[rows]), real[0]),
                frechet=_relative_frechet(fake.features[rows], real[1], others[1]),
                **_attack("membership", _by_samples(train.images, holdout.images, of_class, fake.images[rows])),
                **_attack("membership_discriminator", _by_discriminator(logits, position, code)),
            )
        )
    return scores


def agreement_by_class(
    requested: Codes, predicted: Codes, vocabularies: Mapping[str, Sequence[str]]
) -> dict[str, Interval]:
    """Share of samples that are predicted as the requested class, by `column=class`, with its 95 % interval.

    Args:
        requested: codes (N, columns), see `requested_labels`; as in `class_scores`, the first of each class count.
        predicted: codes (N, columns).
        vocabularies: label column -> classes, in the order of the columns of the codes.
    """
    shares = {}
    for position, (column, names) in enumerate(vocabularies.items()):
        for code, name in enumerate(names):
            rows = _first(requested[:, position] == code, SAMPLES_AT_MOST)
            if len(rows):
                shares[f"{column}={name}"] = _share(predicted[rows, position] == code)
    return shares


def _first(mask: NDArray[np.bool_], count: int) -> NDArray[np.intp]:
    return np.flatnonzero(mask)[:count]


def _share(correct: NDArray[np.bool_]) -> Interval:
    """A share and its 95 % interval."""
    if not len(correct):
        return Interval(value=math.nan, low=math.nan, high=math.nan)
    share = float(correct.mean())
    low, high = interval(share, len(correct))
    return Interval(value=share, low=low, high=high)


def _pool(
    train: LabelledImages, holdout: LabelledImages, chosen: Sequence[NDArray[np.bool_]], count: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Pixels and features of the first `count` chosen real images, holdout images first."""
    from_holdout = _first(chosen[1], count)
    from_train = _first(chosen[0], count - len(from_holdout))
    images = np.concatenate([holdout.images[from_holdout], train.images[from_train]])
    features = np.concatenate([holdout.features[from_holdout], train.features[from_train]])
    return coarse_pixels(images) if len(images) else np.empty((0, 1), np.float32), features


def _spread(fake: NDArray[np.float32], real: NDArray[np.float32]) -> dict[str, float]:
    """Root mean square distance, and median distance to the nearest other image, of samples relative to real images."""
    count = min(len(real), len(fake))
    if count < MIN_REAL:
        return {"diversity": math.nan, "nearest": math.nan}
    fake, real = fake[:count], real[:count]
    variances = [float(part.var(axis=0, ddof=1, dtype=np.float64).sum()) for part in (fake, real)]
    medians = [float(np.sqrt(np.median(k_nearest(part, 1)[0]))) for part in (fake, real)]
    return {
        "diversity": math.sqrt(variances[0] / variances[1]) if variances[1] > 0 else math.nan,
        "nearest": medians[0] / medians[1] if medians[1] > 0 else math.nan,
    }


def _by_samples(train: Images, holdout: Images, of_class: Sequence[NDArray[np.bool_]], fake: Images) -> Attack:
    known = [images[chosen] for images, chosen in zip((train, holdout), of_class, strict=True)]
    return attack_by_pixels(known[0], known[1], fake) if min(map(len, known)) >= MIN_REAL else UNKNOWN


def _by_discriminator(logits: tuple[LabelledLogits, LabelledLogits] | None, position: int, code: int) -> Attack:
    if logits is None:
        return UNKNOWN
    chosen = [(values[codes[:, position] == code], codes[codes[:, position] == code]) for values, codes in logits]
    few = min(len(values) for values, _ in chosen) < MIN_REAL
    finite = all(np.isfinite(values).all() for values, _ in chosen)
    return membership_by_discriminator(*chosen) if finite and not few else UNKNOWN


def _attack(name: str, attack: Attack) -> dict[str, float]:
    return dict(zip((name, f"{name}_low", f"{name}_high"), attack, strict=True))


def _relative_frechet(fake: NDArray[np.float32], real: NDArray[np.float32], others: NDArray[np.float32]) -> float:
    count = min(len(fake), len(real), len(others))
    if count < MIN_REAL:
        return math.nan
    own, other = (frechet_from_features(part[:count], real[:count]) for part in (fake, others))
    return own / other if other > 0 else math.nan
