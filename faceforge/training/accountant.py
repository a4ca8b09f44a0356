"""The privacy loss of training steps, and the noise that keeps it within a budget: dp-accounting's PLD accountant.

A step adds Gaussian noise to a sum of clipped gradients over a Poisson sample of the images (Abadi et al. 2016,
DP-SGD). Privacy loss distributions are composed numerically and rounded up, so that epsilon is an upper bound (Koskela
et al. 2020; Doroshenko et al. 2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from typing import Any

from faceforge.compute.quiet import errors_only
from faceforge.errors import FaceForgeError
from faceforge.models.privacy import PrivateSteps

_RESOLUTION = 1e-3  # of privacy losses at noise 1 and below; at 1e-4 epsilon is 0.1 % lower and takes ten times as long
_LEAST_NOISE, _MOST_NOISE, _PRECISION = 0.1, 1e4, 1e-3


def accountant_name() -> str:
    """Method, library and version.

    Raises:
        FaceForgeError: the library is not installed.
    """
    _library()
    return f"PLD accountant of dp-accounting {metadata.version('dp-accounting')}"


def epsilon(spent: Sequence[PrivateSteps], delta: float) -> float:
    """The smallest epsilon, rounded up, with which all these steps together are (epsilon, delta)-private.

    Args:
        spent: steps on overlapping sets of images.
        delta: above 0, below 1.
    """
    library, pld = _library()
    # Neighbouring sets differ in one image that is added or removed.
    relation = library.NeighboringRelation.ADD_OR_REMOVE_ONE
    resolution = _RESOLUTION / max(1.0, min(part.noise_multiplier for part in spent))  # more noise: smaller losses
    accountant = pld.PLDAccountant(relation, value_discretization_interval=resolution)
    with errors_only("absl"):  # without notes on numerical series that the library leaves out
        for part in spent:
            step = library.PoissonSampledDpEvent(part.sampling_rate, library.GaussianDpEvent(part.noise_multiplier))
            accountant.compose(step, part.steps)
        return float(accountant.get_epsilon(delta))


def noise_multiplier(
    target: float, delta: float, sampling_rate: float, steps: int, earlier: Sequence[PrivateSteps] = ()
) -> float:
    """The least noise, in units of the clipping norm, with which `steps` steps stay within epsilon `target`.

    Args:
        target: epsilon that all steps together may reach.
        delta: above 0, below 1.
        sampling_rate: probability of each image to be in a batch.
        steps: number of steps to come.
        earlier: steps that were already taken on the same images.

    Raises:
        FaceForgeError: the earlier steps have spent the budget.
    """
    if earlier and (spent := epsilon(earlier, delta)) >= target:
        raise FaceForgeError(
            f"the start model has already spent epsilon {spent:.3g} on these images, and train.dp_epsilon is"
            f" {target:g}: raise it, or train from new weights"
        )

    def reached(noise: float) -> float:
        steps_to_come = PrivateSteps(noise_multiplier=noise, sampling_rate=sampling_rate, steps=steps)
        return epsilon([*earlier, steps_to_come], delta)

    # Losses of very small noise are slow to compute, so the search comes from above.
    low, high = _LEAST_NOISE, 1.0
    while reached(high) > target:
        low, high = high, high * 2
        if high > _MOST_NOISE:
            raise FaceForgeError(
                f"no noise keeps {steps:,} steps within train.dp_epsilon={target:g}; raise it or train fewer steps"
            )
    while low < high / 2 and reached(high / 2) <= target:
        high /= 2
    low = max(low, high / 2)
    while high / low > 1 + _PRECISION:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if reached(middle) <= target else (middle, high)
    return high


def _library() -> tuple[Any, Any]:
    try:
        import dp_accounting
        from dp_accounting import pld
    except ImportError:
        raise FaceForgeError(
            "train.dp_epsilon needs the package dp-accounting: pip install '.[privacy]' in a checkout"
        ) from None
    return dp_accounting, pld
