"""What becomes of samples, each decided by itself alone: the part of ingest that runs beside others."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from faceforge.config import IngestConfig
from faceforge.data.imageset.info import Split
from faceforge.data.pixels import Encoded, encode
from faceforge.data.preprocess.prepare import Cut, Measures, Prepared, RejectedError, cut_out, measured
from faceforge.data.sources.samples import Given, Sample

warnings.filterwarnings("ignore", module=r"PIL\.")  # of damaged files; those that matter become reasons
LOT = 16  # samples that are processed together
LOT_BYTES = 16 * 2**20  # of content that is in memory already
_In = TypeVar("_In")
_Out = TypeVar("_Out")


@dataclass(frozen=True)
class Outcome:
    """A prepared image, or the reason why there is none.

    Attributes:
        path, labels, group, split, absent: as in the sample.
        image: as it will be stored; None where it was refused.
        measures: of the image; None where it was refused.
        reason: of the refusal, or ''.
    """

    path: str
    labels: dict[str, str | None]
    group: str
    split: Split | None
    absent: bool
    image: Encoded | None = None
    measures: Measures | None = None
    reason: str = ""


def lots(samples: Iterable[Sample]) -> Iterator[list[Sample]]:
    """`LOT` samples at a time; fewer where they bring their content along, `LOT_BYTES` of it or a single one."""
    lot: list[Sample] = []
    held = 0
    for sample in samples:
        content = sample.read.content if isinstance(sample.read, Given) else b""
        size = len(content) if isinstance(content, bytes) else content.nbytes
        if lot and (len(lot) == LOT or held + size > LOT_BYTES):
            yield lot
            lot, held = [], 0
        lot.append(sample)
        held += size
    if lot:
        yield lot


def process(samples: Sequence[Sample], config: IngestConfig) -> list[Outcome]:
    """Reads, prepares and encodes images; whatever is wrong with one becomes the reason.

    Step by step for all of them, not image by image: a step that is repeated finds its code and its tables in the
    processor's caches, a tenth of the time. Between steps they are as small as they will be stored.
    """
    cuts = [_tried(_cut, sample, config) for sample in samples]
    prepared = [cut if isinstance(cut, str) else _tried(measured, cut, config) for cut in cuts]
    return [
        refused(sample, image) if isinstance(image, str) else _taken(sample, image)
        for sample, image in zip(samples, prepared, strict=True)
    ]


def refused(sample: Sample, reason: str) -> Outcome:
    """The outcome of a sample that cannot be used."""
    return Outcome(sample.path, sample.labels, sample.group, sample.split, sample.absent, reason=reason)


def fatal(sample: Sample) -> Outcome:
    """The outcome of a sample that ended the process which decoded it."""
    return refused(sample, "the decoder crashed, ran out of memory or never came to an end")


def _tried(step: Callable[[_In, IngestConfig], _Out], what: _In, config: IngestConfig) -> _Out | str:
    """What the step makes of it, or why it cannot."""
    try:
        return step(what, config)
    except RejectedError as error:
        return str(error)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"


def _cut(sample: Sample, config: IngestConfig) -> Cut:
    if sample.problem:
        raise RejectedError(sample.problem)
    for column, value in sample.labels.items():
        if value is None:
            raise RejectedError(f"no value for label {column!r}")
    return cut_out(sample.read(), config, sample.box, sample.landmarks)


def _taken(sample: Sample, image: Prepared) -> Outcome:
    return Outcome(
        sample.path,
        sample.labels,
        sample.group,
        sample.split,
        sample.absent,
        image=encode(image.pixels),
        measures=image.measures,
    )
