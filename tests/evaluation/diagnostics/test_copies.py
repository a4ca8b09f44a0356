"""Copies of training images are found in every disguise of docs/evaluation.md's table, and honest samples pass."""

from __future__ import annotations

import numpy as np
import pytest

from faceforge.data.sources.toyfaces import draw_toyfaces
from faceforge.evaluation.diagnostics.copies import CopyDetector, Distances, count_copies
from tests.evaluation.diagnostics.attacks import ATTACKS, PARTIAL, blended, clipped, pasted

FACES, _ = draw_toyfaces(1200, 32, seed=4)
TRAIN, HOLDOUT, FRESH = FACES[:700], FACES[700:1000], FACES[1000:]
COPIES = 24  # different ones, which are repeated if there are more


@pytest.fixture(scope="module")
def detector() -> CopyDetector:
    return CopyDetector(TRAIN, HOLDOUT)


@pytest.fixture(scope="module")
def honest(detector: CopyDetector) -> dict[str, Distances]:
    return detector.distances(FRESH)


def caught(detector: CopyDetector, honest: dict[str, Distances], copies: np.ndarray, share: float) -> bool:
    """Whether the gate would hold a model of which a share of 1,000 samples are such copies, the others honest."""
    hidden = detector.distances(copies)
    count = round(1000 * share)
    chosen, others = np.arange(count) % len(copies), np.arange(1000 - count) % len(FRESH)
    mixed = {
        space: Distances(
            *(np.concatenate([one[chosen], other[others]]) for one, other in zip(found, honest[space], strict=True))
        )
        for space, found in hidden.items()
    }
    results = [detector.copies(found, space) for space, found in mixed.items()]
    return detector.near_exact(mixed).sum() > 2 or any(result.count > result.limit for result in results)


@pytest.mark.parametrize("attack", ATTACKS)
def test_hidden_copies_are_found(attack: str, detector: CopyDetector, honest: dict[str, Distances]) -> None:
    share, change = ATTACKS[attack]
    assert caught(detector, honest, change(TRAIN[:COPIES]), share)


@pytest.mark.parametrize("attack", PARTIAL)
def test_parts_and_blends_are_found(attack: str, detector: CopyDetector, honest: dict[str, Distances]) -> None:
    share, change = PARTIAL[attack]
    assert caught(detector, honest, change(TRAIN[:COPIES], TRAIN[100 : 100 + COPIES], FRESH[:COPIES]), share)


def test_known_limits(detector: CopyDetector, honest: dict[str, Distances]) -> None:
    """Not caught, as docs/evaluation.md says; when one of these fails, the check has improved."""
    first, second, third, unseen = TRAIN[:COPIES], TRAIN[100 : 100 + COPIES], TRAIN[200 : 200 + COPIES], FRESH[:COPIES]
    band = pasted(first, unseen, slice(8, 20), slice(None))
    upside_down = first[:, ::-1].copy()
    for hidden in (
        255 - first,
        upside_down,
        blended(blended(first, second), third, 2 / 3),
        blended(first, unseen),
        band,
    ):
        assert not caught(detector, honest, hidden, 0.06)


def test_honest_and_poor_samples_are_not_taken_for_copies(detector: CopyDetector, honest: dict[str, Distances]) -> None:
    blurred = np.mean([np.roll(FRESH, by, axis) for by in (-1, 0, 1) for axis in (1, 2)], axis=0)
    noisy = FRESH + np.random.default_rng(0).normal(0, 40, FRESH.shape)
    for distances in (honest, detector.distances(clipped(blurred)), detector.distances(clipped(noisy))):
        for space, of_space in distances.items():
            result = detector.copies(of_space, space)
            assert result.count <= result.limit
        assert detector.near_exact(distances).sum() <= 2


def test_originals_are_named(detector: CopyDetector) -> None:
    rows = detector.distances(np.ascontiguousarray(TRAIN[:40, :, ::-1]))["pixels"].train_row
    assert (rows == np.arange(40)).mean() > 0.95


def test_the_limit_is_exceeded_by_unseen_images_as_rarely_as_stated() -> None:
    rng = np.random.default_rng(0)

    def distances(count: int) -> Distances:
        nowhere = np.zeros(count, np.intp)
        return Distances(rng.gamma(9, 1, count), rng.gamma(9, 1, count), nowhere, nowhere)

    results = [count_copies(distances(400), distances(300), false_alarm=0.05) for _ in range(400)]
    exceeded = np.mean([result.count > result.limit for result in results])
    assert 0.01 <= exceeded <= 0.08
    assert np.mean([result.share for result in results]) == pytest.approx(0.01, abs=0.004)


def test_a_set_with_near_duplicates_does_not_accuse_its_models() -> None:
    detector = CopyDetector(np.concatenate([FACES[:60], TRAIN[60:120]]), np.concatenate([FACES[:60], HOLDOUT[:60]]))
    assert detector.near_exact(detector.distances(FACES[:20])).sum() == 0
