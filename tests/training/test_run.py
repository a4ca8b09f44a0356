"""A run's memory: checkpoints, rollbacks and the best networks, without a step being taken."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from faceforge.compute import backend
from faceforge.config import resolve
from faceforge.errors import FaceForgeError
from faceforge.models.spec import ModelSpec
from faceforge.training.checkpoint import Checkpoint
from faceforge.training.feed import InMemory
from faceforge.training.run import TOLERANCE, Run

SETTINGS = "train.batch_size=4, train.learning_rate=0.01, train.gamma=2, train.spectral_norm=true"


@pytest.fixture
def run() -> Run:
    images = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), np.uint8)
    codes = np.arange(12, dtype=np.int32)[:, None] % 2
    spec = ModelSpec(family="compact", image_size=32, channels=3, latent_size=8, width=4, max_width=8, classes=(2,))
    feed = InMemory(images, codes, batch_size=4, seed=0)
    return Run(spec, resolve("toy", SETTINGS).train, {"odd": ["no", "yes"]}, feed, backend.Replicas())


def move(run: Run, amount: float) -> None:
    """As steps would, and 10 of them."""
    run._state = tf.nest.map_structure(lambda array: array + amount, run._state)
    run.done += 10


def arrays(run: Run) -> list[np.ndarray]:
    return [np.asarray(array) for array in tf.nest.flatten(run._state)]


def equal(ours: list[np.ndarray], theirs: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def through_json(checkpoint: Checkpoint) -> Checkpoint:
    facts: dict[str, Any] = json.loads(json.dumps(checkpoint.facts))
    return Checkpoint(checkpoint.step, checkpoint.seconds, checkpoint.arrays, facts)


def test_a_checkpoint_holds_everything(run: Run) -> None:
    run.note_score(3.0)
    move(run, 0.1)
    run.note_score(5.0)
    run.rollback()
    move(run, 0.25)
    run.seconds = 12.5
    kept, best, score = arrays(run), [*run._best], run.summary()["best_score"]
    checkpoint = through_json(run.checkpoint())
    move(run, 1.0)
    run.note_score(1.0)
    run.rollback()
    run.restore(checkpoint)
    assert equal(arrays(run), kept)
    assert equal(run._best, best)
    assert run.summary()["best_score"] == score == 3.0
    assert (run.done, run.seconds, run.idle, run.summary()["rollbacks"]) == (20, 12.5, 1, 1)


def test_a_rollback_restores_the_last_checkpoint_with_a_gentler_recipe(run: Run) -> None:
    first, before = arrays(run), run.scalars()
    move(run, 0.5)
    run.rollback()  # no checkpoint so far: to the start
    assert equal(arrays(run), first)
    assert run.done == 10  # the budget is spent all the same
    assert run.scalars()["learning_rate"] == pytest.approx(before["learning_rate"] / 2, rel=1e-3)
    assert run.scalars()["gamma"] == pytest.approx(before["gamma"] * 2, rel=1e-3)
    move(run, 0.5)
    saved = arrays(run)
    run.checkpoint()
    for _ in range(2):
        move(run, np.inf)
        run.checkpoint(roll_back_to=False)  # one that the clock has decided about
        run.rollback()
        assert equal(arrays(run), saved)
    with pytest.raises(FaceForgeError, match=r"diverge after 160 images.*lower train\.learning_rate"):
        run.rollback()


def test_the_newest_networks_are_the_best_unless_earlier_ones_were_clearly_better(run: Run) -> None:
    kernels = []
    for score, better, idle in ((4.0, True, 0), (2.0, True, 0), (2.0 * (1 + TOLERANCE / 2), True, 1), (3.0, False, 2)):
        move(run, 0.01)
        run.note_score(score)
        kernels.append(run._values())
        assert equal(run._best, kernels[-1]) == better
        assert run.idle == idle
    run.note_score(float("nan"))
    assert run.idle == 3
    generator, discriminator = run.networks()
    found = [np.asarray(v.value) for v in (*generator.variables, *discriminator.variables)]
    assert equal(found, kernels[2])
    assert run.summary()["best_score"] == 2.0 * (1 + TOLERANCE / 2)


def test_a_slow_decline_does_not_replace_the_best_networks(run: Run) -> None:
    for score in (1.0, 1 + 0.8 * TOLERANCE, 1 + 1.6 * TOLERANCE, 1 + 2.4 * TOLERANCE):
        move(run, 0.01)
        run.note_score(score)
    assert run.summary()["best_score"] == 1 + 0.8 * TOLERANCE


def test_a_batch_must_be_shared_evenly(run: Run) -> None:
    replicas = backend.Replicas()
    replicas.count = 3
    with pytest.raises(FaceForgeError, match="make it a multiple of 3"):
        Run(run.spec, run.recipe, {"odd": ["no", "yes"]}, run._feed, replicas)
