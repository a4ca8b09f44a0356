"""Usefulness of samples as training data for a classifier.

A classifier is trained on real images, on samples ("train on synthetic, test on real", Esteban et al. 2017) and on
both, and tested on the holdout. It is linear discriminant analysis on the pixels of 16 px thumbnails: it cannot rely on
fine artefacts and is fast enough to be trained dozens of times. Networks are more accurate; the comparison is what
counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError
from faceforge.evaluation.diagnostics.linear import fit_linear
from faceforge.evaluation.diagnostics.pixel_features import coarse_pixels

MIN_IMAGES = 50  # of each kind
RARE = 0.03  # share of the training images to which the rare class is reduced

_RECALL = "balanced accuracy on the holdout, mean over label columns"
DESCRIPTIONS = {
    "usefulness/real": f"{_RECALL}; by a linear classifier on the pixels of 16 px thumbnails, trained on real images",
    "usefulness/synthetic": "the same, trained on as many samples: train on synthetic, test on real",
    "usefulness/both": "the same, trained on the real images and the samples together",
    "usefulness/ratio": "synthetic divided by real: 1 = samples train a classifier as well as real images",
    "usefulness/real_...": "usefulness/real for one label column",
    "usefulness/synthetic_...": "usefulness/synthetic for one label column",
    "usefulness/both_...": "usefulness/both for one label column",
    "usefulness/rare_recall_before...": "recall of a class on the holdout when only few of its training images are"
    f" kept ({RARE:.0%} of the set); mean over seeds, _spread: standard deviation",
    "usefulness/rare_recall_reweighted...": "the same with class weights instead of samples",
    "usefulness/rare_recall_after...": "the same with samples of the class added until it is as frequent as the others"
    " on average. The generator was trained on all images of the class, so a generator trained on only the few images"
    " would add less",
    "usefulness/rare_gain...": "recall after minus recall before, per seed; compare with rare_balanced, because any"
    " added images raise the recall of a rare class",
    "usefulness/rare_balanced_...": "mean recall over all classes in that experiment, which includes what the other"
    " classes lose",
}


@dataclass(frozen=True)
class ClassRecall:
    """Recall of a class on the holdout, by training data; NaN = the holdout has no image of it."""

    column: str
    name: str
    real_images: int  # in the training data
    samples: int  # in the training data
    holdout_images: int
    real: float
    synthetic: float
    both: float


@dataclass(frozen=True)
class Usefulness:
    """Result of `usefulness`.

    Attributes:
        metrics: `usefulness/real`, `usefulness/synthetic`, `usefulness/both`, `usefulness/ratio`; with several label
            columns each of the first three also as `..._<column>`.
        classes: recall per class.
    """

    metrics: dict[str, float]
    classes: list[ClassRecall]


@dataclass(frozen=True)
class RareClass:
    """Result of `rare_class`.

    Attributes:
        metrics: `usefulness/rare_recall_before`, `..._after`, `..._reweighted`, `usefulness/rare_gain`, each mean over
            seeds with its `..._spread` (standard deviation), and `usefulness/rare_balanced_before|after|reweighted`.
        column, name: which class.
        kept: number of its training images that were kept.
        added: number of samples that were added.
        recalls: recall before, with class weights, and after, (seeds, 3).
    """

    metrics: dict[str, float]
    column: str
    name: str
    kept: int
    added: int
    recalls: NDArray[np.float64]


@dataclass(frozen=True)
class Labelled:
    """Features and labels of images.

    Attributes:
        features: (N, D), of `coarse_pixels`.
        codes: (N, columns), positions in the vocabularies.
    """

    features: NDArray[np.float32]
    codes: NDArray[np.integer]

    @staticmethod
    def of(images: NDArray[np.uint8], codes: NDArray[np.integer]) -> Labelled:
        """Computes the features of images uint8 (N, S, S, C) with codes (N, columns)."""
        return Labelled(coarse_pixels(images), codes)


def usefulness(
    real: Labelled, holdout: Labelled, fake: Labelled, vocabularies: Mapping[str, Sequence[str]]
) -> Usefulness:
    """Trains classifiers on real images, on samples and on both, and tests all three on the holdout.

    Args:
        real: training images.
        holdout: images of the same kind, not in `real`.
        fake: samples with their requested labels. The first min(N, M) real images and samples are used.
        vocabularies: label column -> classes, in the order of the columns of the codes.

    Raises:
        FaceForgeError: no labels, or fewer than `MIN_IMAGES` of a kind.
    """
    _check(real, holdout, fake, vocabularies)
    count = min(len(real.codes), len(fake.codes))
    table: list[ClassRecall] = []
    for column, (name, classes) in enumerate(vocabularies.items()):
        first, second = (kind.codes[:count, column] for kind in (real, fake))
        truth = holdout.codes[:, column]
        trained = {
            "real": (real.features[:count], first),
            "synthetic": (fake.features[:count], second),
            "both": (np.concatenate([real.features[:count], fake.features[:count]]), np.concatenate([first, second])),
        }
        recalls = {
            kind: _recalls(fit_linear(features, codes, len(classes)).predict(holdout.features), truth, len(classes))
            for kind, (features, codes) in trained.items()
        }
        table += [
            ClassRecall(
                column=name,
                name=label,
                real_images=int((first == code).sum()),
                samples=int((second == code).sum()),
                holdout_images=int((truth == code).sum()),
                real=float(recalls["real"][code]),
                synthetic=float(recalls["synthetic"][code]),
                both=float(recalls["both"][code]),
            )
            for code, label in enumerate(classes)
        ]
    metrics: dict[str, float] = {}
    for kind in ("real", "synthetic", "both"):
        by_column = {
            name: float(np.nanmean([getattr(row, kind) for row in table if row.column == name]))
            for name in vocabularies
        }
        metrics[f"usefulness/{kind}"] = float(np.mean(list(by_column.values())))
        if len(by_column) > 1:
            metrics |= {f"usefulness/{kind}_{name}": value for name, value in by_column.items()}
    metrics["usefulness/ratio"] = metrics["usefulness/synthetic"] / metrics["usefulness/real"]
    return Usefulness(metrics, table)


def rare_class(
    real: Labelled,
    holdout: Labelled,
    fake: Labelled,
    vocabularies: Mapping[str, Sequence[str]],
    *,
    column: str = "",
    name: str = "",
    share: float | None = RARE,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
) -> RareClass:
    """Recall of one class on the holdout when it is made rare, with and without samples of it added.

    Args:
        real: training images.
        holdout: images of the same kind, not in `real`.
        fake: samples with their requested labels.
        vocabularies: label column -> classes, in the order of the columns of the codes.
        column: label column; empty = the first.
        name: the class; empty = the rarest of the column of which the holdout and the samples have images.
        share: share of the training images to which the class is reduced; None = leave it as rare as it is.
        seeds: at least two; each redraws which images of the class are kept, which samples are added, and a bootstrap
            of the other classes.

    Raises:
        FaceForgeError: no labels, no such class, or too few images.
    """
    _check(real, holdout, fake, vocabularies)
    column = column or next(iter(vocabularies))
    if column not in vocabularies or (name and name not in vocabularies[column]):
        raise FaceForgeError(f"there is no class {name!r} in the label column {column!r} to make rare")
    position, classes = list(vocabularies).index(column), list(vocabularies[column])
    codes, truth, requested = (kind.codes[:, position] for kind in (real, holdout, fake))
    present = [code for code in range(len(classes)) if all((part == code).any() for part in (codes, truth, requested))]
    if len(present) < 2 or (name and classes.index(name) not in present):
        raise FaceForgeError(f"the label column {column!r} lacks images or samples of the class to make rare")
    code = classes.index(name) if name else min(present, key=lambda one: (codes == one).sum())
    rare, rest = np.flatnonzero(codes == code), np.flatnonzero(codes != code)
    samples = np.flatnonzero(requested == code)
    kept = len(rare) if share is None else min(max(round(len(rest) * share / (1 - share)), 2), len(rare))
    others = len(np.unique(codes[rest]))
    added = min(max(round(len(rest) / others) - kept, 0), len(samples))
    recalls, balanced = np.zeros((len(seeds), 3)), np.zeros((len(seeds), 3))
    for turn, seed in enumerate(seeds):
        rng = np.random.default_rng([seed, 5])
        rows = np.concatenate([rng.choice(rare, kept, replace=False), rng.choice(rest, len(rest))])
        extra = rng.choice(samples, added, replace=False)
        few = real.features[rows], codes[rows]
        more = np.concatenate([few[0], fake.features[extra]]), np.concatenate([few[1], requested[extra]])
        for variant, (training, weighted) in enumerate([(few, False), (few, True), (more, False)]):
            predicted = fit_linear(*training, len(classes), balanced=weighted).predict(holdout.features)
            by_class = _recalls(predicted, truth, len(classes))
            recalls[turn, variant], balanced[turn, variant] = by_class[code], np.nanmean(by_class)
    by_kind = {"recall_before": recalls[:, 0], "recall_reweighted": recalls[:, 1], "recall_after": recalls[:, 2]}
    by_kind["gain"] = recalls[:, 2] - recalls[:, 0]
    metrics = {f"usefulness/rare_{kind}": float(values.mean()) for kind, values in by_kind.items()}
    metrics |= {f"usefulness/rare_{kind}_spread": float(values.std(ddof=1)) for kind, values in by_kind.items()}
    for kind, values in zip(("before", "reweighted", "after"), balanced.T, strict=True):
        metrics[f"usefulness/rare_balanced_{kind}"] = float(values.mean())
    return RareClass(metrics, column, classes[code], kept, added, recalls)


def _check(real: Labelled, holdout: Labelled, fake: Labelled, vocabularies: Mapping[str, Sequence[str]]) -> None:
    if not vocabularies:
        raise FaceForgeError("usefulness cannot be measured without labels")
    if (fewest := min(len(kind.codes) for kind in (real, holdout, fake))) < MIN_IMAGES:
        raise FaceForgeError(
            f"{fewest} images of a kind are too few to train a classifier, at least {MIN_IMAGES} are needed"
        )


def _recalls(predicted: NDArray[np.integer], truth: NDArray[np.integer], classes: int) -> NDArray[np.float64]:
    """Recall of every class, (classes,); NaN for classes that do not occur."""
    correct = np.bincount(truth[predicted == truth], minlength=classes)
    counts = np.bincount(truth, minlength=classes)
    return np.divide(correct, counts, out=np.full(classes, np.nan), where=counts > 0)
