"""Platt's sigmoid from discriminator logits to probabilities, with an offset for every combination of labels.

Platt (1999), "Probabilistic outputs for support vector machines"; the calibration error is that of Guo et al. (2017),
"On calibration of modern neural networks". A conditional discriminator never compares images of different labels, so
its logits are comparable within a combination of labels only: hence one slope and an offset per combination.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError

Logits = NDArray[np.floating]
Labels = NDArray[np.integer]
LabelledLogits = tuple[Logits, Labels]  # logits (N,) and labels (N, columns) of the same images

BINS = 10  # of the calibration error
_UNPENALISED = 1e3  # scale of a column whose coefficient the unit L2 penalty then leaves alone


@dataclass(frozen=True)
class Calibration:
    """Turns a discriminator's logits into P(real), for images of which half are real and half are samples.

    `dataclasses.asdict` makes it JSON; `Calibration(**...)` and `read_calibration` read it back.

    Attributes:
        slope: of the sigmoid, >= 0; 0 = the discriminator cannot separate, and every probability is 0.5.
        offset: used for label combinations that are not in `offsets`.
        offsets: label codes, in the order of the model's columns and joined by commas ("2,0"; "" without labels) ->
            offset.
    """

    slope: float
    offset: float
    offsets: Mapping[str, float] = field(default_factory=dict)

    def probability(self, logits: Logits, labels: Labels) -> NDArray[np.float64]:
        """P(real), float64 (N,) in (0, 1), of logits (N,) of images with labels (N, columns)."""
        shifts = np.array([self.offsets.get(key, self.offset) for key in _keys(labels)], np.float64)
        # Logits beyond 500 give 0 or 1 anyway; larger ones would overflow.
        z = np.clip(self.slope * np.asarray(logits, np.float64) + shifts, -500, 500)
        result: NDArray[np.float64] = 1 / (1 + np.exp(-z))
        return result


def calibrate(real: LabelledLogits, fake: LabelledLogits) -> Calibration:
    """Fits a calibration to real images that the model was not trained on and to samples.

    Both kinds have the same total weight, however many there are of each. Logits must be finite.

    Args:
        real: logits (N,) and labels (N, columns) of real images, N at least 1.
        fake: the same of samples.
    """
    from sklearn.linear_model import LogisticRegression

    logits = np.concatenate([real[0], fake[0]]).astype(np.float64)
    names, group = np.unique(_keys(real[1]) + _keys(fake[1]), return_inverse=True)
    n, m = len(real[0]), len(fake[0])
    middle = _middles(logits, group, np.arange(n + m) < n)
    scale = (logits - middle[group]).std() or 1.0
    # Columns: the slope, and each combination's deviation from the common offset. The penalty holds the deviations
    # together where there are only a few images and is negligible from a few dozen on.
    design = np.column_stack([_UNPENALISED * (logits - middle[group]) / scale, np.eye(len(names))[group]])
    # Platt's targets are not quite 1 and 0, so the fit stays finite where the two kinds are fully separated. As soft
    # targets, every image is given as both kinds, with weights that add up to its own.
    target = np.repeat([(n + 1) / (n + 2), 1 / (m + 2)], [n, m])
    weight = np.repeat([(n + m) / (2 * n), (n + m) / (2 * m)], [n, m])
    model = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-9, max_iter=100)
    model.fit(
        np.concatenate([design, design]),
        np.repeat([True, False], n + m),
        np.concatenate([weight * target, weight * (1 - target)]),
    )
    slope = model.coef_[0, 0] * _UNPENALISED / scale
    if slope <= 0:  # samples score above real images: the discriminator cannot separate, and is not to be inverted
        return Calibration(0.0, 0.0)
    offsets = model.intercept_[0] + model.coef_[0, 1:] - slope * middle
    by_name = {str(name): float(offset) for name, offset in zip(names, offsets, strict=True)}
    return Calibration(float(slope), float(offsets.mean()), by_name)


def read_calibration(report: Path) -> Calibration | None:
    """Reads `calibration` from the `report.json` of an evaluation; None if there is no file or no calibration in it.

    Raises:
        FaceForgeError: the file is not the report of an evaluation.
    """
    if not report.is_file():
        return None
    try:
        content = json.loads(report.read_bytes()).get("calibration")
        calibration = Calibration(**content) if content else None
        if calibration is not None and not _is_plausible(calibration):
            raise ValueError
        return calibration
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise FaceForgeError(f"{report} is not the report of an evaluation; remove it or evaluate again") from None


def _is_plausible(calibration: Calibration) -> bool:
    """Whether all values are finite numbers; a report may come from a stranger."""
    values = [calibration.slope, calibration.offset, *calibration.offsets.values()]
    return all(isinstance(value, int | float) and math.isfinite(value) for value in values)


def calibration_error(probability: NDArray[np.floating], real: NDArray[np.bool_]) -> float:
    """Expected calibration error in [0, 1]: mean gap between the stated P(real) and the actual share of real images.

    Over `BINS` equal bins of probability, weighted by the images in them; real images and samples have equal weight.

    Args:
        probability: stated P(real), (N,).
        real: whether each image was real, (N,); both kinds must occur.
    """
    weight = np.where(real, 0.5 / real.sum(), 0.5 / (~real).sum())
    bins = np.minimum((probability * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weight * (real - probability), BINS)
    return float(np.abs(gaps).sum())


def _middles(logits: Logits, group: NDArray[np.intp], real: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Per group the midpoint between its real images and its samples; for groups of one kind the mean midpoint."""
    sums = [np.bincount(group[kind], logits[kind], group.max() + 1) for kind in (real, ~real)]
    counts = [np.bincount(group[kind], minlength=group.max() + 1) for kind in (real, ~real)]
    both = (counts[0] > 0) & (counts[1] > 0)
    middles = np.mean([sums[kind] / np.maximum(counts[kind], 1) for kind in (0, 1)], axis=0)
    return np.where(both, middles, middles[both].mean() if both.any() else logits.mean())


def _keys(labels: Labels) -> list[str]:
    return [",".join(map(str, row)) for row in labels.tolist()]
