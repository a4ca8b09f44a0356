"""Modes that are missing are missed, and a latent that is ignored is found out."""

import numpy as np
import pytest
from numpy.typing import NDArray

from faceforge.data.sources.toyfaces import COLUMN, EXPRESSIONS, draw_toyfaces
from faceforge.errors import FaceForgeError
from faceforge.evaluation.diagnostics.collapse import clusters, collapse, latent_sensitivity

VOCABULARY = {COLUMN: list(EXPRESSIONS)}
IMAGES, CODES = draw_toyfaces(1200, 16, seed=6)
TRAIN, HOLDOUT, FRESH = IMAGES[:600], (IMAGES[600:900], CODES[600:900]), (IMAGES[900:], CODES[900:])


def measured(images: NDArray[np.uint8], codes: NDArray[np.int32] = FRESH[1]) -> dict[str, float]:
    return collapse(TRAIN, HOLDOUT, (images, codes), VOCABULARY).metrics


def test_fresh_real_images_are_as_varied_as_real_ones() -> None:
    metrics = measured(FRESH[0])
    assert metrics["collapse/bins"] == 16
    assert metrics["collapse/modes_pixels"] == metrics["collapse/modes_pixels_floor"] == 1
    assert metrics["collapse/uneven_pixels"] <= 0.25
    assert metrics["collapse/diversity"] == pytest.approx(1, abs=0.05)


def test_a_set_against_itself_is_the_floor() -> None:
    metrics = collapse(TRAIN, HOLDOUT, HOLDOUT, VOCABULARY).metrics
    assert metrics["collapse/diversity"] == metrics["collapse/diversity_lowest"] == 1
    for measure in ("modes", "uneven"):
        assert metrics[f"collapse/{measure}_pixels"] == metrics[f"collapse/{measure}_pixels_floor"]


def test_few_faces_over_and_over_are_few_modes() -> None:
    metrics = measured(FRESH[0][np.arange(300) % 6])
    assert metrics["collapse/modes_pixels"] <= 6 / 16
    assert metrics["collapse/uneven_pixels"] > 0.8


def test_kinds_of_faces_left_out_leave_bins_empty() -> None:
    dark = FRESH[0].mean(axis=(1, 2, 3)) < np.median(FRESH[0].mean(axis=(1, 2, 3)))
    metrics = collapse(TRAIN, HOLDOUT, (FRESH[0][dark], FRESH[1][dark]), VOCABULARY).metrics
    assert metrics["collapse/uneven_pixels"] > metrics["collapse/uneven_pixels_floor"] + 0.3


def test_a_class_that_always_looks_alike_is_named() -> None:
    images = FRESH[0].copy()
    smiling = FRESH[1][:, 0] == 1
    images[smiling] = images[smiling][:2][np.arange(smiling.sum()) % 2]
    found = collapse(TRAIN, HOLDOUT, (images, FRESH[1]), VOCABULARY)
    assert min(found.classes, key=lambda row: row.diversity).name == "smiling"
    assert found.metrics["collapse/diversity_lowest"] < 0.8
    assert max(row.diversity for row in found.classes) > 0.9


def test_blur_lowers_diversity_and_noise_raises_it() -> None:
    flat = FRESH[0].mean(axis=(1, 2), keepdims=True).astype(np.uint8) + np.zeros_like(FRESH[0])
    noise = np.random.default_rng(0).integers(0, 256, FRESH[0].shape, dtype=np.uint8)
    assert measured(flat)["collapse/diversity"] < 0.9
    assert measured(noise)["collapse/diversity"] > 1.1


def test_modes_are_counted_in_other_spaces_too_and_without_labels() -> None:
    rng = np.random.default_rng(0)
    spots = rng.normal(0, 0.01, (1200, 2)).astype(np.float32) + 10 * (np.arange(1200) % 16)[:, None]
    few = spots[:300][np.arange(300) % 16 < 8]
    found = collapse(
        TRAIN,
        (HOLDOUT[0], np.zeros((300, 0), int)),
        (FRESH[0], np.zeros((300, 0), int)),
        {},
        {"spots": (spots[:600], spots[600:900], few), "broken": (spots[:600] * np.nan,) * 3},
    )
    assert found.metrics["collapse/modes_spots_floor"] > 0.8  # bins within a spot are as small as rounding errors
    assert found.metrics["collapse/modes_spots"] < 0.6
    assert np.isnan(found.metrics["collapse/modes_broken"])
    assert found.metrics["collapse/diversity"] == pytest.approx(1, abs=0.05)
    assert not found.classes


def test_refuses_too_few_with_the_minimum() -> None:
    with pytest.raises(FaceForgeError, match="at least 50"):
        collapse(TRAIN, HOLDOUT, (FRESH[0][:20], FRESH[1][:20]), VOCABULARY)


def test_clusters_find_what_lies_apart() -> None:
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(at, 0.1, (100, 2)) for at in (0, 10)]).astype(np.float32)
    centres = clusters(points, 2, seed=0)
    np.testing.assert_allclose(np.sort(centres[:, 0]), [0, 10], atol=0.1)


def test_latents_that_matter_are_counted() -> None:
    labels = np.zeros((3, 0), np.int32)

    def first_three(latents: NDArray[np.float32], asked: NDArray[np.int32]) -> NDArray[np.uint8]:
        assert len(latents) == len(asked)
        return np.clip(128 + 20 * latents[:, :3], 0, 255).astype(np.uint8)[:, None, None, :] + np.zeros(
            (1, 4, 4, 1), np.uint8
        )

    found = latent_sensitivity(first_three, 24, labels)
    assert found["collapse/latent_dimensions"] == pytest.approx(3, abs=0.6)
    # One of three channels changes by 20 x the difference of two normals, for 3 of 24 dimensions.
    assert found["collapse/latent_sensitivity"] == pytest.approx(20 * np.sqrt(2 / 3 * 3 / 24), rel=0.25)

    def constant(latents: NDArray[np.float32], asked: NDArray[np.int32]) -> NDArray[np.uint8]:
        return np.full((len(latents), 4, 4, 1), 7, np.uint8)

    assert set(latent_sensitivity(constant, 24, labels).values()) == {0.0}
