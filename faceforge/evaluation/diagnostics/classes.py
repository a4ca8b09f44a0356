"""Metrics per class, from equal numbers of samples of every class, so that a rare class counts as much as a common one.

In samples with the class frequencies of the real images, a broken rare class changes the overall metrics less than
chance does. Here every class has as many samples, and its own comparison with the real images of the class.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from faceforge.evaluation.diagnostics.copies import FALSE_ALARM, CopyDetector
from faceforge.evaluation.diagnostics.discriminator import membership_by_discriminator
from faceforge.evaluation.diagnostics.membership import UNKNOWN, Attack, attack_by_pixels
from faceforge.evaluation.diagnostics.pixel_features import coarse_pixels
from faceforge.evaluation.diagnostics.rates import interval
from faceforge.evaluation.figures import Table
from faceforge.evaluation.metrics.frechet import frechet_from_features
from faceforge.evaluation.metrics.neighbours import k_nearest
from faceforge.inference.calibration import LabelledLogits

SAMPLES_AT_MOST, SAMPLES_AT_LEAST, TOTAL = 128, 64, 2048  # per class, and of all classes together
MIN_REAL = 10  # real images of a class, below which its diversity and distance are not known

Images = NDArray[np.uint8]
Codes = NDArray[np.int32]


class ClassScores(BaseModel):
    """Metrics of one class; NaN = not known.

    Attributes:
        column, name: label column and class.
        train_images, holdout_images: real images of the class that the metrics use.
        samples: generated images of the class.
        agreement: share of the samples that are predicted as the class, with prior-corrected logits; `_low` and `_high`
            are its 95 % interval.
        real_agreement: the same share for the holdout images of the class; `_low` and `_high` likewise.
        copies: samples that count as copies of training images, in the space with most of them.
        copies_limit: largest count that chance gives.
        near_exact_copies: near-exact copies.
        diversity: root mean square distance between samples divided by that between real images of the class.
        nearest: median distance between a sample and its nearest other sample, divided by the same for as many real
            images; near 0 = a few images are repeated.
        membership: AUC of the membership attack by the samples of the class, 0.5 = no leak; `_low` and `_high` are its
            95 % interval.
        membership_discriminator: the same of the attack by the discriminator.
        frechet: distance to the real images of the class in the features of the domain classifier, divided by the
            distance of the real images of all other classes to them; 1 = as far away as images of other classes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    column: str
    name: str
    train_images: int
    holdout_images: int
    samples: int
    agreement: float
    agreement_low: float
    agreement_high: float
    real_agreement: float
    real_agreement_low: float
    real_agreement_high: float
    copies: int
    copies_limit: int
    near_exact_copies: int
    diversity: float
    nearest: float
    frechet: float
    membership: float = math.nan
    membership_low: float = math.nan
    membership_high: float = math.nan
    membership_discriminator: float = math.nan
    membership_discriminator_low: float = math.nan
    membership_discriminator_high: float = math.nan

    @property
    def title(self) -> str:
        """Column and class."""
        return f"{self.column}={self.name}"

    @property
    def relative_agreement(self) -> float:
        """Agreement of samples divided by that of real images; NaN if the classifier recognises no real image."""
        return self.agreement / self.real_agreement if self.real_agreement > 0 else math.nan


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
        agreement = _share(fake.predicted[rows, position] == code)
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
                **dict(zip(("agreement", "agreement_low", "agreement_high"), agreement, strict=True)),
                **dict(
                    zip(("real_agreement", "real_agreement_low", "real_agreement_high"), real_agreement, strict=True)
                ),
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


def worst_class(scores: Sequence[ClassScores]) -> ClassScores | None:
    """The class whose samples agree least with the label, relative to real images; None without classes."""
    known = [score for score in scores if math.isfinite(score.relative_agreement)]
    return min(known, key=lambda score: score.relative_agreement) if known else None


def class_table(scores: Sequence[ClassScores]) -> Table:
    """The metrics per class as a table, the worst class first."""

    def with_real(score: ClassScores) -> str:
        real = "" if math.isnan(score.real_agreement) else f" (real {score.real_agreement:.2f})"
        return f"{score.agreement:.2f}{real}"

    def known(value: float) -> float | None:
        return value if math.isfinite(value) else None

    ordered = sorted(scores, key=lambda score: np.nan_to_num(score.relative_agreement, nan=np.inf))
    return Table(
        title="Classes",
        caption=(
            "From equal numbers of samples of every class; the worst class first. Agreement: share of samples predicted"
            " as the class, and the same for real holdout images. Copies: in brackets the largest number that chance"
            " gives. Diversity and nearest: distances between samples divided by those between real images of the"
            " class, 1 = as varied. Membership: AUC of the attacks that look for training images of the class by the"
            " samples and by the discriminator, with 95 % intervals; 0.5 = no leak. Frechet: distance to the real"
            " images of the class divided by that of all other classes, 1 = as far away as other classes."
        ),
        columns=[
            *("class", "training", "holdout", "samples", "agreement", "copies", "diversity", "nearest", "Frechet"),
            *("membership by samples", "by discriminator"),
        ],
        rows=[
            [
                score.title,
                *(score.train_images, score.holdout_images, score.samples),
                with_real(score),
                f"{score.copies} ({score.copies_limit})",
                *map(known, (score.diversity, score.nearest, score.frechet)),
                _span(score.membership, score.membership_low, score.membership_high),
                _span(
                    score.membership_discriminator,
                    score.membership_discriminator_low,
                    score.membership_discriminator_high,
                ),
            ]
            for score in ordered
        ],
    )


def class_metrics(scores: Sequence[ClassScores]) -> dict[str, float]:
    """The worst value of every metric over all classes, as `classes/...`."""
    worst: dict[str, tuple[Callable[[Sequence[float]], float], list[float]]] = {
        "agreement_lowest": (min, [score.relative_agreement for score in scores]),
        "copies_highest": (max, [score.copies / score.samples for score in scores]),
        "diversity_lowest": (min, [min(score.diversity, score.nearest) for score in scores]),
        "frechet_highest": (max, [score.frechet for score in scores]),
        # With few images some AUC is high by chance, hence the lower ends.
        "membership_highest": (max, [score.membership_low for score in scores]),
    }
    return {
        f"classes/{name}": choose(known)
        for name, (choose, values) in worst.items()
        if (known := [value for value in values if math.isfinite(value)])
    }


DESCRIPTIONS = {
    "classes/agreement_lowest": "lowest value over all classes of: share of samples predicted as the requested class,"
    " divided by the same share of holdout images; prior-corrected logits, equal numbers of samples per class",
    "classes/copies_highest": "highest share of copies of training images among the samples of a class",
    "classes/diversity_lowest": "lowest diversity of a class: distance between samples divided by that between real"
    " images, the smaller of root mean square distance and median distance to the nearest other image",
    "classes/frechet_highest": "highest value over all classes of: Frechet distance of the samples of a class to its"
    " real images, divided by the distance of the real images of all other classes; 1 = as far as other classes",
    "classes/membership_highest": "highest lower end, over all classes, of the 95 % interval of the AUC of membership"
    " inference by the samples of a class; above 0.5 = the training images of a class can be told from others",
}


def _first(mask: NDArray[np.bool_], count: int) -> NDArray[np.intp]:
    return np.flatnonzero(mask)[:count]


def _share(correct: NDArray[np.bool_]) -> tuple[float, float, float]:
    """A share and its 95 % interval."""
    if not len(correct):
        return math.nan, math.nan, math.nan
    share = float(correct.mean())
    return share, *interval(share, len(correct))


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


def _span(value: float, low: float, high: float) -> str | None:
    return f"{value:.2f} ({low:.2f}-{high:.2f})" if math.isfinite(value) else None


def _relative_frechet(fake: NDArray[np.float32], real: NDArray[np.float32], others: NDArray[np.float32]) -> float:
    count = min(len(fake), len(real), len(others))
    if count < MIN_REAL:
        return math.nan
    own, other = (frechet_from_features(part[:count], real[:count]) for part in (fake, others))
    return own / other if other > 0 else math.nan
