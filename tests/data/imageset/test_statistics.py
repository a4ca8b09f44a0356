from __future__ import annotations

import numpy as np
import pytest

from faceforge.config import IngestConfig
from faceforge.data.imageset.digest import ContentDigest
from faceforge.data.imageset.statistics import EDGES, StatisticsBuilder, pack_moments, unpack_moments
from faceforge.data.pixels import Pixels, encode
from faceforge.data.preprocess.prepare import prepare_image
from faceforge.data.sources.toyfaces import draw_toyfaces

FACES, _ = draw_toyfaces(600, image_size=32)  # more than are counted at once


def built(images: Pixels, channels: int = 3) -> StatisticsBuilder:
    builder = StatisticsBuilder(channels, 32)
    for image in images:
        prepared = prepare_image(image, IngestConfig.model_validate({"image_size": 32, "channels": channels}))
        builder.add(encode(prepared.pixels), prepared.measures)
    return builder


def test_moments_are_those_of_all_pixels() -> None:
    found = built(FACES).finish()
    np.testing.assert_allclose(found.mean, FACES.mean((0, 1, 2)) / 255)
    np.testing.assert_allclose(found.std, FACES.std((0, 1, 2)) / 255)


def test_distributions_count_every_image_once() -> None:
    found = built(FACES).finish().distributions
    assert set(found) == set(EDGES)
    assert all(sum(part.counts) == 600 for part in found.values())
    width = found["width"]
    (filled,) = np.flatnonzero(width.counts)
    assert width.edges[filled] <= 32 < width.edges[filled + 1]
    middle = (np.array(found["brightness"].edges)[1:] + found["brightness"].edges[:-1]) / 2
    grey = FACES.astype(float) @ (0.299, 0.587, 0.114) / 255
    assert np.average(middle, weights=found["brightness"].counts) == pytest.approx(grey.mean(), abs=0.01)


def test_outliers_fall_into_the_outermost_bins() -> None:
    builder = StatisticsBuilder(3, 32)
    prepared = prepare_image(FACES[0], IngestConfig.model_validate({"image_size": 32}))
    for width in (1, 100_000):
        builder.add(encode(prepared.pixels), prepared.measures._replace(width=width))
    counts = builder.finish().distributions["width"].counts
    assert (counts[0], counts[-1], sum(counts)) == (1, 1, 2)


@pytest.mark.parametrize("channels", [1, 3])
def test_thumbnails_keep_their_moments(channels: int) -> None:
    packed = built(FACES[:100], channels).finish().thumbnails
    assert packed is not None
    assert (packed.count, packed.size) == (100, 16 * channels)
    mean, covariance = unpack_moments(packed)
    grey = FACES[:100].astype(float) @ ((0.299, 0.587, 0.114) if channels == 1 else np.eye(3)) / 255
    looks = grey.reshape(100, 4, 8, 4, 8, channels).mean((2, 4)).reshape(100, -1)
    np.testing.assert_allclose(mean, looks.mean(0), atol=0.003)
    np.testing.assert_allclose(covariance, np.cov(looks.T, bias=True), atol=0.002)


def test_packing_is_undone_by_unpacking() -> None:
    rng = np.random.default_rng(0)
    square = rng.normal(size=(5, 5))
    mean, covariance = unpack_moments(pack_moments(9, rng.normal(size=5), square + square.T))
    np.testing.assert_allclose(covariance, square + square.T, rtol=1e-6)
    assert mean.shape == (5,)


def test_order_does_not_matter() -> None:
    assert built(FACES).finish() == built(FACES[::-1]).finish()


def test_what_is_not_measured_is_left_out() -> None:
    builder = StatisticsBuilder(3, 32)
    builder.add(encode(FACES[0]))
    found = builder.finish()
    assert found.mean
    assert not found.distributions
    assert found.thumbnails is None
    assert StatisticsBuilder(1, 32).finish().mean == [0]


def test_classes_that_occur_together_are_counted_most_frequent_first() -> None:
    content = ContentDigest(["hat", "age"])
    rows = [("train", "yes", "old")] * 2 + [("train", "no", "old")] * 3 + [("holdout", "no", "young")] * 4
    for number, (split, hat, age) in enumerate(rows):
        content.add(split, f"{number:064x}", {"hat": hat, "age": age})  # type: ignore[arg-type]
    found, distinct = content.combinations(2)
    assert distinct == 3
    assert [(item.labels, item.train, item.holdout) for item in found] == [
        ({"age": "old", "hat": "no"}, 3, 0),
        ({"age": "old", "hat": "yes"}, 2, 0),
    ]
