"""Ingest: from any source to an image set with a frozen holdout."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from faceforge.config import IngestConfig
from faceforge.data.imageset import DatasetInfo, ImageSet
from faceforge.data.info import Duplicate, Reject, Split
from faceforge.data.pixels import Encoded, encode, map_ordered
from faceforge.data.prepare import RejectedError, prepare_image
from faceforge.data.samples import Sample, Source
from faceforge.data.sources import open_source
from faceforge.data.writer import ImageSetWriter, check_target
from faceforge.errors import FaceForgeError
from faceforge.files import atomic_folder
from faceforge.progress import Progress

_REASONS_SHOWN = 3


def ingest(source: str, out: Path, config: IngestConfig, labels_csv: str = "") -> ImageSet:
    """Decodes, checks, de-duplicates, crops, resizes and splits the images of a source.

    Images whose pixels equal those of an earlier one are left out. The holdout is chosen by the digest of the
    pixels: the same image falls on the same side whenever and with whatever else it is ingested at that size.

    Args:
        source: see `faceforge.data.sources.open_source`.
        out: folder of the image set; an image set that is there is replaced once the new one is complete.
        config: size, channels, labels, crop, holdout share and limits.
        labels_csv: labels of a folder of images.

    Raises:
        FaceForgeError: the source is unusable, more than `max_rejects` of it is, a split would be empty, or a
            label column keeps fewer than two classes. Nothing is left under `out` then.
    """
    opened = open_source(source, config, labels_csv)
    check_target(out)
    if Path(source).exists() and Path(source).resolve() == out.resolve():
        raise FaceForgeError(f"{out} is the source itself; name another folder to write to")
    try:
        with atomic_folder(out) as folder:
            info = _write(opened, folder, config)
    except OSError as error:  # sources turn their own into rejects or FaceForgeErrors
        raise FaceForgeError(f"cannot write the image set {out}: {error.strerror or error}") from None
    return ImageSet(out, info)


def holdout_side(sha256: str, share: float) -> Split:
    """The split of an image: `holdout` where its digest, read as a number in 0..1, is below the share."""
    return "holdout" if int(sha256[:16], 16) < share * 2**64 else "train"


@dataclass(frozen=True)
class _Outcome:
    sample: Sample
    image: Encoded | None
    reason: str = ""


def _write(source: Source, folder: Path, config: IngestConfig) -> DatasetInfo:
    writer = ImageSetWriter(
        folder,
        source=source.name,
        image_size=config.image_size,
        channels=config.channels,
        columns=source.labels,
        vocabularies=source.vocabularies,
    )
    rejects: list[Reject] = []
    duplicates: list[Duplicate] = []
    seen: dict[str, str] = {}
    absent = 0
    with Progress(f"ingest {source.name}", source.count) as progress:
        for outcome in map_ordered(partial(_process, config=config), source.samples(), ahead=16):
            progress.advance(1)
            sample, image = outcome.sample, outcome.image
            if image is None:
                rejects.append(Reject(path=sample.path, reason=outcome.reason))
                absent += sample.absent
                if len(rejects) - absent > config.max_rejects * source.count:
                    raise _too_many(source, rejects, config.max_rejects)
            elif image.sha256 in seen:
                duplicates.append(Duplicate(path=sample.path, of=seen[image.sha256]))
            else:
                seen[image.sha256] = sample.path
                labels = {column: value for column, value in sample.labels.items() if value is not None}
                writer.add(sample.split or holdout_side(image.sha256, config.holdout), image, sample.path, labels)
    info = writer.finish(rejects, duplicates, drop_unused=True, notes=source.notes)
    _check(info)
    return info


def _process(sample: Sample, config: IngestConfig) -> _Outcome:
    """Everything about one image that can run beside others."""
    if sample.problem:
        return _Outcome(sample, None, sample.problem)
    for column, value in sample.labels.items():
        if value is None:
            return _Outcome(sample, None, f"no value for label {column!r}")
    try:
        return _Outcome(sample, encode(prepare_image(sample.read(), config, sample.box, sample.landmarks).pixels))
    except RejectedError as error:
        return _Outcome(sample, None, str(error))
    except OSError as error:
        return _Outcome(sample, None, f"cannot be read: {error.strerror or error}")


def _too_many(source: Source, rejects: list[Reject], share: float) -> FaceForgeError:
    shown = "; ".join(f"{reject.path}: {reject.reason}" for reject in rejects[:_REASONS_SHOWN])
    return FaceForgeError(
        f"{source.name}: more than {share:.0%} of {source.count:,} images cannot be used ({shown}"
        f"{'; ...' if len(rejects) > _REASONS_SHOWN else ''}); mend the source or raise ingest.max_rejects"
    )


def _check(info: DatasetInfo) -> None:
    """What cannot be trained and judged on is refused here, not three steps later."""
    totals = {split: counts.total for split, counts in info.counts.items()}
    if sum(totals.values()) == 0:
        first = f" (the first: {info.rejects[0].path}: {info.rejects[0].reason})" if info.rejects else ""
        raise FaceForgeError(f"{info.source}: no usable image{first}")
    for split, total in totals.items():
        if total == 0:
            raise FaceForgeError(
                f"{info.source}: all {sum(totals.values())} images fell outside the {split} split; "
                "give more images or change ingest.holdout"
            )
    for column in info.labels:
        counts = info.counts["train"].classes[column]
        if sum(count > 0 for count in counts.values()) < 2:
            raise FaceForgeError(
                f"{info.source}: fewer than two classes of {column!r} are left in the train split; "
                "give more images or set `ingest.labels=`"
            )
