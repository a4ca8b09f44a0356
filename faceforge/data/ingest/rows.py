"""What parts hold, one row per sample: its prepared image with its measures, or the reason why it was rejected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_type_hints

import pyarrow as pa

from faceforge.data.pixels import Encoded
from faceforge.data.preprocess.measures import Measures
from faceforge.data.sources.samples import Sample

Prepared = tuple[Encoded, Measures]

_TYPES = {int: pa.uint64(), float: pa.float64(), bytes: pa.binary()}
_SUMS = pa.list_(pa.int64())
_SAMPLE = {"path": pa.string(), "group": pa.string(), "split": pa.string(), "absent": pa.bool_()}
_IMAGE = {"png": pa.binary(), "sha256": pa.binary(), "sums": _SUMS, "squares": _SUMS}
_MEASURES = {name: _TYPES[kind] for name, kind in get_type_hints(Measures).items()}
_REJECTED = (None,) * (len(_IMAGE) + len(_MEASURES))


def schema(labels: Sequence[str]) -> pa.Schema:
    """The columns of rows whose samples have these label columns.

    `path`, `group`, `split` and `absent` are those of `Sample`, `reason` is why it was rejected or '', `label_0`... are
    its labels. Of images that are not rejected: `png`, `sha256` (bytes), `sums` and `squares` (see `Encoded`), and the
    fields of `Measures`.
    """
    names = {name: pa.string() for name in ("reason", *label_fields(labels))}
    return pa.schema(list({**_SAMPLE, **names, **_IMAGE, **_MEASURES}.items()))


def label_fields(labels: Sequence[str]) -> list[str]:
    """The names that label columns have in rows."""
    return [f"label_{position}" for position in range(len(labels))]


def to_rows(samples: Sequence[Sample], results: Sequence[Prepared | str], labels: Sequence[str]) -> pa.RecordBatch:
    """A row for each sample, from its prepared image or the reason why it was rejected."""
    rows = [_row(sample, result, labels) for sample, result in zip(samples, results, strict=True)]
    columns = schema(labels)
    return pa.RecordBatch.from_arrays(list(map(pa.array, zip(*rows, strict=True), columns.types)), schema=columns)


def _row(sample: Sample, result: Prepared | str, labels: Sequence[str]) -> tuple[Any, ...]:
    common = sample.path, sample.group, sample.split, sample.absent
    classes = map(sample.labels.get, labels)
    if isinstance(result, str):
        return (*common, result, *classes, *_REJECTED)
    image, measures = result
    return (*common, "", *classes, image.png, bytes.fromhex(image.sha256), image.sums, image.squares, *measures)
