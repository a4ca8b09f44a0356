from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceforge.data.imageset.reader import ImageSet
from faceforge.data.imageset.writer import write_image_set
from faceforge.training import checks
from faceforge.training.checks import DISTANCE, MEMORISED, VARIETY, HoldoutCheck, warnings

LABELS = {"odd": ["no", "yes"]}


def pictures(count: int, seed: int, top: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, top, (count, 16, 16, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    splits = {
        "train": (pictures(30, 0, 256), np.arange(30)[:, None] % 2),
        "holdout": (pictures(20, 1, 256), np.arange(20)[:, None] // 10),
    }
    return write_image_set(tmp_path_factory.mktemp("checks") / "set", splits, LABELS)  # type: ignore[arg-type]


def measure(dataset: ImageSet, sample: np.ndarray, judge: Callable[[np.ndarray], Any]) -> dict[str, float]:
    given: list[np.ndarray] = []

    def samples(codes: np.ndarray) -> np.ndarray:
        given.append(codes)
        return sample[: len(codes)]

    found = HoldoutCheck(dataset, LABELS).measure(samples, lambda images, _: np.array(judge(images), np.float32))
    np.testing.assert_array_equal(given[0], dataset.load("holdout", ["odd"])[1])  # samples with the holdout's labels
    return found


def test_a_memorising_discriminator_is_detected(dataset: ImageSet) -> None:
    known = {image.tobytes() for image in dataset.load("train")[0]}
    noise = pictures(20, 2, 256)

    def share(found: float) -> Callable[[np.ndarray], list[float]]:
        return lambda images: [found * (image.tobytes() in known) for image in images]

    assert measure(dataset, noise, share(1.0))[MEMORISED] == 1
    assert measure(dataset, noise, share(-1.0))[MEMORISED] == -1
    assert measure(dataset, noise, share(0.0))[MEMORISED] == 0
    brightness = measure(dataset, noise, lambda images: images.mean(axis=(1, 2, 3)))[MEMORISED]
    assert abs(brightness) < 0.4


def test_the_distance_separates_good_samples_from_bad_ones(dataset: ImageSet) -> None:
    flat = [measure(dataset, pictures(20, 3, top), lambda images: images[:, 0, 0, 0])[DISTANCE] for top in (256, 128)]
    exact = measure(dataset, dataset.load("holdout")[0], lambda images: images[:, 0, 0, 0])[DISTANCE]
    assert exact == 0
    assert exact < flat[0] < flat[1] / 2


def test_checks_use_a_limited_number_of_images(dataset: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "IMAGES", 5)
    seen = []

    def judge(images: np.ndarray, codes: np.ndarray) -> np.ndarray:
        seen.append((images.shape, codes.shape))
        return np.zeros(len(images), np.float32)

    HoldoutCheck(dataset, LABELS).measure(lambda codes: pictures(len(codes), 0, 256), judge)
    HoldoutCheck(dataset, {}).measure(lambda codes: pictures(len(codes), 0, 256), judge)
    assert seen == [((5, 16, 16, 3), (5, columns)) for columns in (1, 1, 0, 0)]


def test_checks_cover_all_classes_of_a_set_ordered_by_class(tmp_path: Path) -> None:
    ordered = (pictures(600, 0, 256), np.arange(600)[:, None] // 300)
    images = write_image_set(tmp_path / "set", {"train": ordered, "holdout": ordered}, LABELS)
    seen: list[np.ndarray] = []

    def judge(images: np.ndarray, codes: np.ndarray) -> np.ndarray:
        seen.append(codes)
        return np.zeros(len(images), np.float32)

    HoldoutCheck(images, LABELS).measure(lambda codes: pictures(len(codes), 0, 256), judge)
    for codes in seen:
        assert len(codes) == checks.IMAGES
        assert abs(codes.mean() - 0.5) < 0.1


@pytest.mark.parametrize(
    ("point", "named", "advice"),
    [
        ({MEMORISED: 0.51, VARIETY: 1.0}, MEMORISED, "train.diffaugment"),
        ({MEMORISED: 0.5, VARIETY: 0.09}, VARIETY, "train.gamma"),
        ({VARIETY: 0.1}, None, ""),
        ({}, None, ""),
    ],
)
def test_warnings_name_the_problem_and_the_remedy(point: dict[str, float], named: str | None, advice: str) -> None:
    found = warnings(point)
    assert list(found) == ([named] if named else [])
    assert all(advice in text and "\n" not in text for text in found.values())


def test_the_advice_can_be_followed(tmp_path: Path) -> None:
    from faceforge.config import resolve

    text = warnings({MEMORISED: 1.0})[MEMORISED]
    setting = next(word for word in text.split() if word.startswith("train."))
    assert resolve("toy", setting).train.diffaugment == ("flip", "colour", "translation", "cutout")
