"""A few steps of training in a process of its own: `python trainer.py FOLDER DEVICES VARIANT...`.

FOLDER/VARIANT/start is the checkpoint to go on from. The chief writes to FOLDER/VARIANT: `end`, a checkpoint after
STEPS steps, `bundle`, and `images.npz`, what that bundle and one at FOLDER/VARIANT/theirs draw.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import numpy as np
from numpy.typing import NDArray

STEPS, BATCH = 10, 4
# Gentle, whatever the presets are: a strong recipe amplifies rounding errors within ten steps.
RECIPE = "train.learning_rate=0.0005, train.gamma=5, train.gamma_final=1.5, train.ema_kimg=2"
LABELS = {"mood": ["glad", "sad"], "hat": ["none", "cap", "top"]}
# No translation: between black margins and fresh biases of zero, LeakyReLU's slope at 0 is each backend's own choice.
SETTINGS = {
    "compact": "train.penalty_interval=4, train.label_dropout=0.3, train.diffaugment=flip+colour",
    # Batch norm looks at each device's part of the batch by itself, so that several devices are compared without it.
    "no_batch_norm": "train.penalty_interval=4, train.loss=hinge, train.spectral_norm=true",
    "dcgan": "train.loss=bce, train.gamma=0, train.labels=",
}


@contextmanager
def built(variant: str) -> Iterator[None]:
    """In this context, networks are built as the variant has them."""
    from faceforge.models import compact

    if variant != "no_batch_norm":
        yield
        return
    with mock.patch.object(compact, "_normalise", lambda x, name, dtype: x):
        yield


def start(variant: str) -> Any:
    """A run of tiny networks on noise, by the Keras backend of this process and on all its devices."""
    from faceforge.compute import backend
    from faceforge.config import resolve
    from faceforge.models.spec import ModelSpec
    from faceforge.training.feed import InMemory
    from faceforge.training.run import Run

    family: Literal["compact", "dcgan"] = "dcgan" if variant == "dcgan" else "compact"
    labels = {} if family == "dcgan" else LABELS
    classes = tuple(len(names) for names in labels.values())
    spec = ModelSpec(family=family, image_size=32, channels=3, latent_size=8, width=4, max_width=8, classes=classes)
    kimg = 2 * STEPS * BATCH / 1000
    recipe = resolve(
        "toy", f"{RECIPE}, {SETTINGS[variant]}, train.kimg={kimg}, train.batch_size={BATCH}, train.precision=float32"
    ).train
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (10, 32, 32, 3), np.uint8)
    codes = np.stack([rng.integers(0, count, 10) for count in (2, 3)], 1).astype(np.int32)[:, : len(classes)]
    with built(variant):
        return Run(spec, recipe, labels, InMemory(images, codes, BATCH, recipe.seed), backend.Replicas())


def write(run: Any, variant: str, folder: Path) -> None:
    """The run's bundle."""
    from faceforge.models.bundle import Bundle, BundleInfo

    labels = LABELS if run.spec.classes else {}
    info = BundleInfo(
        spec=run.spec, labels=labels, loss="bce", dataset_digest="", config={}, training=run.summary(), versions={}
    )
    with built(variant):
        Bundle(info, *run.networks()).save(folder)


def draw(folder: Path) -> NDArray[np.uint8]:
    """Some pictures of a bundle."""
    from faceforge.inference.generator import Generator

    return Generator.load(folder).generate(8, seed=3).images


def main(folder: Path, devices: int, variants: list[str]) -> None:
    """See above."""
    import keras

    from faceforge.training.checkpoint import load_checkpoint, save_checkpoint

    if keras.backend.backend() == "jax":
        sys.modules["tensorflow"] = None  # type: ignore[assignment]  # importing it fails, as where it is not installed
    elif devices > 1:
        import tensorflow as tf

        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)
    for variant in variants:
        run, place = start(variant), folder / variant
        replicas = run._replicas
        if replicas.count != devices:
            raise SystemExit(f"{replicas.count} devices instead of {devices}")
        run.restore(load_checkpoint(place / "start", {}))
        for _ in range(STEPS):
            run.advance()
        # Whoever is slower has more seconds, and whoever is chief has its say.
        assert list(replicas.agree(float(replicas.chief), 1.0)) == [1.0, 1.0]
        checkpoint = run.checkpoint()
        if replicas.chief:
            save_checkpoint(place / "end", checkpoint, {})
            write(run, variant, place / "bundle")
            np.savez(place / "images.npz", ours=draw(place / "bundle"), theirs=draw(place / "theirs"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
