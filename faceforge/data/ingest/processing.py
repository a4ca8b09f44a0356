"""Processes samples independently of each other: read, crop, measure, filter and encode. This part runs in parallel."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from faceforge.config import IngestConfig
from faceforge.data.imageset.info import Split
from faceforge.data.pixels import Encoded, encode
from faceforge.data.preprocess.prepare import (
    CroppedImage,
    Measures,
    PreparedImage,
    RejectedError,
    crop_image,
    measure_image,
)
from faceforge.data.sources.samples import InMemory, Sample

warnings.filterwarnings("ignore", module=r"PIL\.")  # about damaged files; those that matter become reject reasons
BATCH_SAMPLES = 16
BATCH_BYTES = 16 * 2**20  # of image content that is already in memory
_In = TypeVar("_In")
_Out = TypeVar("_Out")


@dataclass(frozen=True)
class ProcessedSample:
    """A prepared image, or the reason why it was rejected.

    Attributes:
        path, labels, group, split, absent: as in `Sample`.
        image: as it will be stored; None if rejected.
        measures: of the image; None if rejected.
        reason: why it was rejected, or ''.
    """

    path: str
    labels: dict[str, str | None]
    group: str
    split: Split | None
    absent: bool
    image: Encoded | None = None
    measures: Measures | None = None
    reason: str = ""


def batches(samples: Iterable[Sample]) -> Iterator[list[Sample]]:
    """Batches of `BATCH_SAMPLES`; smaller where samples carry their content in memory, up to `BATCH_BYTES` of it."""
    batch: list[Sample] = []
    batch_bytes = 0
    for sample in samples:
        content = sample.read.content if isinstance(sample.read, InMemory) else b""
        size = len(content) if isinstance(content, bytes) else content.nbytes
        if batch and (len(batch) == BATCH_SAMPLES or batch_bytes + size > BATCH_BYTES):
            yield batch
            batch, batch_bytes = [], 0
        batch.append(sample)
        batch_bytes += size
    if batch:
        yield batch


def process_batch(samples: Sequence[Sample], config: IngestConfig) -> list[ProcessedSample]:
    """Reads, prepares and encodes the images of a batch; problems with one become its reject reason.

    Each step runs for the whole batch before the next: repeating one step keeps its code and tables in the processor's
    caches, which saves a tenth of the time. Between steps, images have their small stored size.
    """
    cropped = [_attempt(_read_and_crop, sample, config) for sample in samples]
    prepared = [image if isinstance(image, str) else _attempt(measure_image, image, config) for image in cropped]
    return [
        rejected_sample(sample, image) if isinstance(image, str) else _accepted_sample(sample, image)
        for sample, image in zip(samples, prepared, strict=True)
    ]


def rejected_sample(sample: Sample, reason: str) -> ProcessedSample:
    """The result for a sample that cannot be used."""
    return ProcessedSample(sample.path, sample.labels, sample.group, sample.split, sample.absent, reason=reason)


def crashed_sample(sample: Sample) -> ProcessedSample:
    """The result for a sample that crashed the process decoding it, or exceeded its time."""
    return rejected_sample(sample, "the decoder crashed, ran out of memory or did not finish")


def _accepted_sample(sample: Sample, image: PreparedImage) -> ProcessedSample:
    return ProcessedSample(
        sample.path,
        sample.labels,
        sample.group,
        sample.split,
        sample.absent,
        image=encode(image.pixels),
        measures=image.measures,
    )


def _read_and_crop(sample: Sample, config: IngestConfig) -> CroppedImage:
    if sample.problem:
        raise RejectedError(sample.problem)
    for column, value in sample.labels.items():
        if value is None:
            raise RejectedError(f"no value for label {column!r}")
    return crop_image(sample.read(), config, sample.box, sample.landmarks)


def _attempt(step: Callable[[_In, IngestConfig], _Out], value: _In, config: IngestConfig) -> _Out | str:
    """The result of a step, or the reason why it rejects the image."""
    try:
        return step(value, config)
    except RejectedError as error:
        return str(error)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
