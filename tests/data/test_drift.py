from __future__ import annotations

import numpy as np
import pytest

from faceforge.config import IngestConfig
from faceforge.data.drift import compare
from faceforge.data.imageset.info import DatasetInfo, SplitCounts
from faceforge.data.imageset.statistics import StatisticsBuilder
from faceforge.data.pixels import Pixels, encode
from faceforge.data.preprocess.prepare import prepare_image
from faceforge.data.sources.toyfaces import draw_toyfaces

CONFIG = IngestConfig.model_validate({"image_size": 32})
FACES, _ = draw_toyfaces(800, image_size=32)


def described(images: Pixels, classes: dict[str, dict[str, int]] | None = None, enlarged: int = 1) -> DatasetInfo:
    """What ingest would write about these training images."""
    builder = StatisticsBuilder(3, 32)
    for image in images:
        prepared = prepare_image(image.repeat(enlarged, 0).repeat(enlarged, 1), CONFIG)
        builder.add(encode(prepared.pixels), prepared.measures)
    classes = classes or {}
    return DatasetInfo(
        source="test",
        image_size=32,
        channels=3,
        labels={column: list(counts) for column, counts in classes.items()},
        counts={"train": SplitCounts(total=len(images), classes=classes), "holdout": SplitCounts()},
        statistics=builder.finish(),
        digest="",
        holdout_digest="",
    )


HALF = described(FACES[:400], {"hat": {"yes": 200, "no": 200}})


def test_a_set_has_not_drifted_from_itself_nor_from_its_like() -> None:
    same = compare(HALF, HALF)
    assert same.warnings == ()
    assert set(same.metrics.values()) == {0.0}
    other = compare(described(FACES[400:], {"hat": {"yes": 190, "no": 210}}), HALF)
    assert other.warnings == ()
    assert other.metrics["drift/labels_hat"] == pytest.approx(0.025)
    assert other.metrics["drift/thumbnail_frechet"] < 0.02


def test_darker_images_are_told() -> None:
    found = compare(described((FACES[400:] * 0.7).astype(np.uint8), {"hat": {"yes": 200, "no": 200}}), HALF)
    assert found.metrics["drift/brightness"] > 0.4
    assert found.metrics["drift/thumbnail_frechet"] > 0.1
    told = " ".join(found.warnings)
    assert "brightness, median 0.5" in told
    assert "light" in told
    assert "labels_hat" not in told


def test_other_colours_at_equal_brightness_are_told() -> None:
    found = compare(described(FACES[400:, :, :, ::-1], {"hat": {"yes": 200, "no": 200}}), HALF)
    assert found.metrics["drift/thumbnail_frechet"] > 0.1


def test_larger_sources_are_told() -> None:
    found = compare(described(FACES[400:], {"hat": {"yes": 200, "no": 200}}, enlarged=3), HALF)
    assert found.metrics["drift/width"] == 1.0
    assert "width, median 35" in " ".join(found.warnings)


def test_class_shares_are_told_with_the_class_that_moved_most() -> None:
    found = compare(described(FACES[400:], {"hat": {"yes": 40, "no": 350, "two": 10}}), HALF)
    assert found.metrics["drift/labels_hat"] == pytest.approx(0.4)
    assert any("'hat', most of all 'yes': 50.0% -> 10.0%" in told for told in found.warnings)


def test_columns_that_came_and_went_are_told() -> None:
    found = compare(described(FACES[400:], {"glasses": {"yes": 200, "no": 200}}), HALF)
    assert found.warnings == ("label column 'glasses' is new", "label column 'hat' is gone")


def test_few_images_are_no_reason_for_alarm() -> None:
    """Thirty of the same kind differ a lot by chance."""
    for start in range(0, 600, 60):
        few = described(FACES[start : start + 30], {"hat": {"yes": 12, "no": 18}})
        more = described(FACES[start + 30 : start + 60], {"hat": {"yes": 18, "no": 12}})
        assert compare(few, more).warnings == ()


def test_sets_without_statistics_can_be_compared_by_labels() -> None:
    old = HALF.model_copy(update={"statistics": StatisticsBuilder(3, 32).finish()})
    assert set(compare(HALF, old).metrics) == {"drift/labels_hat"}
    empty = HALF.model_copy(update={"counts": {"train": SplitCounts(), "holdout": SplitCounts()}})
    assert compare(HALF, empty).warnings == ("one of the training sets is empty",)


def test_the_resolution_forbids_some_comparisons() -> None:
    smaller = HALF.model_copy(update={"image_size": 64})
    assert not {"drift/contrast", "drift/sharpness"} & set(compare(HALF, smaller).metrics)
