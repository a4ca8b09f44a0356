"""The step's gradients against a plain computation with Keras models and tapes."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from faceforge.config import resolve
from faceforge.models.build import build_networks
from faceforge.models.spec import ModelSpec
from faceforge.training import step as stepping

GAMMA, INTERVAL, RATE = 2.0, 4, 0.5
HYPER = {"learning_rate": RATE, "beta1": 0.0, "beta2": 0.5, "time": 1.0, "gamma": GAMMA, "ema_decay": 0.75}


def networks(loss: str, classes: tuple[int, ...]) -> tuple[Any, Any, Any, list[Any]]:
    config = resolve("toy", f"train.loss={loss}, train.penalty_interval={INTERVAL}").train
    spec = ModelSpec(family="compact", image_size=32, channels=1, latent_size=8, width=4, max_width=8, classes=classes)
    rng = np.random.default_rng(0)
    batch = [
        tf.constant(rng.integers(0, 256, (4, 32, 32, 1), np.uint8)),
        tf.constant(rng.integers(0, 2, (4, len(classes))).astype("int32")),
        tf.constant(rng.normal(size=(4, 8)).astype("float32")),
    ]
    return *build_networks(spec, seed=3), config, batch


def plain_gradients(generator: Any, discriminator: Any, loss: str, batch: list[Any], penalise: bool) -> list[Any]:
    images, labels, latents = batch
    real = tf.cast(images, tf.float32) / 127.5 - 1.0

    def call(network: Any, x: Any) -> Any:
        return network([x, labels] if labels.shape[1] else x, training=True)

    with tf.GradientTape() as tape:
        fake = call(generator, latents)
        on_real, on_fake = call(discriminator, real), call(discriminator, fake)
        ahead = on_fake - on_real if loss == "relativistic" else on_fake
        g_loss = tf.reduce_mean(tf.nn.softplus(-ahead))
    g_gradients = tape.gradient(g_loss, generator.trainable_variables)
    with tf.GradientTape() as tape:
        on_real, on_fake = call(discriminator, real), call(discriminator, fake)
        if loss == "relativistic":
            d_loss = tf.reduce_mean(tf.nn.softplus(-(on_real - on_fake)))
        else:
            d_loss = tf.reduce_mean(tf.nn.softplus(-on_real)) + tf.reduce_mean(tf.nn.softplus(on_fake))
        for x in (real, fake) if penalise else ():
            with tf.GradientTape() as inner:
                inner.watch(x)
                score = tf.reduce_sum(call(discriminator, x))
            slope = inner.gradient(score, x)
            d_loss += GAMMA / 2 * INTERVAL * tf.reduce_mean(tf.reduce_sum(slope**2, axis=(1, 2, 3)))
    d_gradients = tape.gradient(d_loss, discriminator.trainable_variables)
    return [tf.convert_to_tensor(gradient) for gradient in (*g_gradients, *d_gradients)]


@pytest.mark.parametrize("penalise", [False, True])
@pytest.mark.parametrize(("loss", "classes"), [("relativistic", (2, 3)), ("bce", ())])
def test_the_step_descends_the_gradients_of_both_losses(loss: str, classes: tuple[int, ...], penalise: bool) -> None:
    generator, discriminator, config, batch = networks(loss, classes)
    state = stepping.initial_state(generator, discriminator, "adam")
    hyper = {name: tf.constant(value, tf.float32) for name, value in HYPER.items()}
    after, metrics = stepping.make_step(generator, discriminator, config)(state, *batch, hyper, penalise)
    expected = plain_gradients(generator, discriminator, loss, batch, penalise)
    # With beta1 = 0 Adam's first slot holds the gradient itself.
    found = [*after.generator_slots[0], *after.discriminator_slots[0]]
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=2e-5 * float(tf.reduce_max(tf.abs(theirs))) + 1e-9)
    assert ("penalty/r1" in metrics) == penalise
    for old, new, average in zip(state.average, after.generator, after.average, strict=True):
        np.testing.assert_allclose(average, 0.75 * old + 0.25 * new, rtol=1e-5, atol=1e-7)


def test_batch_statistics_move_in_the_classical_family() -> None:
    spec = ModelSpec(family="dcgan", image_size=32, channels=3, latent_size=8, width=4, max_width=8, classes=())
    generator, discriminator = build_networks(spec)
    config = resolve("dcgan64").train
    state = stepping.initial_state(generator, discriminator, config.optimizer)
    rng = np.random.default_rng(0)
    after, _ = stepping.make_step(generator, discriminator, config)(
        state,
        tf.constant(rng.integers(0, 256, (4, 32, 32, 3), np.uint8)),
        tf.zeros((4, 0), tf.int32),
        tf.constant(rng.normal(size=(4, 8)).astype("float32")),
        {name: tf.constant(value, tf.float32) for name, value in HYPER.items()},
        False,
    )
    for before, now in (
        (state.generator_statistics, after.generator_statistics),
        (state.discriminator_statistics, after.discriminator_statistics),
    ):
        assert any(not np.allclose(old, new) for old, new in zip(before, now, strict=True))
