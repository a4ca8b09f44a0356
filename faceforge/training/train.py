"""The training loop: from an image set to a model bundle, resumable at any moment."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any
from zlib import crc32

import keras

import faceforge
from faceforge.compute import backend
from faceforge.compute.precision import peak_flops
from faceforge.config import Config
from faceforge.errors import FaceForgeError
from faceforge.files import exclusive_lock
from faceforge.models.bundle import Bundle, BundleInfo
from faceforge.progress import Progress
from faceforge.training.budget import MAX_BLOCK, Budget, Marks
from faceforge.training.checkpoint import load_checkpoint, save_checkpoint
from faceforge.training.checks import DISTANCE, HoldoutCheck, warnings
from faceforge.training.feed import open_feed
from faceforge.training.grids import Grids
from faceforge.training.inputs import check_inputs
from faceforge.training.meter import Meter
from faceforge.training.privacy import PrivacyPlan, examine_start
from faceforge.training.private_feed import PoissonFeed
from faceforge.training.run import Run
from faceforge.training.training_log import Observer, TrainingLog

TOO_MANY_SKIPPED = 0.1  # share of the steps between two points; a single skipped step is an accident


def train_bundle(
    data: Path,
    out: Path,
    config: Config,
    observer: Observer | None = None,
    checkpoints: Path | str | None = None,
    init_from: Path | None = None,
) -> Path:
    """Trains a GAN on the `train` split of an image set and writes a model bundle.

    Called again with the same arguments, it continues from the newest checkpoint. If the budget is in images, the
    final weights are those of an uninterrupted run, bit for bit, on the same machine without a GPU.

    Args:
        data: an image set.
        out: gets `bundle/`, `metrics.jsonl` and `grids/`.
        config: sections `model` and `train` are used.
        observer: gets every point and grid.
        checkpoints: a folder or an address (`s3://...`) for checkpoints; default `out/checkpoints`.
        init_from: a bundle to take the initial weights from, as far as they fit.

    Returns:
        The bundle's folder; only the chief of several workers writes it.

    Raises:
        FaceForgeError: unusable data, bundle or checkpoints, or losses that diverge.
        KeyboardInterrupt: on SIGINT or SIGTERM, after a checkpoint was written.
    """
    dataset, labels, spec, fingerprint = check_inputs(data, config)
    recipe, count = config.train, dataset.info.counts["train"].total
    replicas = backend.Replicas()
    feed, location = open_feed(dataset, tuple(labels), recipe.batch_size, recipe.seed, backend.memory())
    if recipe.dp_epsilon:
        steps = Budget(recipe, count, replicas.loops).steps
        plan = PrivacyPlan.make(recipe, count, steps, examine_start(init_from, dataset))
        feed = PoissonFeed(feed, plan, spec.classes)
        print(f"differential privacy: {plan.summary()}", file=sys.stderr, flush=True)
    print(f"training images: {count:,} {location}", file=sys.stderr, flush=True)
    with closing(feed), _only_one(Path(out)) if replicas.chief else nullcontext():
        run = Run(spec, recipe, labels, feed, replicas, init_from)
        loop = _Loop(run, Path(out), str(checkpoints or Path(out) / "checkpoints"), fingerprint, replicas)
        loop.begin(observer, location)
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
        privacy=run.privacy(),
        versions={"faceforge": faceforge.__version__, "keras": keras.__version__, **backend.version()},
    )
    bundle, folder = Bundle(info, *run.networks()), Path(out) / "bundle"
    loop.finish(grids, bundle)
    return bundle.save(folder) if replicas.chief else folder


def _only_one(out: Path) -> AbstractContextManager[int]:
    """Refuses a second training that writes to the same folder."""
    out.mkdir(parents=True, exist_ok=True)
    return exclusive_lock(out, busy=f"another training is writing to {out}; wait for it, or name another folder")


class _Loop:
    """Trains until the budget is spent; logs, draws grids, checks the holdout and saves checkpoints on the way."""

    def __init__(
        self, run: Run, out: Path, place: str, fingerprint: dict[str, Any], replicas: backend.Replicas
    ) -> None:
        self._run, self._place, self._fingerprint = run, place, fingerprint
        self._agree, self._chief, self._several = replicas.agree, replicas.chief, replicas.processes > 1
        self._checked: dict[str, float] = {}
        saved = load_checkpoint(place, fingerprint)
        if saved is not None:
            run.restore(saved)
        # All workers must hold the same hash; `agree` takes the maximum, so the minimum comes from the negative.
        mark = crc32(json.dumps([fingerprint, run.done]).encode()) % 2**20  # exact in float32
        most, least = replicas.agree(mark, -mark)
        if most != -least:
            raise FaceForgeError(
                "the workers differ in settings, data or checkpoints: start all with the same command, and make "
                f"{place} a folder or address that all of them share"
            )
        self._out, self._meter = out, Meter(run.flops(), replicas.count * peak_flops(run.precision), run.seconds)
        # Time since the workers last synchronised. `run.seconds` changes at synchronisation only, because every worker
        # must take its decisions from the same numbers.
        self._unshared_seconds = 0.0
        self._warned: set[str] = set()

    def begin(self, observer: Observer | None, images: str) -> None:
        """Opens the training log and reports what is about to happen."""
        run, budget = self._run, self._run.budget
        self._log = TrainingLog(self._out, run.images_seen, observer if self._chief else None, writes=self._chief)
        size = {"minutes": budget.recipe.minutes} if budget.recipe.minutes else {"steps": budget.steps}
        started = {"started_from": run.transferred} if run.transferred else {}
        self._log.start({**size, "resumed_at_step": run.done, "images": images, **started})
        if run.transferred and not run.done:
            print(f"start: {run.transferred}", file=sys.stderr, flush=True)

    def fit(self, check: HoldoutCheck, grids: Grids) -> None:
        """Trains for the rest of the budget."""
        run, recipe = self._run, self._run.recipe
        log, draw, save = (Marks(n, run.progress) for n in (recipe.log_points, recipe.grids, recipe.checkpoints))
        total = int(recipe.minutes * 60) if recipe.minutes else run.budget.steps * recipe.batch_size

        def spent() -> int:
            """Seconds or images, like `total`."""
            return min(int(run.seconds), total) if recipe.minutes else run.images_seen

        done, unit = spent(), "second" if recipe.minutes else "image"
        synchronise_every, halt, saved_at = (MAX_BLOCK if self._several else 1), 0.0, run.seconds
        with _stop_signals() as stopped, Progress("train", total, unit, done) as bar:
            while run.progress < 1 and not (recipe.patience and run.idle >= recipe.patience):
                began = time.monotonic()
                totals = run.advance()
                self._meter.add(totals, run.budget.block, recipe.batch_size)
                self._unshared_seconds += time.monotonic() - began
                if run.done % synchronise_every < run.budget.block:
                    run.seconds, halt = self._agree(run.seconds + self._unshared_seconds, len(stopped))
                    self._unshared_seconds = 0.0
                if draw.due(run.progress):
                    self._check(check, grids)
                if log.due(run.progress) or self._checked:
                    self._log_point()
                bar.advance(spent() - done, note=self._meter.note)
                done = spent()
                # A state that has just led to a skipped step may be bad: never save it as one to roll back to.
                scheduled = save.due(run.progress)
                overdue = 0 < 60 * recipe.checkpoint_minutes <= run.seconds - saved_at
                if (scheduled or overdue or halt) and not float(totals["skipped"]):
                    self._save(last=bool(halt), roll_back_to=scheduled)
                    saved_at = run.seconds
                if halt and run.progress < 1:
                    raise KeyboardInterrupt(
                        f"stopped after {run.images_seen:,} images; run the same command to continue"
                    )
        run.seconds += self._unshared_seconds

    def finish(self, grids: Grids, bundle: Bundle) -> None:
        """Draws interpolations with the networks that are kept, which need not be the last ones."""
        self._log.grid(grids.interpolations(bundle.generate), self._run.images_seen, "interpolations")

    def _check(self, check: HoldoutCheck, grids: Grids) -> None:
        self._log.grid(grids.samples(self._run.sample), self._run.images_seen, "samples")
        self._checked = check.measure(self._run.sample_like, self._run.logits)
        self._run.note_score(self._checked[DISTANCE])
        self._run.idle = int(*self._agree(self._run.idle))

    def _log_point(self) -> None:
        run = self._run
        point = self._meter.read(run.seconds + self._unshared_seconds) | self._checked
        self._checked = {}
        scalars = run.scalars()
        point |= {f"schedule/{name}": scalars[name] for name in ("learning_rate", "gamma", "beta2")}
        if point["skipped"] > TOO_MANY_SKIPPED:
            run.rollback()
            message = "losses diverge: back to the last checkpoint, with half the learning rate"
            self._warn({f"skipped {run.done}": message})
        self._warn(warnings(point))
        self._log.metrics(point, run.images_seen)

    def _save(self, last: bool, roll_back_to: bool) -> None:
        """Saves a checkpoint; a failing store ends the run only where there is no later chance to save."""
        checkpoint = self._run.checkpoint(roll_back_to)
        if not self._chief:
            return
        try:
            save_checkpoint(self._place, checkpoint, self._fingerprint)
        except FaceForgeError as error:
            if last:
                raise
            self._warn({f"checkpoint {self._run.done}": str(error)})

    def _warn(self, messages: Mapping[str, str]) -> None:
        """Prints each kind of warning once."""
        for name in messages.keys() - self._warned:
            print(f"warning: after {self._run.images_seen:,} images, {messages[name]}", file=sys.stderr, flush=True)
        self._warned |= messages.keys()


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """Yields a list that gets the number of each SIGINT or SIGTERM, so that no step is interrupted halfway."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if received:  # a second Ctrl-C stops at once
            raise KeyboardInterrupt
        received.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
