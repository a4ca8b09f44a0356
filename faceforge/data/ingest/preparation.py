"""Prepares the samples of a source in parallel and writes them to parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from faceforge.config import IngestConfig
from faceforge.data.ingest.checks import RejectLimit
from faceforge.data.ingest.parts import Parts
from faceforge.data.ingest.processing import ProcessedSample, batches, crashed_sample, process_batch
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
        for row in batch.to_pylist():
            rejects.add(row["path"], row["reason"], row["absent"])
    done = sum(stop - start for start, stop in existing)
    total = sum(stop - start for start, stop in ranges)

    def counted(samples: Iterable[ProcessedSample]) -> Iterator[ProcessedSample]:
        for sample in samples:
            rejects.add(sample.path, sample.reason, sample.absent)
            progress.advance(1, f"{rejects.count:,} rejected" if rejects.count else "")
            yield sample

    with (
        Progress(f"ingest {source.name}", total, done=done) as progress,
        parallel_processing(config, total - done) as process,
    ):
        for run in _consecutive(missing):
            samples = counted(process(source.samples(run[0][0], run[-1][1])))
            for part in run:
                parts.write(part, samples)


@contextmanager
def parallel_processing(
    config: IngestConfig, count: int
) -> Iterator[Callable[[Iterable[Sample]], Iterator[ProcessedSample]]]:
    """Yields a function that processes `count` samples on all cores, in order: in threads, or if many in processes."""
    function = partial(process_batch, config=config)
    if count < PROCESSES_FROM:
        yield lambda samples: map_in_threads(function, crashed_sample, batches(samples))
    else:
        with WorkerPool(function, crashed_sample, workers()) as pool:
            yield lambda samples: pool.map(batches(samples))


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
