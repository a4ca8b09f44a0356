from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faceforge.config import TrainConfig, resolve
from faceforge.data.imageset.info import DatasetInfo, SplitCounts, Statistics
from faceforge.errors import FaceForgeError
from faceforge.training import privacy
from faceforge.training.feed import InMemory
from faceforge.training.privacy import PrivacyPlan, check_private
from faceforge.training.private_feed import PoissonFeed

IMAGES, RATE = 400, 0.1
PRIVATE = "train.dp_epsilon=8, train.loss=bce, train.gamma=0, train.batch_size=40"


def recipe(settings: str = "") -> TrainConfig:
    return resolve("toy", f"{PRIVATE}, {settings}").train


def plan(key: tuple[int, int] = (1, 2**64 - 1), capacity: int = 90) -> PrivacyPlan:
    return PrivacyPlan(recipe(), noise=1.0, rate=RATE, capacity=capacity, key=key)


def feed(resident: bool = False, **changes: object) -> PoissonFeed:
    images = np.arange(IMAGES, dtype=np.uint16).view(np.uint8).reshape(IMAGES, 2, 1, 1)
    codes = np.zeros((IMAGES, 2), np.int32)  # all of one class
    return PoissonFeed(InMemory(images, codes, 40, seed=0, resident=resident), plan(**changes), (3, 2))  # type: ignore[arg-type]


def test_each_image_is_in_each_batch_independently_with_the_same_probability() -> None:
    poisson, steps = feed(resident=True), 600
    member = np.zeros((steps, IMAGES), bool)
    for step in range(steps):
        batch = poisson.batch(step)
        member[step, batch["rows"][batch["present"] > 0]] = True
    sizes = member.sum(axis=1)
    assert sizes.mean() == pytest.approx(IMAGES * RATE, rel=0.03)
    assert sizes.var() == pytest.approx(IMAGES * RATE * (1 - RATE), rel=0.2)  # binomial: no fixed size
    assert np.ptp(member.mean(axis=0)) < 0.1  # no image is favoured
    together = (member[:, 0] & member[:, 1]).mean()
    assert together == pytest.approx(RATE**2, abs=0.02)


def test_a_batch_is_no_larger_than_its_arrays_and_filled_with_rows_that_do_not_count() -> None:
    batch = feed(capacity=30).batch(0)
    assert batch["images"].shape == (30, 2, 1, 1)
    assert batch["present"].sum() == 30  # 40 were expected
    batch = feed(capacity=90).batch(0)
    assert 20 < batch["present"].sum() < 65
    assert len(batch["images"]) == len(batch["labels"]) == len(batch["present"]) == 90


def test_batches_and_noise_depend_on_the_secret_key_and_not_on_the_seed_of_the_recipe() -> None:
    one, same, other = feed(key=(1, 2)).batch(3), feed(key=(1, 2)).batch(3), feed(key=(1, 3)).batch(3)
    for name in one:
        np.testing.assert_array_equal(one[name], same[name])
    assert not np.array_equal(one["images"], other["images"])
    assert not np.array_equal(one["noise_seed"], other["noise_seed"])
    assert not np.array_equal(one["noise_seed"], feed(key=(1, 2)).batch(4)["noise_seed"])


def test_labels_of_samples_are_uniform_whatever_those_of_the_images_are() -> None:
    labels = np.concatenate([feed().batch(step)["fake_labels"] for step in range(40)])
    np.testing.assert_allclose(np.bincount(labels[:, 0], minlength=3) / len(labels), 1 / 3, atol=0.03)
    np.testing.assert_allclose(np.bincount(feed().codes[:, 1]) / IMAGES, 1 / 2, atol=0.1)


def test_a_plan_keeps_the_budget_and_its_key_is_not_in_the_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    made = PrivacyPlan.make(recipe(), images=IMAGES, steps=50)
    assert made.rate == RATE
    assert 40 < made.capacity < 110
    statement = made.statement(50)
    assert 7.8 < statement.epsilon <= 8
    assert made.statement(20).epsilon < statement.epsilon  # an unfinished training has spent less
    assert str(made.key[0]) not in statement.model_dump_json()
    monkeypatch.setattr(privacy, "noise_multiplier", lambda *_: 2.0)
    again = PrivacyPlan.make(recipe(), images=IMAGES, steps=50)
    assert again.key != made.key
    assert (again.resumed(made.facts()).key, again.resumed(made.facts()).noise) == (made.key, made.noise)


def info(count: int, parent: str = "") -> DatasetInfo:
    return DatasetInfo(
        source="x", image_size=32, channels=1, labels={}, counts={"train": SplitCounts(total=count)},
        statistics=Statistics(mean=[0.5], std=[0.1]), digest="d", holdout_digest="h", parent_digest=parent,
    )  # fmt: skip


def test_a_delta_that_protects_nobody_and_sets_with_several_versions_of_an_image_are_refused() -> None:
    check_private(info(1000), recipe(), Path("set"))
    with pytest.raises(FaceForgeError, match=r"train.dp_delta = 0.01 is too large for 1,000 training images"):
        check_private(info(1000), recipe("train.dp_delta=0.01"), Path("set"))
    with pytest.raises(FaceForgeError, match=r"set was made from another image set"):
        check_private(info(1000, parent="other"), recipe(), Path("set"))
