from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from faceforge.config import IngestConfig
from faceforge.data.ingest.preparation import parallel_processing
from faceforge.data.ingest.processing import BATCH_BYTES, BATCH_SAMPLES, batches
from faceforge.data.pixels import workers
from faceforge.data.sources.samples import InMemory, Sample


def test_batches_are_bounded_by_number_and_by_bytes() -> None:
    half = InMemory(bytes(BATCH_BYTES // 2))
    large = InMemory(np.zeros((BATCH_BYTES, 2, 3), np.uint8))
    samples = [*[Sample("file")] * (BATCH_SAMPLES + 1), *[Sample("half", half)] * 3, Sample("large", large)]
    paths = [[sample.path for sample in batch] for batch in batches([*samples, Sample("file")], 64)]
    assert paths == [["file"] * BATCH_SAMPLES, ["file", "half", "half"], ["half"], ["large"], ["file"]]


def test_batches_of_large_images_are_smaller() -> None:
    sizes = [len(batch) for batch in batches([Sample("file")] * 40, 256)]
    assert sizes == [16, 16, 8]


def test_few_samples_are_taken_ahead() -> None:
    taken = []

    def samples() -> Iterator[Sample]:
        for number in range(2000):
            taken.append(number)
            yield Sample(str(number), problem="none")

    with parallel_processing(IngestConfig.model_validate({}), (), 2000) as process:
        rows = process(batches(samples(), 64))
        assert next(rows).column("path")[0].as_py() == "0"
        assert len(taken) <= BATCH_SAMPLES * (2 * workers() + 1) + 1
