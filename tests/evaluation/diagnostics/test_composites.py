"""Parts and blends of candidates are found, whichever candidates they come from."""

from __future__ import annotations

import numpy as np
import pytest

from faceforge.data.sources.toyfaces import draw_toyfaces
from faceforge.evaluation.diagnostics.composites import BlendIndex, PartIndex
from tests.evaluation.diagnostics.attacks import clipped, halved

FACES, _ = draw_toyfaces(340, 32, seed=6)
KNOWN, FRESH = FACES[:300], FACES[300:]


@pytest.fixture(scope="module")
def parts() -> PartIndex:
    return PartIndex(KNOWN)


@pytest.fixture(scope="module")
def blends() -> BlendIndex:
    return BlendIndex(KNOWN)


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("mirror", [False, True])
def test_a_copied_half_is_at_distance_zero(parts: PartIndex, axis: int, mirror: bool) -> None:
    samples = halved(KNOWN[:40], FRESH, axis)
    match = parts.nearest(np.ascontiguousarray(samples[:, :, ::-1]) if mirror else samples)
    assert match.distance.shape == match.row.shape == (40, 11)
    closest = match.distance.argmin(axis=1)
    assert (match.distance.min(axis=1) < 1e-3).all()
    assert (match.row[np.arange(40), closest] == np.arange(40)).mean() > 0.9  # flat backgrounds may be equal


def test_brightness_shows_copies_in_grey(parts: PartIndex) -> None:
    grey = np.repeat(KNOWN[:40].mean(axis=-1, keepdims=True), 3, axis=-1).astype(np.uint8)
    match = parts.nearest(grey)
    assert (match.row[:, -1] == np.arange(40)).all()
    assert match.distance[:, -1].max() < 0.5 * parts.nearest(FRESH).distance[:, -1].min()


@pytest.mark.parametrize("weight", [0.5, 0.58, 0.66])
def test_blends_of_two_are_near_and_those_of_unknown_images_are_not(blends: BlendIndex, weight: float) -> None:
    def mixed(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return clipped(weight * first.astype(float) + (1 - weight) * second)

    known = blends.nearest(mixed(KNOWN[:20], KNOWN[20:40])).distance
    unknown = blends.nearest(mixed(FRESH[:20], FRESH[20:40])).distance
    assert known.shape == (20, 1)
    assert np.median(known) < 0.2 * np.median(unknown)
    assert (known[:, 0] < unknown.min()).mean() >= 0.6


def test_an_image_is_not_its_own_neighbour(parts: PartIndex, blends: BlendIndex) -> None:
    own = parts.nearest(KNOWN, exclude_self=True)
    assert (own.row != np.arange(300)[:, None]).all()
    # A pair of equal candidates makes a blend that is the image itself.
    twice = BlendIndex(np.concatenate([KNOWN[:1], KNOWN]))
    assert twice.nearest(KNOWN[:1]).distance[0, 0] < 1e-3
    assert blends.nearest(KNOWN, exclude_self=True).distance.min() > 1


def test_rows_are_the_same_in_blocks_of_any_size(blends: BlendIndex) -> None:
    whole = blends.nearest(KNOWN, exclude_self=True)
    few = blends.nearest(KNOWN[:7], exclude_self=True)
    np.testing.assert_allclose(whole.distance[:7], few.distance, rtol=1e-5)
