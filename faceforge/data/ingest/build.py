"""Ingest: from any source to an image set with a frozen holdout.

Three phases: images are *prepared* one by one, in parallel, and kept in parts (`outcomes`, `parts`); once all are there
it is *decided* in the order of the source which of them stay and where (`decide`); those are *written* (`writer`).
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path

from faceforge.config import IngestConfig
from faceforge.data.imageset.info import SPLITS
from faceforge.data.imageset.reader import DatasetInfo, ImageSet
from faceforge.data.imageset.writer import ImageSetWriter, check_target
from faceforge.data.ingest.decide import Decision, decide
from faceforge.data.ingest.parts import Parts
from faceforge.data.ingest.processing import Outcome, fatal, lots, process
from faceforge.data.ingest.provenance import Origin
from faceforge.data.ingest.worker_pool import Workers
from faceforge.data.pixels import map_ordered, workers
from faceforge.data.sources import open_source
from faceforge.data.sources.samples import Sample, Source
from faceforge.errors import FaceForgeError
from faceforge.files import atomic_folder, exclusive_lock
from faceforge.progress import Progress

PROCESSES_FROM = 4000  # images; for fewer, threads are done before processes have started
_REASONS_SHOWN, _CLASSES_SHOWN = 3, 5


def ingest(
    source: str,
    out: Path,
    config: IngestConfig,
    labels_csv: str = "",
    work: Path | None = None,
    prepared: Sequence[Path] = (),
) -> ImageSet:
    """Decodes, checks, de-duplicates, crops, resizes and splits the images of a source.

    Of images whose pixels are equal one is taken: the holdout's first if it has any, else the first. The holdout is
    chosen by the digest of the pixels: the same image falls on the same side whenever and with whatever else it is
    ingested at that size. The result does not depend on how many workers there are.

    Nothing is done where `out` was made from the same source with the same settings. Interrupted or refused, ingest
    keeps the images that it has prepared in `work`; called again, it goes on with them.

    Args:
        source: see `faceforge.data.sources.open_source`.
        out: folder of the image set; an image set that is there is replaced once the new one is complete.
        config: size, channels, labels, crop, holdout share and limits.
        labels_csv: labels of a folder of images.
        work: folder for prepared images; default: a hidden one beside `out`. It is removed in the end.
        prepared: folders that `prepare_share` has filled.

    Raises:
        FaceForgeError: the source is unusable, more than `max_rejects` of its images are, a split would be empty, or a
            label column keeps fewer than two classes. Nothing is left under `out` then.
    """
    opened = open_source(source, config, labels_csv)
    check_target(out)
    if Path(source).exists() and Path(source).resolve() == out.resolve():
        raise FaceForgeError(f"{out} is the source itself; name another folder to write to")
    origin = Origin.of(opened, config)
    if (there := _unchanged(out, origin)) is not None:
        return there
    with _writing(out), _parts(opened, origin, work or out.with_name(f".{out.name}.parts"), prepared) as parts:
        _prepare(opened, config, parts, parts.ranges)
        decision = decide(parts, config)
        _check(opened, decision, config.min_class)
        with atomic_folder(out) as folder:
            info = _write(opened, config, parts, decision, folder)
            origin.save(folder)
        shutil.rmtree(parts.folder, ignore_errors=True)
    return ImageSet(out, info)


def prepare_share(source: str, out: Path, config: IngestConfig, share: int, shares: int, labels_csv: str = "") -> None:
    """Prepares one of several shares of a source, for `ingest(..., prepared=...)` to finish.

    Args:
        source: as for `ingest`, which must be given the same source and configuration.
        out: folder for prepared images; what a stopped attempt has left there is used.
        config: as for `ingest`.
        share: which one, from 0.
        shares: how many there are.
        labels_csv: as for `ingest`.
    """
    opened = open_source(source, config, labels_csv)
    with _writing(out), _parts(opened, Origin.of(opened, config), out) as parts:
        bounds = [len(parts.ranges) * number // shares for number in (share, share + 1)]
        _prepare(opened, config, parts, parts.ranges[bounds[0] : bounds[1]])


def _unchanged(out: Path, origin: Origin) -> ImageSet | None:
    """The image set that is there if it is what would come out; else says what has changed."""
    before = Origin.load(out)
    if before is None:
        return None
    if differences := before.differences(origin):
        print(f"{out} is made anew: {differences}", file=sys.stderr)
        return None
    try:
        there = ImageSet.open(out)
        for split in SPLITS:
            there.shards(split)
    except FaceForgeError as error:
        print(f"{out} is made anew: {error}", file=sys.stderr)
        return None
    print(f"{out} is up to date: neither its source nor the settings have changed", file=sys.stderr)
    return there


@contextmanager
def _parts(source: Source, origin: Origin, work: Path, prepared: Sequence[Path] = ()) -> Iterator[Parts]:
    """The parts of this very source under these settings; those of another are removed."""
    now = origin.of_parts()
    for folder in prepared:
        before = Origin.load(folder)
        if before is None:
            raise FaceForgeError(f"{folder} holds no prepared images")
        if differences := before.differences(now):
            raise FaceForgeError(f"the images in {folder} were prepared from something else: {differences}")
    work.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(work, busy=f"another ingest is writing to {work}; wait for it, or name another folder"):
        try:
            if Origin.load(work) != now:
                for file in work.iterdir():
                    shutil.rmtree(file) if file.is_dir() else file.unlink()
                now.save(work)
            yield Parts(work, source.labels, source.count, prepared)
        except BaseException:
            if not any(work.glob("*.parquet")):  # nothing worth keeping
                shutil.rmtree(work, ignore_errors=True)
            raise


def _prepare(source: Source, config: IngestConfig, parts: Parts, ranges: Sequence[tuple[int, int]]) -> None:
    missing = parts.missing(ranges)
    there = sorted(set(ranges).difference(missing))
    rejects = _Rejects(source, config.max_rejects)
    for batch in parts.batches(["path", "reason", "absent"], there):
        for row in batch.to_pylist():
            rejects.note(row["path"], row["reason"], row["absent"])
    done = sum(stop - start for start, stop in there)
    total = sum(stop - start for start, stop in ranges)

    def watched(outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        for outcome in outcomes:
            rejects.note(outcome.path, outcome.reason, outcome.absent)
            progress.advance(1, f"{rejects.count:,} rejected" if rejects.count else "")
            yield outcome

    with Progress(f"ingest {source.name}", total, done=done) as progress, _side_by_side(config, total - done) as run:
        for stretch in _stretches(missing):
            outcomes = watched(run(source.samples(stretch[0][0], stretch[-1][1])))
            for part in stretch:
                parts.write(part, outcomes)


@contextmanager
def _side_by_side(config: IngestConfig, count: int) -> Iterator[Callable[[Iterable[Sample]], Iterator[Outcome]]]:
    """How to process so many samples on all cores, in order."""
    function = partial(process, config=config)
    if count < PROCESSES_FROM:
        yield lambda samples: chain.from_iterable(map_ordered(function, lots(samples), ahead=2))
    else:
        with Workers(function, fatal, workers()) as pool:
            yield lambda samples: pool.map(lots(samples))


def _stretches(parts: Sequence[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Neighbouring parts together: a source is quicker to read in one go."""
    stretch: list[tuple[int, int]] = []
    for part in parts:
        if stretch and part[0] != stretch[-1][1]:
            yield stretch
            stretch = []
        stretch.append(part)
    if stretch:
        yield stretch


class _Rejects:
    """Counts rejects; a FaceForgeError as soon as there are too many."""

    def __init__(self, source: Source, share: float) -> None:
        self._source, self._share = source, share
        self.count = self._absent = 0
        self._first: list[str] = []

    def note(self, path: str, reason: str, absent: bool) -> None:
        if not reason:
            return
        self.count += 1
        self._absent += absent
        if not absent and len(self._first) <= _REASONS_SHOWN:
            self._first.append(f"{path}: {reason}")
        if self.count - self._absent > self._share * (self._source.count - self._absent):
            shown = "; ".join(self._first[:_REASONS_SHOWN])
            raise FaceForgeError(
                f"{self._source.name}: more than {self._share:.0%} of the images cannot be used "
                f"({shown}{'; ...' if len(self._first) > _REASONS_SHOWN else ''}); "
                "mend the source or raise ingest.max_rejects"
            )


def _check(source: Source, decision: Decision, min_class: int) -> None:
    """What cannot be trained and judged on is refused here, not three steps later."""
    totals = {split: decision.total(split) for split in SPLITS}
    rejects = decision.left_out.rejects
    if sum(totals.values()) == 0:
        first = f" (the first: {rejects[0].path}: {rejects[0].reason})" if rejects else ""
        raise FaceForgeError(f"{source.name}: no usable image{first}")
    for split, total in totals.items():
        if total == 0:
            raise FaceForgeError(
                f"{source.name}: all {sum(totals.values())} images fell outside the {split} split; "
                "give more images or change ingest.holdout"
            )
    for column, held_out in decision.classes["holdout"].items():
        counts = dict.fromkeys(held_out, 0) | decision.classes["train"][column]
        if len(counts) < 2:
            raise FaceForgeError(
                f"{source.name}: fewer than two classes of {column!r} are left; "
                "give more images or set `ingest.labels=`"
            )
        if min(counts.values()) < min_class:
            listed = sorted(counts.items(), key=lambda item: item[1])
            shown = ", ".join(f"{name} {count:,}" for name, count in listed[:_CLASSES_SHOWN])
            raise FaceForgeError(
                f"{source.name}: the training images of some classes of {column!r} are too few ({shown}"
                f"{', ...' if len(listed) > _CLASSES_SHOWN else ''}); give more, name other columns with "
                f"ingest.labels, or lower ingest.min_class, which is {min_class}"
            )


def _write(source: Source, config: IngestConfig, parts: Parts, decision: Decision, folder: Path) -> DatasetInfo:
    writer = ImageSetWriter(
        folder,
        source=source.name,
        image_size=config.image_size,
        channels=config.channels,
        columns=source.labels,
        vocabularies=source.vocabularies,
    )
    with Progress(f"write {source.name}", source.count) as progress:
        first = 0
        for batch in parts.images():
            chosen = decision.sides[first : first + batch.num_rows]
            first += batch.num_rows
            for side, split in enumerate(SPLITS):
                if (rows := batch.filter(chosen == side)).num_rows:
                    writer.add_prepared(split, rows, parts.label_names())
            progress.advance(batch.num_rows)
    return writer.finish(decision.left_out, drop_unused=True, notes=source.notes)


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    """Sources turn their own faults into rejects or FaceForgeErrors; what is left is the place to write to."""
    try:
        yield
    except OSError as error:
        raise FaceForgeError(f"cannot write the image set {out}: {error.strerror or error}") from None
