"""The training loop: from an image set to a model bundle, resumable at any moment."""

from __future__ import annotations

import math
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import faceforge
from faceforge.config import Config
from faceforge.data.imageset import ImageSet
from faceforge.errors import FaceForgeError
from faceforge.models.bundle import Bundle, BundleInfo
from faceforge.models.spec import ModelSpec
from faceforge.progress import Progress
from faceforge.training.checkpoint import load_checkpoint, save_checkpoint
from faceforge.training.feed import open_feed
from faceforge.training.journal import Journal, Observer
from faceforge.training.run import Run


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
    count = dataset.info.counts["train"].total
    if count < recipe.batch_size:
        raise FaceForgeError(
            f"{data} has {count} training images, fewer than one batch of {recipe.batch_size}; "
            "add images or lower train.batch_size"
        )
    spec = ModelSpec(
        **config.model.model_dump(),
        image_size=dataset.info.image_size,
        channels=dataset.info.channels,
        classes=tuple(len(classes) for classes in labels.values()),
    )
    budget = math.ceil(recipe.epochs * count if recipe.epochs else recipe.kimg * 1000)
    feed, place = open_feed(dataset, tuple(labels), recipe.batch_size, recipe.seed)
    print(f"training images: {count:,} {place}", file=sys.stderr, flush=True)
    fingerprint = {
        "dataset": dataset.info.digest,
        **{f"model.{k}": v for k, v in spec.model_dump(mode="json").items()},
        **{f"train.{k}": v for k, v in recipe.model_dump(mode="json").items()},
    }
    with closing(feed):
        run = Run(spec, recipe, labels, steps=max(1, math.ceil(budget / recipe.batch_size)), feed=feed)
        _fit(run, Path(out), checkpoints or Path(out) / "checkpoints", fingerprint, observer, place)
    info = BundleInfo(
        spec=spec,
        labels=labels,
        loss=recipe.loss,
        dataset_digest=dataset.info.digest,
        holdout_digest=dataset.info.holdout_digest,
        holdout_sketch=dataset.info.holdout_sketch,
        config=config.model_dump(mode="json"),
        training=run.summary(),
        versions={"faceforge": faceforge.__version__, "keras": keras.__version__, "tensorflow": tf.__version__},
    )
    return Bundle(info, *run.networks()).save(Path(out) / "bundle")


def _fit(
    run: Run, out: Path, folder: Path, fingerprint: dict[str, Any], observer: Observer | None, images: str
) -> None:
    """Steps until the budget is spent, logging, drawing and saving on the way."""
    saved = load_checkpoint(folder, fingerprint)
    if saved is not None:
        run.restore(saved)
    journal = Journal(out, run.images_seen, observer)
    recipe, batch = run.recipe, run.recipe.batch_size
    log_at, draw_at, save_at = (_marks(run.steps, n) for n in (recipe.log_points, recipe.grids, recipe.checkpoints))
    summary = {"steps": run.steps, "resumed_at_step": run.done, "kimg": run.steps * batch / 1000, "images": images}
    journal.start(summary)
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
