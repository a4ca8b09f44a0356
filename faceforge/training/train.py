"""The training loop: from an image set to a model bundle, resumable at any moment."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any
from zlib import crc32

import keras

import faceforge
from faceforge.compute import backend
from faceforge.compute.precision import peak_flops
from faceforge.config import Config
from faceforge.data.imageset.reader import ImageSet
from faceforge.errors import FaceForgeError
from faceforge.models.bundle import Bundle, BundleInfo
from faceforge.models.spec import ModelSpec
from faceforge.progress import Progress
from faceforge.training.budget import MOST_AT_ONCE, Marks
from faceforge.training.checkpoint import load_checkpoint, save_checkpoint
from faceforge.training.checks import DISTANCE, HoldoutCheck, warnings
from faceforge.training.feed import open_feed
from faceforge.training.grids import Grids
from faceforge.training.run import Run
from faceforge.training.training_log import Journal, Observer

TOO_MANY_SKIPPED = 0.1  # share of the steps between two points: a single one is an accident, these are a bad state


def train(
    data: Path,
    out: Path,
    config: Config,
    observer: Observer | None = None,
    checkpoints: Path | str | None = None,
    init_from: Path | None = None,
) -> Path:
    """Trains on the `train` split of an image set and writes a model bundle.

    Run again with the same arguments it goes on from the newest checkpoint; the weights that come out are those of
    an undisturbed run, bit by bit, on the same machine without a GPU, if the budget is in images.

    Args:
        data: an image set.
        out: gets `bundle/`, `metrics.jsonl` and `grids/`.
        config: sections `model` and `train` are used.
        observer: is told of every point and grid.
        checkpoints: a folder or an address (`s3://...`) to keep them at; default `out/checkpoints`.
        init_from: a bundle whose weights to start from, as far as they fit.

    Returns:
        The bundle's folder; only the chief of several workers writes it.

    Raises:
        FaceForgeError: unusable data, bundle or checkpoints, or losses beyond all measure.
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
    fingerprint = {
        "dataset": dataset.info.digest,
        **{f"model.{k}": v for k, v in spec.model_dump(mode="json").items()},
        **{f"train.{k}": v for k, v in recipe.model_dump(mode="json").items()},
    }
    replicas = backend.Replicas()
    feed, place = open_feed(dataset, tuple(labels), recipe.batch_size, recipe.seed, backend.memory())
    print(f"training images: {count:,} {place}", file=sys.stderr, flush=True)
    with closing(feed):
        run = Run(spec, recipe, labels, feed, replicas, init_from)
        loop = _Loop(run, Path(out), str(checkpoints or Path(out) / "checkpoints"), fingerprint, replicas)
        loop.begin(observer, place)
        grids = Grids(labels, spec.latent_size, recipe.seed)
        loop.fit(HoldoutCheck(dataset, labels), grids)
    info = BundleInfo(
        spec=spec,
        labels=labels,
        loss=recipe.loss,
        dataset_digest=dataset.info.digest,
        holdout_digest=dataset.info.holdout_digest,
        holdout_sketch=dataset.info.holdout_sketch,
        config=config.model_dump(mode="json"),
        training=run.summary(),
        versions={"faceforge": faceforge.__version__, "keras": keras.__version__, **backend.version()},
    )
    bundle, folder = Bundle(info, *run.networks()), Path(out) / "bundle"
    loop.finish(grids, bundle)
    return bundle.save(folder) if replicas.chief else folder


class _Loop:
    """Steps until the budget is spent, logging, drawing, checking and saving on the way."""

    def __init__(
        self, run: Run, out: Path, place: str, fingerprint: dict[str, Any], replicas: backend.Replicas
    ) -> None:
        self._run, self._place, self._fingerprint = run, place, fingerprint
        self._agree, self._chief, self._several = replicas.agree, replicas.chief, replicas.processes > 1
        self._checked: dict[str, float] = {}
        saved = load_checkpoint(place, fingerprint)
        if saved is not None:
            run.restore(saved)
        mark = crc32(json.dumps([fingerprint, run.done]).encode()) % 2**20  # float32 holds it
        most, least = replicas.agree(mark, -mark)
        if most != -least:
            raise FaceForgeError(
                f"the workers differ in settings, data or checkpoints: all must be started alike, and {place} "
                "must be a folder or address that they share"
            )
        self._out, self._meter = out, _Meter(run.flops(), replicas.count * peak_flops(run.precision), run.seconds)
        self._spent = 0.0  # since the workers have met: whatever they decide by must be the same for all
        self._warned: set[str] = set()

    def begin(self, observer: Observer | None, images: str) -> None:
        """Opens the journal and says what is about to happen."""
        run, budget = self._run, self._run.budget
        self._journal = Journal(self._out, run.images_seen, observer if self._chief else None, writes=self._chief)
        size = {"minutes": budget.recipe.minutes} if budget.recipe.minutes else {"steps": budget.steps}
        started = {"started_from": run.transferred} if run.transferred else {}
        self._journal.start({**size, "resumed_at_step": run.done, "images": images, **started})
        if run.transferred and not run.done:
            print(f"start: {run.transferred}", file=sys.stderr, flush=True)

    def fit(self, check: HoldoutCheck, grids: Grids) -> None:
        """All that is left of the budget."""
        run, recipe = self._run, self._run.recipe
        log, draw, save = (Marks(n, run.progress) for n in (recipe.log_points, recipe.grids, recipe.checkpoints))
        total = int(recipe.minutes * 60) if recipe.minutes else run.budget.steps * recipe.batch_size

        def spent() -> int:
            """Of the total, in its unit."""
            return min(int(run.seconds), total) if recipe.minutes else run.images_seen

        done, unit = spent(), "second" if recipe.minutes else "image"
        meet, halt = (MOST_AT_ONCE if self._several else 1), 0.0
        with _stop_signals() as stopped, Progress("train", total, unit, done) as bar:
            while run.progress < 1 and not (recipe.patience and run.idle >= recipe.patience):
                began = time.monotonic()
                totals = run.advance()
                self._meter.add(totals, run.budget.block, recipe.batch_size)
                self._spent += time.monotonic() - began
                if run.done % meet < run.budget.block:
                    run.seconds, halt = self._agree(run.seconds + self._spent, len(stopped))
                    self._spent = 0.0
                if draw.due(run.progress):
                    self._check(check, grids)
                if log.due(run.progress) or self._checked:
                    self._log()
                bar.advance(spent() - done, note=self._meter.note)
                done = spent()
                # A state that has just led to a skipped step may be bad, and is nothing to go back to.
                if (save.due(run.progress) or halt) and not float(totals["skipped"]):
                    self._save(last=bool(halt))
                if halt and run.progress < 1:
                    raise KeyboardInterrupt(f"stopped after {run.images_seen:,} images; run the same command to go on")
        run.seconds += self._spent

    def finish(self, grids: Grids, bundle: Bundle) -> None:
        """The picture that belongs to what has come out, which need not be the last state."""
        self._journal.grid(grids.interpolations(bundle.generate), self._run.images_seen, "interpolations")

    def _check(self, check: HoldoutCheck, grids: Grids) -> None:
        self._journal.grid(grids.samples(self._run.sample), self._run.images_seen, "samples")
        self._checked = check.measure(self._run.sample_like, self._run.logits)
        self._run.note_score(self._checked[DISTANCE])
        self._run.idle = int(*self._agree(self._run.idle))

    def _log(self) -> None:
        run = self._run
        point = self._meter.read(run.seconds + self._spent) | self._checked
        self._checked = {}
        scalars = run.scalars()
        point |= {f"schedule/{name}": scalars[name] for name in ("learning_rate", "gamma", "beta2")}
        if point["skipped"] > TOO_MANY_SKIPPED:
            run.rollback()
            why = "losses are beyond all measure: back to the last checkpoint, with half the learning rate"
            self._warn({f"skipped {run.done}": why})
        self._warn(warnings(point))
        self._journal.metrics(point, run.images_seen)

    def _save(self, last: bool) -> None:
        """A store that fails now and then ends no run, unless there is no other chance to save it."""
        checkpoint = self._run.checkpoint()
        if not self._chief:
            return
        try:
            save_checkpoint(self._place, checkpoint, self._fingerprint)
        except FaceForgeError as error:
            if last:
                raise
            self._warn({f"checkpoint {self._run.done}": str(error)})

    def _warn(self, found: Mapping[str, str]) -> None:
        """Each kind of warning is said once."""
        for name in found.keys() - self._warned:
            print(f"warning: after {self._run.images_seen:,} images, {found[name]}", file=sys.stderr, flush=True)
        self._warned |= found.keys()


class _Meter:
    """Collects sums of metrics without waiting for them; reads them when a point is due."""

    def __init__(self, flops: float, peak: float, seconds: float) -> None:
        self._flops, self._peak = flops, peak
        self.note = ""
        self._reset(seconds)

    def add(self, totals: dict[str, Any], steps: int, batch_size: int) -> None:
        """What a dispatch of `steps` has returned. Waits for the one before, so that none run far ahead."""
        if self._totals:
            float(self._totals[-1]["skipped"])
        self._totals.append(totals)
        self._steps += steps
        self._images += steps * batch_size

    def read(self, seconds: float) -> dict[str, float]:
        """Means since the last reading, of the steps that have them, and the rate; `seconds` of training so far."""
        sums = {name: sum(float(totals[name]) for totals in self._totals) for name in self._totals[0]}
        penalised = sums.pop("penalised")
        penalties = {name: sums.pop(name) for name in list(sums) if name.startswith("penalty/")}
        skipped = sums.pop("skipped")
        point = {"skipped": skipped / self._steps}
        if skipped < self._steps:
            point |= {name: value / (self._steps - skipped) for name, value in sums.items()}
            self.note = f"loss G {point['loss/generator']:.3f} D {point['loss/discriminator']:.3f}"
        if penalised:
            point |= {name: value / penalised for name, value in penalties.items()}
        rate = self._images / max(seconds - self._since, 1e-9)
        point |= {"throughput/images_per_second": rate, "throughput/tflops": rate * self._flops / 1e12}
        if self._peak:
            point["throughput/mfu"] = rate * self._flops / self._peak
        self._reset(seconds)
        return point

    def _reset(self, seconds: float) -> None:
        self._totals: list[dict[str, Any]] = []
        self._steps, self._images, self._since = 0, 0, seconds


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
