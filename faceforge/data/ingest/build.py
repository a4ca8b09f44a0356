"""Builds an image set with a frozen holdout from any source of images.

In three phases: images are *prepared* one by one, in parallel, and kept in parts (`preparation`, `processing`,
`parts`); when all parts exist, *selection* assigns images to splits and drops duplicates (`selection`, `checks`); the
selected images are *written* (`imageset.writer`).
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from faceforge.config import IngestConfig
from faceforge.data.imageset.info import SPLITS
from faceforge.data.imageset.reader import DatasetInfo, ImageSet
from faceforge.data.imageset.writer import ImageSetWriter, check_target
from faceforge.data.ingest.checks import check_count, check_selection
from faceforge.data.ingest.parts import Parts
from faceforge.data.ingest.preparation import prepare_parts
from faceforge.data.ingest.provenance import Provenance
from faceforge.data.ingest.selection import Selection, select_images
from faceforge.data.sources import open_source
from faceforge.data.sources.samples import Source
from faceforge.errors import FaceForgeError
from faceforge.files import atomic_folder, exclusive_lock
from faceforge.progress import Progress


def build_image_set(
    source: str,
    out: Path,
    config: IngestConfig,
    *,
    labels_csv: str | None = None,
    work: Path | None = None,
    prepared: Sequence[Path] = (),
    for_evaluation: bool = False,
) -> ImageSet:
    """Decodes, filters, de-duplicates, crops, resizes and splits the images of a source.

    The holdout is chosen by the digest of an image's pixels: at a given size, the same image is always in the same
    split, whatever other images are ingested with it. The result does not depend on the number of workers.

    Returns at once if `out` was made from the same source with the same settings. If ingest is interrupted or refuses
    the source, the images prepared so far stay in `work`, and the next call continues with them.

    Args:
        source: see `faceforge.data.sources.open_source`.
        out: folder of the image set; an existing image set is replaced once the new one is complete.
        config: size, channels, labels, crop, holdout share and limits.
        labels_csv: table of labels for a folder of images; None = one beside the images, if there is one.
        work: folder for prepared images; default: a hidden one beside `out`. It is removed at the end.
        prepared: folders filled by `prepare_share`.
        for_evaluation: refuse, as early as possible, a source with too few images to evaluate a model on.

    Raises:
        FaceForgeError: the source cannot be used, more than `max_rejects` of its images are rejected, a split would be
            empty, or a class too small. Nothing is left under `out` then.
    """
    opened = open_source(source, config, labels_csv or "")
    check_target(out)
    if Path(source).exists() and Path(source).resolve() == out.resolve():
        raise FaceForgeError(f"{out} is the source itself; name another folder to write to")
    if for_evaluation:
        check_count(opened)
    provenance = Provenance.of(opened, config)
    if (existing := _up_to_date(out, provenance)) is not None:
        return existing
    with (
        _write_errors(out),
        _open_parts(opened, provenance, work or out.with_name(f".{out.name}.parts"), prepared) as parts,
    ):
        prepare_parts(opened, config, parts)
        selection = select_images(parts, config)
        check_selection(opened, selection, config.min_class, for_evaluation)
        with atomic_folder(out) as folder:
            info = _write(opened, config, parts, selection, folder)
            provenance.save(folder)
        shutil.rmtree(parts.folder, ignore_errors=True)
    return ImageSet(out, info)


def prepare_share(
    source: str, out: Path, config: IngestConfig, *, share: int, shares: int, labels_csv: str | None = None
) -> None:
    """Prepares one of several shares of a source, for `build_image_set(..., prepared=...)` to complete.

    Args:
        source: as for `build_image_set`, which must get the same source and configuration.
        out: folder for prepared images; those of an interrupted attempt are used.
        config: as for `build_image_set`.
        share: which share, from 0.
        shares: number of shares.
        labels_csv: as for `build_image_set`.
    """
    opened = open_source(source, config, labels_csv or "")
    with _write_errors(out), _open_parts(opened, Provenance.of(opened, config), out) as parts:
        start, stop = (len(parts.ranges) * number // shares for number in (share, share + 1))
        prepare_parts(opened, config, parts, parts.ranges[start:stop])


def _up_to_date(out: Path, provenance: Provenance) -> ImageSet | None:
    """The existing image set if it has this provenance; otherwise prints what has changed."""
    before = Provenance.load(out)
    if before is None:
        return None
    if differences := before.differences(provenance):
        print(f"{out} is rebuilt: {differences}", file=sys.stderr)
        return None
    try:
        existing = ImageSet.open(out)
        for split in SPLITS:
            existing.shards(split)
    except FaceForgeError as error:
        print(f"{out} is rebuilt: {error}", file=sys.stderr)
        return None
    print(f"{out} is up to date: neither its source nor the settings have changed", file=sys.stderr)
    return existing


@contextmanager
def _open_parts(source: Source, provenance: Provenance, work: Path, prepared: Sequence[Path] = ()) -> Iterator[Parts]:
    """The parts of this source with these settings, locked; parts of any other are removed from `work`."""
    now = provenance.of_parts()
    for folder in prepared:
        before = Provenance.load(folder)
        if before is None:
            raise FaceForgeError(f"{folder} holds no prepared images")
        if differences := before.differences(now):
            raise FaceForgeError(f"the images in {folder} were prepared from something else: {differences}")
    work.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(work, busy=f"another ingest is writing to {work}; wait for it, or name another folder"):
        try:
            if Provenance.load(work) != now:
                for file in work.iterdir():
                    shutil.rmtree(file) if file.is_dir() else file.unlink()
                now.save(work)
            yield Parts(work, source.labels, source.count, prepared)
        except BaseException:
            if not any(work.glob("*.parquet")):  # nothing worth keeping
                shutil.rmtree(work, ignore_errors=True)
            raise


def _write(source: Source, config: IngestConfig, parts: Parts, selection: Selection, folder: Path) -> DatasetInfo:
    writer = ImageSetWriter(
        folder,
        source=source.name,
        image_size=config.image_size,
        channels=config.channels,
        columns=source.labels,
        vocabularies=source.vocabularies,
    )
    with Progress(f"write {source.name}", source.count) as progress:
        first = 0
        for batch in parts.images():
            splits = selection.splits[first : first + batch.num_rows]
            first += batch.num_rows
            for position, split in enumerate(SPLITS):
                if (rows := batch.filter(splits == position)).num_rows:
                    writer.add_prepared(split, rows, parts.label_fields())
            progress.advance(batch.num_rows)
    return writer.finish(selection.left_out, drop_unused=True, notes=(*source.notes, *selection.notes))


@contextmanager
def _write_errors(out: Path) -> Iterator[None]:
    """Turns an OSError into one about the output: sources turn their own into rejects or FaceForgeErrors."""
    try:
        yield
    except OSError as error:
        raise FaceForgeError(f"cannot write the image set {out}: {error.strerror or error}") from None
