"""Images per second of FaceForge's training step and of the usual alternating updates, side by side.

    python benchmarks/train_step.py                       # the standard DCGAN-64, batch 64
    python benchmarks/train_step.py --preset faces64 --rounds 5

Both train the same networks in TensorFlow's graph mode on the same random images in float32 (or `--precision`). The
alternating step is the one that tutorials show: update the discriminator on real images and fakes, pass the fakes
through the updated discriminator again, update the generator; Keras' Adam. Rounds are interleaved, medians compared.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from faceforge.config import Config, preset_names, resolve
from faceforge.models.build import build_networks
from faceforge.models.spec import ModelSpec
from faceforge.training.step import initial_state, make_step

Step = Callable[[], Any]


def main() -> None:
    """Prints one line of JSON: medians in images per second, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="dcgan64", choices=preset_names())
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--precision", default="float32", choices=["float32", "mixed_bfloat16"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=5, help="steps in a round")
    options = parser.parse_args()
    # Penalties and label conditions are left out: tutorials have neither.
    config = resolve(options.preset, f"train.gamma=0, train.loss=bce, train.batch_size={options.batch}")
    size, batch = config.ingest.image_size, options.batch
    spec = ModelSpec(**config.model.model_dump(), image_size=size, channels=config.ingest.channels, classes=())
    images = tf.constant(np.random.default_rng(0).integers(0, 256, (batch, size, size, spec.channels), np.uint8))
    contenders = {
        "faceforge": faceforge_step(spec, config, images, options.precision),
        "alternating": alternating_step(spec, config, images, options.precision),
    }
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for step in contenders.values():
        step()  # compile
    for _ in range(options.rounds):
        for name, step in contenders.items():
            began = time.perf_counter()
            for _ in range(options.steps):
                step()
            rates[name].append(options.steps * batch / (time.perf_counter() - began))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    print(
        json.dumps(
            {
                "preset": options.preset,
                "batch": batch,
                "precision": options.precision,
                **{f"{name}_images_per_second": round(rate, 1) for name, rate in medians.items()},
                "ratio": round(medians["faceforge"] / medians["alternating"], 2),
            }
        )
    )


def faceforge_step(spec: ModelSpec, config: Config, images: Any, precision: str) -> Step:
    """One call is one step of `faceforge.training.step`."""
    generator, discriminator = build_networks(spec, precision=precision)
    step = make_step(generator, discriminator, config.train)
    state = initial_state(generator, discriminator, config.train.optimizer)
    names = ("learning_rate", "beta1", "beta2", "time", "gamma", "ema_decay")
    hyper = {name: tf.constant(0.5, tf.float32) for name in names}
    labels = tf.zeros((len(images), 0), tf.int32)

    def call() -> None:
        nonlocal state
        latents = tf.random.normal((len(images), spec.latent_size))
        state, metrics = step(state, images, labels, latents, hyper, False)
        float(metrics["loss/generator"])

    return call


def alternating_step(spec: ModelSpec, config: Config, images: Any, precision: str) -> Step:
    """One call updates the discriminator, then the generator through the updated discriminator."""
    generator, discriminator = build_networks(spec, precision=precision)
    for_generator, for_discriminator = (keras.optimizers.Adam(2e-4, beta_1=0.5) for _ in range(2))
    for_generator.build(generator.trainable_variables)
    for_discriminator.build(discriminator.trainable_variables)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)

    @tf.function
    def step(latents: Any) -> Any:
        real = tf.cast(images, tf.float32) / 127.5 - 1.0
        with tf.GradientTape() as generator_tape:
            fake = generator(latents, training=True)
            with tf.GradientTape() as tape:
                on_real = discriminator(real, training=True)
                on_fake = discriminator(tf.stop_gradient(fake), training=True)
                d_loss = loss(tf.ones_like(on_real), on_real) + loss(tf.zeros_like(on_fake), on_fake)
            d_gradients = tape.gradient(d_loss, discriminator.trainable_variables)
            for_discriminator.apply(d_gradients, discriminator.trainable_variables)
            again = discriminator(fake, training=True)
            g_loss = loss(tf.ones_like(again), again)
        g_gradients = generator_tape.gradient(g_loss, generator.trainable_variables)
        for_generator.apply(g_gradients, generator.trainable_variables)
        return g_loss

    def call() -> None:
        float(step(tf.random.normal((len(images), spec.latent_size))))

    return call


if __name__ == "__main__":
    main()
