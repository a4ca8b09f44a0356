from __future__ import annotations

import sys

import pytest

from faceforge.errors import FaceForgeError
from faceforge.models.privacy import PrivateSteps
from faceforge.training.accountant import accountant_name, epsilon, noise_multiplier

RATE, STEPS = 512 / 60_000, 20_000  # MNIST, as in published work


def steps(noise: float, rate: float = RATE, count: int = STEPS) -> PrivateSteps:
    return PrivateSteps(noise_multiplier=noise, sampling_rate=rate, steps=count)


@pytest.mark.parametrize("noise, published, tight", [(4.83, 1.0, 0.942), (0.91, 10.0, 9.29)])
def test_epsilon_of_published_noise_on_mnist(noise: float, published: float, tight: float) -> None:
    """The published values are of the older RDP accountant, whose bound is a little looser."""
    from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent
    from dp_accounting.rdp import RdpAccountant

    rdp = RdpAccountant()
    rdp.compose(PoissonSampledDpEvent(RATE, GaussianDpEvent(noise)), STEPS)
    assert rdp.get_epsilon(1 / 60_000) == pytest.approx(published, rel=0.03)
    assert epsilon([steps(noise)], 1e-5) == pytest.approx(tight, rel=0.01)
    assert epsilon([steps(noise)], 1e-5) < rdp.get_epsilon(1e-5)


def test_full_batches_give_the_gaussian_mechanism() -> None:
    """One release with noise 5: delta(epsilon) of Balle & Wang (2018), theorem 8, has a closed form."""
    from scipy.stats import norm

    found = epsilon([steps(5.0, rate=1.0, count=1)], 1e-5)
    delta = norm.cdf(0.1 - found * 5) - pow(2.718281828, found) * norm.cdf(-0.1 - found * 5)
    assert delta == pytest.approx(1e-5, rel=0.05)


def test_the_least_noise_that_keeps_the_budget() -> None:
    noise = noise_multiplier(3.0, 1e-5, 0.05, 200)
    assert 2.9 < epsilon([steps(noise, 0.05, 200)], 1e-5) <= 3.0


def test_earlier_steps_are_paid_for() -> None:
    earlier = [steps(1.5, 0.05, 200)]
    noise = noise_multiplier(5.0, 1e-5, 0.05, 200, earlier)
    together = epsilon([*earlier, steps(noise, 0.05, 200)], 1e-5)
    assert 4.8 < together <= 5.0
    assert noise > noise_multiplier(5.0, 1e-5, 0.05, 200)
    with pytest.raises(FaceForgeError, match=r"already spent epsilon .* train.dp_epsilon is 1"):
        noise_multiplier(1.0, 1e-5, 0.05, 200, earlier)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert accountant_name().startswith("PLD accountant of dp-accounting ")
    monkeypatch.setitem(sys.modules, "dp_accounting", None)
    with pytest.raises(FaceForgeError, match=r"pip install '\.\[privacy\]'"):
        accountant_name()
