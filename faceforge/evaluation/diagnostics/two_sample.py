"""Can a classifier that had no part in the training tell samples from real images?

The classifier two-sample test of Lopez-Paz & Oquab (2017), "Revisiting classifier two-sample tests": a classifier is
trained on part of the real images and samples and tried on the rest. Right half of the time = indistinguishable *to
this classifier in this space*; a stronger one may still tell. It says nothing about memorised images, which are as real
as can be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceforge.data.pixels import pixel_digest
from faceforge.errors import FaceForgeError
from faceforge.evaluation.diagnostics.linear import fit_linear
from faceforge.evaluation.diagnostics.pixel_features import pixel_features
from faceforge.evaluation.diagnostics.rates import interval

FOLDS = 5
PICTURES = 16
MIN_IMAGES = 50  # of each kind

HOW = {
    "two_sample/accuracy_pixels...": "share of holdout images and samples that an independent linear classifier on"
    " fixed features of the pixels (gradients, colour, spectrum of blocks) tells rightly, 5-fold cross-validated; 0.5 ="
    " indistinguishable; sees what people may overlook, JPEG's blocks in real images among it; _low, _high: 95 %"
    " interval",
    "two_sample/accuracy_domain...": "the same on the features of the domain classifier: what matters for the labels;"
    " blind to artefacts that a classifier of labels has no need to see",
}


@dataclass(frozen=True)
class TwoSample:
    """What the test found.

    Attributes:
        metrics: per space `two_sample/accuracy_<space>` with its 95 % interval, `..._low` and `..._high`.
        most_fake: the samples surest to be fake in the space of pixels, surest first, uint8 (at most 16, H, W, C).
        most_real: the samples taken for real with the greatest confidence, likewise.
    """

    metrics: dict[str, float]
    most_fake: NDArray[np.uint8]
    most_real: NDArray[np.uint8]


def two_sample_test(
    real: NDArray[np.uint8],
    fake: NDArray[np.uint8],
    spaces: Mapping[str, tuple[NDArray[np.floating], NDArray[np.floating]]] | None = None,
    *,
    seed: int = 0,
) -> TwoSample:
    """Tells samples from real images, in the space of pixels and in others.

    Args:
        real: uint8 (N, S, S, C), images the model was not trained on.
        fake: uint8 (M, S, S, C), samples of the same labels. As many of both are used as there are of the rarer kind.
        spaces: name -> features (N, D) of the real images and (M, D) of the samples.
        seed: of the folds.

    Raises:
        FaceForgeError: fewer than `MIN_IMAGES` of a kind.
    """
    count = min(len(real), len(fake))
    if count < MIN_IMAGES:
        raise FaceForgeError(f"{count} images of a kind are too few to test, at least {MIN_IMAGES} are needed")
    real, fake = real[:count], fake[:count]
    folds = _folds(real, fake, seed)
    given = {name: (first[:count], second[:count]) for name, (first, second) in (spaces or {}).items()}
    given["pixels"] = pixel_features(real), pixel_features(fake)  # the last: its margins order the pictures
    metrics: dict[str, float] = {}
    for name, (first, second) in given.items():
        margin = _margins(np.concatenate([first, second]).astype(np.float32), folds)
        # A tie is a guess.
        right = np.concatenate([margin[:count] < 0, margin[count:] > 0]).mean() + 0.5 * (margin == 0).mean()
        low, high = interval(float(right), 2 * count) if np.isfinite(margin).all() else (float("nan"), float("nan"))
        metrics |= {
            f"two_sample/accuracy_{name}": float(right) if np.isfinite(margin).all() else float("nan"),
            f"two_sample/accuracy_{name}_low": low,
            f"two_sample/accuracy_{name}_high": high,
        }
    order = np.argsort(-margin[count:], kind="stable")
    return TwoSample(metrics, fake[order[:PICTURES]], fake[order[::-1][:PICTURES]])


def _folds(real: NDArray[np.uint8], fake: NDArray[np.uint8], seed: int) -> NDArray[np.integer]:
    """A fold for each of N real images and then N samples.

    An image that is among both kinds is in one fold with its copies, so that none is judged by what was said of its
    copy. Copies within a kind are spread: a model that repeats itself may be told by that.
    """
    count = len(real) + len(fake)
    _, group = np.unique([pixel_digest(image) for kind in (real, fake) for image in kind], return_inverse=True)
    shared = np.isin(group, group[: len(real)]) & np.isin(group, group[len(real) :])
    own = np.where(shared, group, count + np.arange(count))
    drawn: NDArray[np.integer] = np.random.default_rng([seed, 3]).permutation(2 * count)[own] % FOLDS
    return drawn


def _margins(features: NDArray[np.float32], folds: NDArray[np.integer]) -> NDArray[np.float64]:
    """For each of N real images and then N samples: how much more like a sample it looks to the other folds."""
    if not np.isfinite(features).all():
        return np.full(len(features), np.nan)
    codes = np.repeat([0, 1], len(features) // 2)
    margin = np.zeros(len(features))
    for fold in range(FOLDS):
        tried = folds == fold
        scores = fit_linear(features[~tried], codes[~tried], 2, balanced=True).scores(features[tried])
        margin[tried] = scores[:, 1] - scores[:, 0]
    return margin
