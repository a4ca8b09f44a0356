from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from faceforge.config import IngestConfig
from faceforge.data.ingest.build import _side_by_side
from faceforge.data.ingest.processing import LOT, LOT_BYTES, lots
from faceforge.data.pixels import workers
from faceforge.data.sources.samples import Given, Sample


def test_lots_are_bounded_by_number_and_by_bytes() -> None:
    half = Given(bytes(LOT_BYTES // 2))
    large = Given(np.zeros((LOT_BYTES, 2, 3), np.uint8))
    given = [*[Sample("file")] * (LOT + 1), *[Sample("half", half)] * 3, Sample("large", large), Sample("file")]
    found = [[sample.path for sample in lot] for lot in lots(given)]
    assert found == [["file"] * LOT, ["file", "half", "half"], ["half"], ["large"], ["file"]]


def test_few_samples_are_taken_ahead() -> None:
    taken = []

    def samples() -> Iterator[Sample]:
        for number in range(2000):
            taken.append(number)
            yield Sample(str(number), problem="none")

    with _side_by_side(IngestConfig.model_validate({}), 2000) as run:
        outcomes = run(samples())
        assert next(outcomes).path == "0"
        assert len(taken) <= LOT * (2 * workers() + 1) + 1
