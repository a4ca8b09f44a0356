"""Prepares the samples of a source in parallel and writes them to parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc
from threadpoolctl import threadpool_limits

from faceforge.config import IngestConfig
from faceforge.data.ingest.checks import RejectLimit
from faceforge.data.ingest.parts import Parts
from faceforge.data.ingest.processing import batches, crashed_sample, process_batch
from faceforge.data.ingest.thread_pool import map_in_threads
from faceforge.data.ingest.worker_pool import WorkerPool
from faceforge.data.pixels import workers
from faceforge.data.sources.samples import Sample, Source
from faceforge.progress import Progress

PROCESSES_FROM = 4000  # images; threads finish fewer before worker processes have started


def prepare_parts(
    source: Source, config: IngestConfig, parts: Parts, ranges: Sequence[tuple[int, int]] | None = None
) -> None:
    """Makes the parts (default: all) that do not exist yet.

    Raises:
        FaceForgeError: more than `max_rejects` of the images are rejected, those in existing parts included.
    """
    ranges = parts.ranges if ranges is None else ranges
    missing = parts.missing(ranges)
    existing = sorted(set(ranges).difference(missing))
    rejects = RejectLimit(source, config.max_rejects)
    for batch in parts.batches(["path", "reason", "absent"], existing):
        _count_rejects(batch, rejects)
    done = sum(stop - start for start, stop in existing)
    total = sum(stop - start for start, stop in ranges)

    def counted(rows: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in rows:
            _count_rejects(batch, rejects)
            progress.advance(len(batch), f"{rejects.count:,} rejected" if rejects.count else "")
            yield batch

    with (
        Progress(f"ingest {source.name}", total, done=done) as progress,
        parallel_processing(config, source.labels, total - done) as process,
    ):
        for run in _consecutive(missing):
            rows = counted(process(_batches(source, run, config.image_size)))
            for part in run:
                parts.write(part, rows)


@contextmanager
def parallel_processing(
    config: IngestConfig, labels: Sequence[str], count: int
) -> Iterator[Callable[[Iterable[list[Sample]]], Iterator[pa.RecordBatch]]]:
    """Yields a function that processes batches of `count` samples on all cores: in threads, or if many in processes.

    Its results are `rows`, in order: one record batch for each batch, or, after a crash, one for each of its samples.
    """
    function = partial(process_batch, config=config, labels=labels)
    on_crash = partial(crashed_sample, labels=labels)
    if count < PROCESSES_FROM:
        with threadpool_limits(1, user_api="blas"):  # threads that each start threads would wait for each other
            yield lambda batches: map_in_threads(function, on_crash, batches)
    else:
        with WorkerPool(function, on_crash, workers()) as pool:
            yield pool.map


def _batches(source: Source, run: Sequence[tuple[int, int]], image_size: int) -> Iterator[list[Sample]]:
    """The samples of consecutive parts in batches of which each belongs to one part."""
    samples = iter(source.samples(run[0][0], run[-1][1]))
    for start, stop in run:
        yield from batches(islice(samples, stop - start), image_size)


def _count_rejects(rows: pa.RecordBatch, rejects: RejectLimit) -> None:
    for row in rows.filter(pc.not_equal(rows.column("reason"), "")).select(["path", "reason", "absent"]).to_pylist():
        rejects.add(row["path"], row["reason"], row["absent"])


def _consecutive(ranges: Sequence[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Groups of adjacent ranges: reading a source is cheaper in one long range."""
    run: list[tuple[int, int]] = []
    for part in ranges:
        if run and part[0] != run[-1][1]:
            yield run
            run = []
        run.append(part)
    if run:
        yield run
