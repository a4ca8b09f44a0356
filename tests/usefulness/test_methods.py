"""Which images each method draws, and how often."""

import numpy as np
import pytest

from faceforge.usefulness.methods import BASELINES, MORE, MORE_REAL, REAL, SAMPLE, USES, Method, Pool, phases

METHODS = {method.name: method for method in (*BASELINES, *USES, MORE_REAL)}


@pytest.fixture(scope="module")
def pool() -> Pool:
    """Three classes with 30, 10 and 2 real images, samples of the last two, more real images of the last."""
    parts = [(0, REAL, 30), (1, REAL, 10), (2, REAL, 2), (1, SAMPLE, 5), (2, SAMPLE, 60), (2, MORE, 8)]
    codes, origin = (np.repeat([part[column] for part in parts], [part[2] for part in parts]) for column in (0, 1))
    return Pool(np.zeros((len(codes), 8, 8, 1), np.uint8), codes, origin, 3)


def share(pool: Pool, probability: np.ndarray, code: int, origin: int) -> float:
    return float(probability[(pool.codes == code) & (pool.origin == origin)].sum())


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_probabilities_and_shares_of_steps_add_up(pool: Pool, method: Method) -> None:
    parts = phases(method, pool, seed=0)
    assert sum(phase.share for phase in parts) == 1
    for phase in parts:
        assert phase.probability.sum() == pytest.approx(1)
        assert phase.probability.min() >= 0


def test_only_uses_of_samples_draw_samples(pool: Pool) -> None:
    for method in METHODS.values():
        drawn = sum(phase.probability[pool.origin == SAMPLE].sum() for phase in phases(method, pool, seed=0))
        assert (drawn > 0) == method.uses_samples
        extra = sum(phase.probability[pool.origin == MORE].sum() for phase in phases(method, pool, seed=0))
        assert (extra > 0) == (method is MORE_REAL)


def test_baselines(pool: Pool) -> None:
    real, adjusted, jitter, both = (
        phases(METHODS[name], pool, 0)[0] for name in ("real", "logit_adjusted", "jitter", "both")
    )
    assert (real.jitter, real.adjusted, adjusted.adjusted, jitter.jitter) == (False, False, True, True)
    assert (both.jitter, both.adjusted, jitter.adjusted) == (True, True, False)
    assert share(pool, real.probability, 2, REAL) == pytest.approx(2 / 42)
    for code in range(3):
        assert share(pool, jitter.probability, code, REAL) == pytest.approx(1 / 3)


def test_classes_are_filled_up_to_the_largest_as_far_as_samples_go(pool: Pool) -> None:
    probability = phases(METHODS["filled_up"], pool, 0)[0].probability
    counts = [sum(round(share(pool, probability, code, origin) * 75) for origin in (REAL, SAMPLE)) for code in range(3)]
    assert counts == [30, 15, 30]
    other = phases(METHODS["filled_up"], pool, 1)[0].probability
    assert (probability != other).any()  # the seed chooses the samples


def test_half_of_each_class_are_samples_if_it_has_any(pool: Pool) -> None:
    probability = phases(METHODS["half_mix"], pool, 0)[0].probability
    assert share(pool, probability, 0, REAL) == pytest.approx(1 / 3)
    for code in (1, 2):
        assert share(pool, probability, code, REAL) == pytest.approx(1 / 6)
        assert share(pool, probability, code, SAMPLE) == pytest.approx(1 / 6)


def test_pretraining_takes_samples_first_and_real_images_then(pool: Pool) -> None:
    first, then = phases(METHODS["pretraining"], pool, 0)
    assert share(pool, first.probability, 0, REAL) == pytest.approx(1 / 3)  # there are no samples of the class
    assert share(pool, first.probability, 2, SAMPLE) == pytest.approx(1 / 3)
    np.testing.assert_allclose(then.probability, phases(METHODS["jitter"], pool, 0)[0].probability)
    assert then.learning_rate < first.learning_rate
