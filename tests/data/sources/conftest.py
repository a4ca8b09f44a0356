"""Opening sources in one line, and small files to open."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from faceforge.config import IngestConfig
from faceforge.data.pixels import to_png
from faceforge.data.sources import Sample, Source, open_source
from faceforge.errors import FaceForgeError
from tests.data.conftest import noise


def settings(**fields: Any) -> IngestConfig:
    return IngestConfig.model_validate({"image_size": 32, **fields})


def opened(spec: Path | str, table: Path | str = "", **fields: Any) -> Source:
    return open_source(str(spec), settings(**fields), str(table))


def listing(spec: Path | str, table: Path | str = "", **fields: Any) -> list[Sample]:
    source = opened(spec, table, **fields)
    samples = list(source.samples())
    assert len(samples) == source.count
    middle = len(samples) // 2  # any range gives the same samples
    parts = [*source.samples(0, middle), *source.samples(middle)]
    assert [_told(sample) for sample in parts] == [_told(sample) for sample in samples]
    return samples


def _told(sample: Sample) -> tuple[Any, ...]:
    return sample.path, sample.labels, sample.problem, sample.split, sample.group, sample.landmarks, sample.box


def labels_of(samples: Iterable[Sample]) -> dict[str, dict[str, str | None]]:
    return {sample.path: sample.labels for sample in samples}


def problems_of(samples: Iterable[Sample]) -> dict[str, str]:
    return {sample.path: sample.problem for sample in samples if sample.problem}


def refuse(match: str, spec: Path | str, table: Path | str = "", **fields: Any) -> None:
    with pytest.raises(FaceForgeError, match=match) as caught:
        opened(spec, table, **fields)
    assert "\n" not in str(caught.value)


def picture(seed: int = 0) -> bytes:
    return to_png(noise(seed, 8))


def parquet(file: Path, rows: int = 4, struct: bool = True, **columns: Any) -> Path:
    images: list[Any] = [picture(number) for number in range(rows)]
    if struct:
        images = [{"bytes": data, "path": f"{number}.png"} for number, data in enumerate(images)]
    file.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame({"image": images, **columns}).to_parquet(file)
    return file
