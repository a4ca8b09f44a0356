"""The training loop: from an image set to a model bundle, resumable at any moment."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops, tree
from numpy.typing import NDArray

import faceforge
from faceforge.config import Config, TrainConfig
from faceforge.data.imageset import ImageSet
from faceforge.data.sheet import image_grid
from faceforge.errors import FaceForgeError
from faceforge.models.build import build_networks
from faceforge.models.bundle import Bundle, BundleInfo, to_uint8
from faceforge.models.sampling import draw_latents, label_combinations
from faceforge.models.spec import ModelSpec
from faceforge.progress import Progress
from faceforge.training import backend
from faceforge.training.batches import Batches
from faceforge.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from faceforge.training.journal import Journal, Observer
from faceforge.training.precision import choose_precision
from faceforge.training.schedules import cosine, ema_decay
from faceforge.training.step import State, initial_state, make_step

GRID_COLUMNS, GRID_ROWS = 12, 12


def train(
    data: Path, out: Path, config: Config, observer: Observer | None = None, checkpoints: Path | None = None
) -> Path:
    """Trains on the `train` split of an image set and writes a model bundle.

    Run again with the same arguments it goes on from the newest checkpoint; the weights that come out are those of
    an undisturbed run, bit by bit, on the same machine without a GPU.

    Args:
        data: an image set.
        out: gets `bundle/`, `metrics.jsonl` and `grids/`.
        config: sections `model` and `train` are used.
        observer: is told of every point and grid.
        checkpoints: where to keep them; default `out/checkpoints`.

    Returns:
        The bundle's folder.

    Raises:
        FaceForgeError: unusable data or checkpoints, or losses that are no longer finite.
        KeyboardInterrupt: SIGINT or SIGTERM came; a checkpoint was written first.
    """
    dataset = ImageSet.open(data)
    recipe = config.train
    labels = {name: dataset.info.labels[name] for name in dataset.label_columns(recipe.labels)}
    images, codes = dataset.load("train", tuple(labels))
    if len(images) < recipe.batch_size:
        raise FaceForgeError(
            f"{data} has {len(images)} training images, fewer than one batch of {recipe.batch_size}; "
            "add images or lower train.batch_size"
        )
    spec = ModelSpec(
        **config.model.model_dump(),
        image_size=dataset.info.image_size,
        channels=dataset.info.channels,
        classes=tuple(len(classes) for classes in labels.values()),
    )
    budget = math.ceil(recipe.epochs * len(images) if recipe.epochs else recipe.kimg * 1000)
    run = _Run(spec, recipe, labels, steps=max(1, math.ceil(budget / recipe.batch_size)), images=images, codes=codes)
    fingerprint = {
        "dataset": dataset.info.digest,
        **{f"model.{k}": v for k, v in spec.model_dump(mode="json").items()},
        **{f"train.{k}": v for k, v in recipe.model_dump(mode="json").items()},
    }
    _fit(run, Path(out), checkpoints or Path(out) / "checkpoints", fingerprint, observer)
    info = BundleInfo(
        spec=spec,
        labels=labels,
        loss=recipe.loss,
        dataset_digest=dataset.info.digest,
        holdout_digest=dataset.info.holdout_digest,
        config=config.model_dump(mode="json"),
        training=run.summary(),
        versions={"faceforge": faceforge.__version__, "keras": keras.__version__, "tensorflow": tf.__version__},
    )
    return Bundle(info, *run.networks()).save(Path(out) / "bundle")


class _Run:
    """The state of a run and the few things one can do with it."""

    def __init__(
        self,
        spec: ModelSpec,
        recipe: TrainConfig,
        labels: dict[str, list[str]],
        steps: int,
        images: NDArray[np.uint8],
        codes: NDArray[np.int32],
    ) -> None:
        backend.be_deterministic()
        self.spec, self.recipe, self.steps = spec, recipe, steps
        self.precision = choose_precision(recipe.precision)
        self._generator, self._discriminator = build_networks(spec, recipe.seed, self.precision)
        self._state = initial_state(self._generator, self._discriminator, recipe.optimizer)
        self._step = make_step(self._generator, self._discriminator, recipe)
        self._batches = Batches(len(images), recipe.batch_size, spec.latent_size, recipe.seed)
        self._images, self._codes = images, codes
        combinations = label_combinations(labels)
        rows = GRID_ROWS if not labels else min(len(combinations), GRID_ROWS)
        self._grid_labels = np.repeat(combinations[np.arange(rows) % len(combinations)], GRID_COLUMNS, axis=0)
        # The same latents in every row, so that a column shows what the label alone changes.
        latents = draw_latents(recipe.seed, GRID_COLUMNS * rows, spec.latent_size)
        self._grid_latents = np.tile(latents[:GRID_COLUMNS], (rows, 1)) if labels else latents
        self._sample = backend.jit(self._sample_average)
        self.done, self.seconds = 0, 0.0

    @property
    def images_seen(self) -> int:
        return self.done * self.recipe.batch_size

    def step(self) -> dict[str, Any]:
        """One step; metrics as unread tensors."""
        chosen = self._batches.indices(self.done)
        penalise = self.recipe.gamma > 0 and self.done % self.recipe.penalty_interval == 0
        self._state, metrics = self._step(
            self._state,
            ops.convert_to_tensor(self._images[chosen]),
            ops.convert_to_tensor(self._codes[chosen]),
            ops.convert_to_tensor(self._batches.latents(self.done)),
            {name: ops.convert_to_tensor(np.float32(value)) for name, value in self.hyper().items()},
            penalise,
        )
        self.done += 1
        return metrics

    def hyper(self) -> dict[str, float]:
        """The scheduled scalars of the next step."""
        recipe, progress = self.recipe, self.done / self.steps
        rate = recipe.learning_rate
        return {
            "learning_rate": cosine(rate, rate / 10, progress) if recipe.lr_decay else rate,
            "gamma": cosine(recipe.gamma, recipe.gamma_final, progress),
            "beta1": recipe.beta1,
            "beta2": recipe.beta2,
            "time": float(self.done + 1),
            "ema_decay": ema_decay(recipe.ema_kimg * 1000, self.images_seen, recipe.batch_size),
        }

    def grid(self) -> NDArray[np.uint8]:
        """Samples of the averaged generator at fixed latents and labels, uint8 (H, W, C)."""
        samples = self._sample(
            self._state.average,
            self._state.generator_statistics,
            ops.convert_to_tensor(self._grid_latents),
            ops.convert_to_tensor(self._grid_labels),
        )
        return image_grid(to_uint8(np.asarray(samples)), GRID_COLUMNS)

    def checkpoint(self) -> Checkpoint:
        return Checkpoint(self.done, self.seconds, [np.asarray(array) for array in tree.flatten(self._state)])

    def restore(self, checkpoint: Checkpoint) -> None:
        self._state = tree.pack_sequence_as(self._state, [ops.convert_to_tensor(a) for a in checkpoint.arrays])
        self.done, self.seconds = checkpoint.step, checkpoint.seconds

    def networks(self) -> tuple[keras.Model, keras.Model]:
        """Both networks in float32, the generator with its averaged weights."""
        generator, discriminator = build_networks(self.spec)
        state: State = self._state
        for variables, values in (
            (generator.trainable_variables, state.average),
            (generator.non_trainable_variables, state.generator_statistics),
            (discriminator.trainable_variables, state.discriminator),
            (discriminator.non_trainable_variables, state.discriminator_statistics),
        ):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        return generator, discriminator

    def summary(self) -> dict[str, Any]:
        return {
            "images_seen": self.images_seen,
            "steps": self.done,
            "seconds": round(self.seconds, 1),
            "images_per_second": round(self.images_seen / self.seconds, 1) if self.seconds else 0.0,
            "training_images": len(self._images),
            "precision": self.precision,
        }

    def _sample_average(self, weights: list[Any], statistics: list[Any], latents: Any, labels: Any) -> Any:
        inputs = [latents, labels] if self.spec.classes else latents
        return self._generator.stateless_call(weights, statistics, inputs, training=False)[0]


def _fit(run: _Run, out: Path, folder: Path, fingerprint: dict[str, Any], observer: Observer | None) -> None:
    """Steps until the budget is spent, logging, drawing and saving on the way."""
    saved = load_checkpoint(folder, fingerprint)
    if saved is not None:
        run.restore(saved)
    journal = Journal(out, run.images_seen, observer)
    recipe, batch = run.recipe, run.recipe.batch_size
    log_at, draw_at, save_at = (_marks(run.steps, n) for n in (recipe.log_points, recipe.grids, recipe.checkpoints))
    journal.start({"steps": run.steps, "resumed_at_step": run.done, "kimg": run.steps * batch / 1000})
    meter = _Meter()
    with _stop_signals() as stopped, Progress("train", run.steps * batch, done=run.images_seen) as progress:
        while run.done < run.steps:
            began = time.monotonic()
            meter.add(run.step(), batch)
            run.seconds += time.monotonic() - began
            if run.done in log_at:
                point = meter.read() | {"schedule/learning_rate": run.hyper()["learning_rate"]}
                _check_finite(point, run.images_seen)
                journal.metrics(point, run.images_seen)
            progress.advance(batch, note=meter.note())
            if run.done in draw_at:
                journal.grid(run.grid(), run.images_seen)
            if run.done in save_at or stopped:
                save_checkpoint(folder, run.checkpoint(), fingerprint)
            if stopped and run.done < run.steps:
                raise KeyboardInterrupt(f"stopped after {run.images_seen:,} images; run the same command to go on")


class _Meter:
    """Collects metrics without waiting for them; reads them when a point is due."""

    def __init__(self) -> None:
        self._reset()
        self._note = ""

    def add(self, metrics: dict[str, Any], images: int) -> None:
        self._images += images
        for name, value in metrics.items():
            self._values.setdefault(name, []).append(value)

    def read(self) -> dict[str, float]:
        """Means since the last reading, and the rate."""
        point = {name: float(np.mean([float(v) for v in values])) for name, values in self._values.items()}
        point["throughput/images_per_second"] = self._images / max(time.monotonic() - self._since, 1e-9)
        self._note = f"loss G {point['loss/generator']:.3f} D {point['loss/discriminator']:.3f}"
        self._reset()
        return point

    def note(self) -> str:
        return self._note

    def _reset(self) -> None:
        self._values: dict[str, list[Any]] = {}
        self._images, self._since = 0, time.monotonic()


def _marks(steps: int, points: int) -> set[int]:
    """`points` steps spread evenly over the budget, the last one among them."""
    return {max(1, round(steps * (i + 1) / points)) for i in range(points)}


def _check_finite(point: dict[str, float], images_seen: int) -> None:
    bad = [name for name, value in point.items() if not math.isfinite(value)]
    if bad:
        raise FaceForgeError(
            f"{bad[0]} is no longer finite after {images_seen:,} images; "
            "lower train.learning_rate or raise train.gamma, and remove the checkpoints to start anew"
        )


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """Yields a list that fills when SIGINT or SIGTERM comes, so that a step is never cut in half."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if received:  # a second Ctrl-C is meant
            raise KeyboardInterrupt
        received.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
