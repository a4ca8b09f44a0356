"""What becomes of one sample, decided by itself alone: the part of ingest that runs beside others."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from faceforge.config import IngestConfig
from faceforge.data.info import Split
from faceforge.data.pixels import Encoded, encode
from faceforge.data.prepare import Measures, RejectedError, prepare_image
from faceforge.data.samples import Sample

warnings.filterwarnings("ignore", module=r"PIL\.")  # of damaged files; those that matter become reasons


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


def process(sample: Sample, config: IngestConfig) -> Outcome:
    """Reads, prepares and encodes one image; whatever is wrong with it becomes the reason."""
    if sample.problem:
        return refused(sample, sample.problem)
    for column, value in sample.labels.items():
        if value is None:
            return refused(sample, f"no value for label {column!r}")
    try:
        prepared = prepare_image(sample.read(), config, sample.box, sample.landmarks)
    except RejectedError as error:
        return refused(sample, str(error))
    except OSError as error:
        return refused(sample, f"cannot be read: {error.strerror or error}")
    return Outcome(
        sample.path,
        sample.labels,
        sample.group,
        sample.split,
        sample.absent,
        image=encode(prepared.pixels),
        measures=prepared.measures,
    )


def refused(sample: Sample, reason: str) -> Outcome:
    """The outcome of a sample that cannot be used."""
    return Outcome(sample.path, sample.labels, sample.group, sample.split, sample.absent, reason=reason)


def fatal(sample: Sample) -> Outcome:
    """The outcome of a sample that ended the process which decoded it."""
    return refused(sample, "the decoder crashed, ran out of memory or never came to an end")
