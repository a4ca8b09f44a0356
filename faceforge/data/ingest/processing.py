"""Processes samples independently of each other: read, crop, measure, filter and encode. This part runs in parallel."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa

from faceforge.config import IngestConfig
from faceforge.data.ingest.rows import to_rows
from faceforge.data.pixels import encode
from faceforge.data.preprocess.prepare import CroppedImage, RejectedError, crop_image, measure_images
from faceforge.data.sources.samples import InMemory, Sample

warnings.filterwarnings("ignore", module=r"PIL\.")  # about damaged files; those that matter become reject reasons
BATCH_SAMPLES = 64
BATCH_PIXELS = BATCH_SAMPLES * 128**2  # of prepared images
BATCH_BYTES = 16 * 2**20  # of image content that is already in memory


def batches(samples: Iterable[Sample], image_size: int) -> Iterator[list[Sample]]:
    """Batches of samples for `process_batch`.

    A batch has at most `BATCH_SAMPLES`, at most `BATCH_PIXELS` once its images have `image_size`, and, where samples
    carry their content in memory, at most `BATCH_BYTES` of it.
    """
    count = min(BATCH_SAMPLES, BATCH_PIXELS // image_size**2)
    batch: list[Sample] = []
    batch_bytes = 0
    for sample in samples:
        content = sample.read.content if isinstance(sample.read, InMemory) else b""
        size = len(content) if isinstance(content, bytes) else content.nbytes
        if batch and (len(batch) == count or batch_bytes + size > BATCH_BYTES):
            yield batch
            batch, batch_bytes = [], 0
        batch.append(sample)
        batch_bytes += size
    if batch:
        yield batch


def process_batch(samples: Sequence[Sample], config: IngestConfig, labels: Sequence[str]) -> pa.RecordBatch:
    """Reads, prepares and encodes the images of a batch; problems with one become its reject reason.

    Each step runs for the whole batch before the next: repeating one step keeps its code and tables in the processor's
    caches, which saves a tenth of the time. Between steps, images have their small stored size.

    Returns:
        `rows` with these label columns.
    """
    cropped = [_read_and_crop(sample, config) for sample in samples]
    measured = iter(measure_images([image for image in cropped if not isinstance(image, str)], config))
    prepared = [image if isinstance(image, str) else next(measured) for image in cropped]
    results = [
        str(image) if isinstance(image, str | RejectedError) else (encode(image.pixels), image.measures)
        for image in prepared
    ]
    return to_rows(samples, results, labels)


def crashed_sample(sample: Sample, labels: Sequence[str]) -> pa.RecordBatch:
    """The row of a sample that crashed the process decoding it, or exceeded its time."""
    return to_rows([sample], ["the decoder crashed, ran out of memory or did not finish"], labels)


def _read_and_crop(sample: Sample, config: IngestConfig) -> CroppedImage | str:
    """The cropped image, or the reason why the sample is rejected."""
    if sample.problem:
        return sample.problem
    for column, value in sample.labels.items():
        if value is None:
            return f"no value for label {column!r}"
    try:
        return crop_image(sample.read(), config, sample.box, sample.landmarks)
    except RejectedError as error:
        return str(error)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
