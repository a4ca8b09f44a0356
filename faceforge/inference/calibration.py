"""From logits to probabilities: Platt's sigmoid, with an offset for every combination of labels.

Platt (1999), "Probabilistic outputs for support vector machines"; the error is that of Guo et al. (2017), "On
calibration of modern neural networks". A conditional discriminator never compares images of different labels, so its
logits are comparable within a combination of labels only: hence one slope, and an offset for each.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError

Logits = NDArray[np.floating]
Labels = NDArray[np.integer]
Scored = tuple[Logits, Labels]  # logits (N,) and labels (N, columns) of the same images

BINS = 10  # of the calibration error
_PULL = 1.0  # how strongly the offsets are held together; as good as nothing from a few dozen images on
_STEPS = 50  # of Newton's method; it needs fewer than ten


@dataclass(frozen=True)
class Calibration:
    """Turns a discriminator's logits into P(real), for images of which half are real and half are samples.

    `dataclasses.asdict` makes it JSON, `Calibration(**...)` makes that a calibration again, and so does
    `read_calibration` of an evaluation's report.

    Attributes:
        slope: of the sigmoid, >= 0; 0 = the discriminator cannot tell, and every probability is 0.5.
        offset: of label combinations that are not in `offsets`.
        offsets: label codes, in the order of the model's columns and joined by commas ("2,0"; "" without labels) ->
            offset.
    """

    slope: float
    offset: float
    offsets: Mapping[str, float] = field(default_factory=dict)

    def probability(self, logits: Logits, labels: Labels) -> NDArray[np.float64]:
        """P(real), float64 (N,) in (0, 1), of logits (N,) of images with labels (N, columns)."""
        shifts = np.array([self.offsets.get(key, self.offset) for key in _keys(labels)], np.float64)
        # Logits as large as this say "certain"; larger ones would only overflow.
        z = np.clip(self.slope * np.asarray(logits, np.float64) + shifts, -500, 500)
        result: NDArray[np.float64] = 1 / (1 + np.exp(-z))
        return result


def calibrate(real: Scored, fake: Scored) -> Calibration:
    """Fits a calibration to real images that the model was not trained on, and to samples.

    Args:
        real: logits (N,) and labels (N, columns) of real images, N at least 1.
        fake: the same of samples.

    Both kinds weigh the same, however many there are of each. Logits must be finite.
    """
    logits = np.concatenate([real[0], fake[0]]).astype(np.float64)
    names, group = np.unique(_keys(real[1]) + _keys(fake[1]), return_inverse=True)
    # Platt's targets: not quite 1 and 0, so that the fit stays finite where the two kinds are fully apart.
    n, m = len(real[0]), len(fake[0])
    target = np.repeat([(n + 1) / (n + 2), 1 / (m + 2)], [n, m])
    weight = np.repeat([(n + m) / (2 * n), (n + m) / (2 * m)], [n, m])
    middle = _middles(logits, group, np.arange(n + m) < n)
    scale = (logits - middle[group]).std() or 1.0
    # Columns: slope, offset, and every combination's deviation from that offset.
    design = np.column_stack([(logits - middle[group]) / scale, np.ones(n + m), np.eye(len(names))[group]])
    pull = np.array([1e-6, 1e-6, *[_PULL] * len(names)])
    found = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        likely = 1 / (1 + np.exp(-np.clip(design @ found, -500, 500)))
        slope = design.T @ (weight * (likely - target)) + pull * found
        curve = (design.T * (weight * likely * (1 - likely))) @ design + np.diag(pull)
        step = np.linalg.solve(curve, slope)
        found -= step / max(1.0, np.abs(step).max() / 5)  # no step so long that the sigmoid goes flat
        if np.abs(step).max() < 1e-9:
            break
    if found[0] <= 0:  # samples score above real images: it cannot tell, and must not be believed the other way round
        return Calibration(0.0, 0.0)
    offsets = found[1] + found[2:] - found[0] * middle / scale
    by_name = {str(name): float(offset) for name, offset in zip(names, offsets, strict=True)}
    return Calibration(float(found[0] / scale), float(offsets.mean()), by_name)


def read_calibration(report: Path) -> Calibration | None:
    """The calibration under `calibration` in an evaluation's `report.json`; None if there is no file, or none in it.

    Raises:
        FaceForgeError: the file cannot be read as a report.
    """
    if not report.is_file():
        return None
    try:
        found = json.loads(report.read_bytes()).get("calibration")
        return Calibration(**found) if found else None
    except (ValueError, TypeError, AttributeError):
        raise FaceForgeError(f"{report} is not the report of an evaluation; remove it or evaluate again") from None


def calibration_error(probability: NDArray[np.floating], real: NDArray[np.bool_]) -> float:
    """Expected calibration error in [0, 1]: how far a stated P(real) is from the share of real images, on average.

    Over `BINS` equal steps of probability, weighted by the images in them; real images and samples weigh the same.

    Args:
        probability: stated P(real), (N,).
        real: whether it was real, (N,); both kinds must be there.
    """
    weight = np.where(real, 0.5 / real.sum(), 0.5 / (~real).sum())
    bins = np.minimum((probability * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weight * (real - probability), BINS)
    return float(np.abs(gaps).sum())


def _middles(logits: Logits, group: NDArray[np.intp], real: NDArray[np.bool_]) -> NDArray[np.float64]:
    """For every group, the middle between its real images and its samples; of groups with one kind only, the mean."""
    sums = [np.bincount(group[kind], logits[kind], group.max() + 1) for kind in (real, ~real)]
    counts = [np.bincount(group[kind], minlength=group.max() + 1) for kind in (real, ~real)]
    both = (counts[0] > 0) & (counts[1] > 0)
    middles = np.mean([sums[kind] / np.maximum(counts[kind], 1) for kind in (0, 1)], axis=0)
    return np.where(both, middles, middles[both].mean() if both.any() else logits.mean())


def _keys(labels: Labels) -> list[str]:
    return [",".join(map(str, row)) for row in labels.tolist()]
