"""The step against a plain computation with Keras models and tapes, and what it does with numbers that are none."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from faceforge.compute import backend
from faceforge.config import TrainConfig, resolve
from faceforge.models.build import build_networks
from faceforge.models.spec import ModelSpec
from faceforge.training import diffaugment, spectral
from faceforge.training.state import State, initial_state, metric_names
from faceforge.training.step import make_step

GAMMA, INTERVAL, LATENTS = 2.0, 4, 8
SCALARS = {
    "learning_rate": 0.5,
    "beta1": 0.0,
    "beta2": 0.5,
    "time": 1.0,
    "gamma": GAMMA,
    "ema_decay": 0.75,
    "label_weight": 0.5,
    "adapt_rate": 0.125,
    "penalise": 1.0,
}


@pytest.fixture(autouse=True)
def _uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling takes longer than the one step that a test makes of it; runs of training do it."""
    monkeypatch.setattr(backend, "fuse", lambda function: function)


def recipe(settings: str) -> TrainConfig:
    return resolve("toy", f"train.penalty_interval={INTERVAL}, {settings}").train


def networks(config: TrainConfig, classes: tuple[int, ...], family: str = "compact") -> tuple[keras.Model, keras.Model]:
    sizes = {"image_size": 32, "channels": 3, "latent_size": LATENTS, "width": 4, "max_width": 8}
    spec = ModelSpec.model_validate({"family": family, "classes": classes, **sizes})
    levels = diffaugment.LEVELS if "noise" in config.diffaugment else 0
    return build_networks(spec, 3, weighted=bool(config.label_dropout or config.label_ramp), levels=levels)


def batch(classes: tuple[int, ...], **scalars: float) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "images": rng.integers(0, 256, (4, 32, 32, 3), np.uint8),
        "labels": rng.integers(0, 2, (4, len(classes))).astype("int32"),
        "latents": rng.normal(size=(4, LATENTS)).astype("float32"),
        "uniforms": rng.random((4, 2 + 2 * diffaugment.DRAWS)).astype("float32"),
        "seeds": np.arange(8, dtype="int32").reshape(4, 2),
        **{name: np.float32(value) for name, value in (SCALARS | scalars).items()},
    }


def one_step(
    config: TrainConfig, classes: tuple[int, ...], given: dict[str, Any], family: str = "compact", **state: Any
) -> tuple[State, State, dict[str, float]]:
    """The states before and after a step from fresh networks, and its metrics."""
    generator, discriminator = networks(config, classes, family)
    before = initial_state(generator, discriminator, config)._replace(**state)
    tensors = {name: tf.convert_to_tensor(value) for name, value in given.items()}
    after, metrics = make_step(generator, discriminator, config)(before, tensors)
    assert set(metrics) == set(metric_names(config))
    return before, after, {name: float(value) for name, value in metrics.items()}


def flat(state: Any) -> list[np.ndarray]:
    return [np.asarray(array) for array in tf.nest.flatten(state)]


def same(ours: Any, theirs: Any) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(flat(ours), flat(theirs), strict=True))


def plain_losses(config: TrainConfig, real: Any, fake: Any) -> tuple[Any, Any]:
    """Of the discriminator and of the generator."""
    crossed = tf.nn.sigmoid_cross_entropy_with_logits
    if config.loss == "relativistic":
        ahead = real - fake
        return (
            tf.reduce_mean(crossed(tf.ones_like(ahead), ahead)),
            tf.reduce_mean(crossed(tf.zeros_like(ahead), ahead)),
        )
    if config.loss == "bce":
        target = tf.fill(real.shape, 1 - config.label_smoothing)
        d_loss = crossed(target, real) + crossed(tf.zeros_like(fake), fake)
        return tf.reduce_mean(d_loss), tf.reduce_mean(crossed(tf.ones_like(fake), fake))
    if config.loss == "hinge":
        d_loss = tf.maximum(0.0, 1 - real) + tf.maximum(0.0, 1 + fake)
        return tf.reduce_mean(d_loss), -tf.reduce_mean(fake)
    return tf.reduce_mean(fake) - tf.reduce_mean(real), -tf.reduce_mean(fake)


def plain_gradients(config: TrainConfig, classes: tuple[int, ...], given: dict[str, Any]) -> tuple[list[Any], Any]:
    """Gradients of all weights in two separate passes, and the penalty."""
    generator, discriminator = networks(config, classes)
    real = tf.cast(given["images"], tf.float32) / 127.5 - 1
    conditions = [tf.constant(given["labels"])] if classes else []
    if config.label_dropout or config.label_ramp:
        seen = given["uniforms"][:, :1] >= config.label_dropout
        conditions.append(tf.constant(seen * given["label_weight"], tf.float32))

    def call(network: Any, x: Any) -> Any:
        return network([x, *conditions] if conditions else x, training=True)

    def slope(x: Any) -> Any:
        with tf.GradientTape() as inner:
            inner.watch(x)
            score = tf.reduce_sum(call(discriminator, x))
        return tf.reduce_sum(inner.gradient(score, x) ** 2, axis=(1, 2, 3))

    with tf.GradientTape() as tape:
        fake = call(generator, tf.constant(given["latents"]))
        g_loss = plain_losses(config, call(discriminator, real), call(discriminator, fake))[1]
    found = tape.gradient(g_loss, generator.trainable_variables)
    with tf.GradientTape() as tape:
        d_loss = plain_losses(config, call(discriminator, real), call(discriminator, fake))[0]
        penalty = tf.zeros(())
        if config.gamma and given["penalise"]:
            if config.penalty == "interpolates":
                share = given["uniforms"][:, 1].reshape(-1, 1, 1, 1)
                penalty = tf.reduce_mean((tf.sqrt(slope(share * real + (1 - share) * fake)) - 1) ** 2)
            else:
                penalty = (
                    sum(tf.reduce_mean(slope(x)) for x in ([real, fake] if "r2" in config.penalty else [real])) / 2
                )
        loss = d_loss + GAMMA * config.penalty_interval * penalty
    found += tape.gradient(loss, discriminator.trainable_variables)
    return [tf.convert_to_tensor(gradient) for gradient in found], (g_loss, d_loss, penalty)


@pytest.mark.parametrize(
    ("settings", "classes", "penalise"),
    [
        ("train.loss=relativistic", (2, 3), 0),
        ("train.loss=relativistic, train.penalty=r1+r2", (2, 3), 1),
        ("train.loss=bce, train.label_smoothing=0.2, train.penalty=r1", (), 1),
        ("train.loss=bce, train.gamma=0", (2,), 1),
        ("train.loss=hinge, train.gamma=0", (), 0),
        ("train.loss=wasserstein, train.penalty=interpolates", (2,), 1),
        ("train.loss=hinge, train.label_dropout=0.5, train.label_ramp=0.4", (2, 3), 1),
        ("train.penalty_interval=1, train.loss=relativistic", (2, 3), 1),
        ("train.penalty_interval=1, train.loss=bce, train.penalty=r1, train.label_ramp=0.4", (2,), 1),
        ("train.penalty_interval=1, train.loss=wasserstein, train.penalty=interpolates", (), 1),
    ],
)
def test_the_step_descends_the_gradients_of_both_losses(settings: str, classes: tuple[int, ...], penalise: int) -> None:
    config, given = recipe(settings), batch(classes, penalise=penalise)
    _, after, metrics = one_step(config, classes, given)
    expected, (g_loss, d_loss, penalty) = plain_gradients(config, classes, given)
    # With beta1 = 0 Adam's first slot holds the gradient itself.
    found = [*after.generator_slots[0], *after.discriminator_slots[0]]
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=2e-5 * float(tf.reduce_max(tf.abs(theirs))) + 1e-7)
    assert metrics["loss/generator"] == pytest.approx(float(g_loss), rel=1e-4)
    assert metrics["loss/discriminator"] == pytest.approx(float(d_loss), rel=1e-4)
    share = 1 if config.penalty == "interpolates" else 0.5
    assert share * (metrics["penalty/r1"] + metrics["penalty/r2"]) == pytest.approx(float(penalty), rel=1e-3)
    assert metrics["penalised"] == (penalise if config.gamma else 0)
    lengths = [np.sqrt(sum(np.sum(np.square(g)) for g in part)) for part in (found[: len(after.generator)],)]
    assert metrics["gradient/generator"] == pytest.approx(lengths[0], rel=1e-4)


@pytest.mark.parametrize(
    "settings",
    [
        "train.loss=relativistic, train.diffaugment=flip+translation+colour+cutout+noise",
        "train.loss=hinge, train.penalty=r1, train.spectral_norm=true",
    ],
)
def test_penalties_at_every_step_share_the_pass_and_give_the_same_gradients(settings: str) -> None:
    """A penalty of every 4th step counts four times, so with a quarter of gamma it equals that of every step."""
    given = batch((2,))
    _, shared, metrics = one_step(recipe(f"{settings}, train.penalty_interval=1"), (2,), given)
    given["gamma"] = np.float32(GAMMA / INTERVAL)
    _, separate, expected = one_step(recipe(settings), (2,), given)
    assert metrics == pytest.approx(expected, rel=1e-3)
    gradients = ([*state.generator_slots[0], *state.discriminator_slots[0]] for state in (shared, separate))
    for ours, theirs in zip(*gradients, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=2e-5 * float(tf.reduce_max(tf.abs(theirs))) + 1e-7)
    for ours, theirs in zip(shared.vectors, separate.vectors, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_the_optimizer_moves_the_weights_and_the_average_follows() -> None:
    before, after, metrics = one_step(recipe(""), (2,), batch((2,)))
    for old, new, slope, square in zip(before.generator, after.generator, *after.generator_slots, strict=True):
        np.testing.assert_allclose(square, 0.5 * np.square(slope), rtol=1e-5)
        step = 0.5 * np.asarray(slope) / (np.abs(slope) + 1e-8)  # Adam's first: learning rate times the sign
        np.testing.assert_allclose(new, np.asarray(old) - step, rtol=1e-4, atol=1e-6)
    for old, new, average in zip(before.average, after.generator, after.average, strict=True):
        np.testing.assert_allclose(average, 0.75 * old + 0.25 * new, rtol=1e-5, atol=1e-7)
    assert metrics["skipped"] == 0


def test_spectral_norm_scales_the_weights_and_updates_its_vectors() -> None:
    """Gradients at weights that are a hundred times larger are a hundred times smaller, the losses the same."""
    config, given = recipe("train.spectral_norm=true"), batch(())
    before, after, metrics = one_step(config, (), given)
    kernels = [len(weight.shape) > 1 for weight in before.discriminator]
    larger = [w * 100 if kernel else w for w, kernel in zip(before.discriminator, kernels, strict=True)]
    _, other, scaled = one_step(config, (), given, discriminator=larger)
    assert scaled["loss/discriminator"] == pytest.approx(metrics["loss/discriminator"], rel=1e-5)
    for ours, theirs, kernel in zip(after.discriminator_slots[0], other.discriminator_slots[0], kernels, strict=True):
        ours, theirs = np.asarray(ours), np.asarray(theirs) * (100 if kernel else 1)
        np.testing.assert_allclose(theirs, ours, rtol=1e-3, atol=1e-4 * np.abs(ours).max() + 1e-9)
    for ours, theirs in zip(spectral.normalise(before.discriminator, before.vectors)[1], after.vectors, strict=True):
        np.testing.assert_allclose(theirs, ours, atol=1e-6)
    assert not same(before.vectors, after.vectors)


def test_dropped_labels_give_no_gradient() -> None:
    generator, _ = networks(config := recipe("train.label_dropout=1, train.gamma=0"), (2,))
    _, after, _ = one_step(config, (2,), batch((2,)))
    slopes = {
        variable.path: float(tf.reduce_max(tf.abs(slope)))
        for variable, slope in zip(generator.trainable_variables, after.generator_slots[0], strict=True)
    }
    assert slopes.pop("embedding_0/embeddings") == 0
    assert all(slope > 0 for path, slope in slopes.items() if path.endswith("kernel"))


def test_diffaugment_of_strength_zero_is_the_identity() -> None:
    kinds = "train.diffaugment=flip+translation+colour+cutout, train.gamma=0, train.diffaugment_strength"
    given = batch(())
    plain = one_step(recipe("train.gamma=0"), (), given)[1]
    weak = one_step(recipe(f"{kinds}=0"), (), given)[1]
    for ours, theirs in zip(flat(weak), flat(plain), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)
    strong = one_step(recipe(f"{kinds}=1"), (), given)[2]
    assert strong["diffaugment/strength"] == 1
    assert strong["loss/discriminator"] != one_step(recipe(f"{kinds}=0"), (), given)[2]["loss/discriminator"]


def test_the_strength_rises_while_the_discriminator_separates_real_from_fake() -> None:
    """With all that makes up its logit negated it ranks every pair the other way round."""
    config, given = recipe("train.gamma=0, train.diffaugment=noise, train.diffaugment_target=0.5"), batch(())
    given["images"][:], given["latents"][:] = 255, 1.0  # all alike, so that one pair goes as all do
    given["uniforms"][:] = 0.9  # and none gets noise
    _, discriminator = networks(config, ())
    last = [v.path.startswith(("logit/", "embedding_level/")) for v in discriminator.trainable_variables]
    moves = {}
    for sign in (1, -1):
        weights = [
            v.value * (sign if ends else 1) for v, ends in zip(discriminator.trainable_variables, last, strict=True)
        ]
        before, after, metrics = one_step(config, (), given, discriminator=weights, strength=tf.constant(0.25))
        assert metrics["diffaugment/strength"] == 0.25
        moves[metrics["discriminator/pairwise_batch"]] = float(after.strength - before.strength)
    assert moves == {1.0: 0.125, 0.0: -0.125}


@pytest.mark.parametrize(
    ("family", "settings", "spoil"),
    [
        ("compact", "train.spectral_norm=true, train.diffaugment=flip+noise, train.diffaugment_target=0.5", "pixel"),
        (
            "dcgan",
            "train.gamma=0, train.label_dropout=0.2, train.diffaugment=flip, train.diffaugment_target=0.5",
            "weight",
        ),
        ("compact", "train.loss=bce", "overflow"),
        ("compact", "train.loss=wasserstein", "growth"),
    ],
)
def test_a_diverging_step_changes_nothing(family: str, settings: str, spoil: str) -> None:
    config, given, changed = recipe(settings), batch((2,)), {}
    if spoil == "pixel":
        given["images"] = given["images"].astype("float32")
        given["images"][1, 2, 3, 0] = np.nan
    elif spoil == "weight":
        weights = [np.array(v.value) for v in networks(config, (2,), family)[0].trainable_variables]
        weights[2].flat[0] = np.inf
        changed["generator"] = [tf.constant(weight) for weight in weights]
    else:  # finite, but what they make is not, or is far from anything that losses are
        weights = networks(config, (2,), family)[1].trainable_variables
        changed["discriminator"] = [v.value * (1e12 if spoil == "overflow" else 30) for v in weights]
    before, after, metrics = one_step(config, (2,), given, family, strength=tf.constant(0.25), **changed)
    assert same(before, after)
    assert metrics.pop("skipped") == 1
    assert set(metrics.values()) == {0.0}


def test_batch_statistics_move_in_the_classical_family() -> None:
    before, after, _ = one_step(recipe("train.loss=bce, train.gamma=0"), (), batch(()), "dcgan")
    assert not same(before.generator_statistics, after.generator_statistics)
    assert not same(before.discriminator_statistics, after.discriminator_statistics)
