"""Training with differential privacy, end to end: what it states, resumes and refuses; what an attack loses by it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from faceforge.compute import backend
from faceforge.config import resolve
from faceforge.data.ingest.build import build_image_set
from faceforge.data.sources.toyfaces import draw_toyfaces
from faceforge.errors import FaceForgeError
from faceforge.models.bundle import BundleInfo
from faceforge.models.privacy import PrivacyStatement
from faceforge.models.spec import ModelSpec
from faceforge.training import accountant, privacy
from faceforge.training.feed import InMemory
from faceforge.training.privacy import PrivacyPlan, Start, examine_start
from faceforge.training.private_feed import PoissonFeed
from faceforge.training.run import Run
from faceforge.training.train import train_bundle

SIZES = "model.latent_size=8, model.width=4, model.max_width=8, train.log_points=20, train.grids=5"
RECIPE = f"{SIZES}, train.loss=bce, train.gamma=0, train.batch_size=8, train.precision=float32"
PRIVATE = f"{RECIPE}, train.dp_epsilon=20, train.discriminator_steps=2"
CONFIG = resolve("toy", f"{PRIVATE}, train.kimg=0.16, train.checkpoints=5")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "toy"
    build_image_set("toyfaces", folder, resolve("toy", "ingest.limit=160").ingest)
    return folder


@pytest.fixture(scope="module", autouse=True)
def _quick_search() -> Iterator[None]:
    """The search for the noise has tests of its own, and takes longer than these trainings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(privacy, "noise_multiplier", lambda *_: 0.9)
        yield


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    return train_bundle(data, out, CONFIG)


def test_the_bundle_states_what_was_spent_and_what_is_not_covered(trained: Path) -> None:
    info = BundleInfo.read(trained)
    statement = info.privacy
    assert statement is not None
    (steps,) = statement.spent
    assert (steps.steps, steps.noise_multiplier) == (info.training["steps"], 0.9)
    assert steps.sampling_rate == pytest.approx(8 / info.training["training_images"])
    assert statement.epsilon == pytest.approx(accountant.epsilon([steps], 1e-5), rel=0.01)
    assert "dp-accounting" in statement.accountant
    assert any("evaluation" in text for text in statement.not_covered)
    checkpoint = max((trained.parent / "checkpoints").glob("*.npz"))
    secret = json.loads(np.load(checkpoint)["header"].tobytes())["facts"]["privacy"]["key"]
    assert str(secret[0]) not in (trained / "bundle.json").read_text()


def test_steps_repeated_after_an_interruption_get_the_same_batches_and_noise(trained: Path, data: Path) -> None:
    """The newest checkpoint is lost, and the training continues from the one before."""
    newest, _ = sorted((trained.parent / "checkpoints").glob("*.npz"), reverse=True)
    with np.load(newest) as archive:
        weights = {name: archive[name] for name in archive.files if name != "header"}
    statement = BundleInfo.read(trained).privacy
    newest.unlink()
    train_bundle(data, trained.parent, CONFIG)
    assert BundleInfo.read(trained).privacy == statement
    with np.load(newest) as archive:
        assert all(np.array_equal(archive[name], values) for name, values in weights.items())


def test_weights_that_have_seen_the_images_count(trained: Path, data: Path, tmp_path: Path) -> None:
    """A private start adds its steps; one without privacy, of the same images, cannot be made private any more."""
    from faceforge.data.imageset.reader import ImageSet

    images, info = ImageSet.open(data), BundleInfo.read(trained)
    assert info.privacy is not None
    assert examine_start(None, images) == Start()
    assert examine_start(trained, images) == Start(tuple(info.privacy.spent))
    plan = PrivacyPlan.make(resolve("toy", PRIVATE).train, 100, 20, examine_start(trained, images))
    extended = plan.statement(20)
    assert len(extended.spent) == 2
    assert extended.epsilon > info.privacy.epsilon

    public = tmp_path / "bundle"
    public.mkdir()
    changed = info.model_copy(update={"privacy": None})
    (public / "bundle.json").write_text(changed.model_dump_json())
    with pytest.raises(FaceForgeError, match="trained on the same images without differential privacy"):
        examine_start(public, images)
    foreign = changed.model_copy(update={"holdout_digest": "of others", "holdout_sketch": ["another"]})
    (public / "bundle.json").write_text(foreign.model_dump_json())
    start = examine_start(public, images)
    assert start == Start(public=info.dataset_digest)
    statement = PrivacyPlan.make(resolve("toy", PRIVATE).train, 100, 20, start).statement(20)
    assert statement.summary().endswith("it started from a model of other images, which are not protected")

    unprotected = info.privacy.model_copy(update={"public_start": info.dataset_digest})
    (public / "bundle.json").write_text(info.model_copy(update={"privacy": unprotected}).model_dump_json())
    with pytest.raises(FaceForgeError, match="trained on the same images without differential privacy"):
        examine_start(public, images)


PLANTED = 3


def rank_of_planted_outliers(private: bool) -> float:
    """Share of 40 outliers that no training saw which a planted one beats by the discriminator's logits; mean of 3."""
    rng = np.random.default_rng(0)
    faces = draw_toyfaces(40, 32, seed=0)[0][:, :, :, :1]
    outliers = (rng.random((40 + PLANTED, 4, 4, 1)) > 0.5).astype(np.uint8).repeat(8, 1).repeat(8, 2) * 255
    images = np.concatenate([faces, outliers[:PLANTED]])
    codes = np.zeros((len(images), 0), np.int32)
    settings = f"{RECIPE}, train.learning_rate=0.003, train.kimg=0.96" + (", train.dp_epsilon=1" if private else "")
    recipe = resolve("toy", settings).train
    spec = ModelSpec(family="compact", image_size=32, channels=1, latent_size=8, width=4, max_width=8, classes=())
    feed: Any = InMemory(images, codes, recipe.batch_size, seed=0)
    if private:
        feed = PoissonFeed(feed, PrivacyPlan(recipe, 6.0, recipe.batch_size / len(images), 24, (0, 1)), ())
    run = Run(spec, recipe, {}, feed, backend.Replicas())
    while run.progress < 1:
        run.advance()
    logits = run.logits(outliers, np.zeros((len(outliers), 0), np.int32))
    return float((logits[:PLANTED, None] > logits[PLANTED:]).mean())


def test_an_attack_finds_planted_outliers_only_without_differential_privacy() -> None:
    without, private = rank_of_planted_outliers(private=False), rank_of_planted_outliers(private=True)
    # 0.5 = not recognised; 0.87 and 0.64 where this was written, and a little different on other processors.
    assert without > 0.75
    assert private < without - 0.1


def test_several_devices_are_refused() -> None:
    images = np.zeros((16, 32, 32, 3), np.uint8)
    spec = ModelSpec(family="compact", image_size=32, channels=3, latent_size=8, width=4, max_width=8, classes=())
    replicas = backend.Replicas()
    replicas.count = 2
    feed = InMemory(images, np.zeros((16, 0), np.int32), 8, seed=0)
    with pytest.raises(FaceForgeError, match="trains on one device, and there are 2"):
        Run(spec, resolve("toy", PRIVATE).train, {}, feed, replicas)


def test_the_last_networks_are_kept_whatever_the_holdout_says() -> None:
    recipe = resolve("toy", PRIVATE).train
    images = np.zeros((16, 32, 32, 3), np.uint8)
    spec = ModelSpec(family="compact", image_size=32, channels=3, latent_size=8, width=4, max_width=8, classes=())
    plan = PrivacyPlan(recipe, 1.0, 0.5, 12, (1, 2))
    feed = PoissonFeed(InMemory(images, np.zeros((16, 0), np.int32), 8, seed=0), plan, ())
    run = Run(spec, recipe, {}, feed, backend.Replicas())
    run.note_score(1.0)
    kept = run._values()
    run._state = tf.nest.map_structure(lambda array: array + 0.5, run._state)
    run.note_score(100.0)
    found = [np.asarray(v.value) for network in run.networks() for v in network.variables]
    assert not all(np.array_equal(one, other) for one, other in zip(found, kept, strict=True))


def test_a_statement_in_one_line(trained: Path) -> None:
    statement = BundleInfo.read(trained).privacy
    assert isinstance(statement, PrivacyStatement)
    assert statement.summary().startswith("trained with differential privacy: epsilon ")
    assert "delta 1e-05 for one training image, added or removed (PLD accountant" in statement.summary()
