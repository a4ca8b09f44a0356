"""Opens any source of images by its name or path; mistakes are reported before images are decoded."""

from __future__ import annotations

from pathlib import Path

from faceforge.config import IngestConfig
from faceforge.data.imageset.info import is_image_set
from faceforge.data.sources.annotations import FileSource
from faceforge.data.sources.archives import open_archive
from faceforge.data.sources.array_parts import array_files
from faceforge.data.sources.arrays import ArraySource
from faceforge.data.sources.drawn import DIGITS, TOYDIGITS, TOYFACES, DigitsSource, ToyDigitsSource, ToyFacesSource
from faceforge.data.sources.file_kinds import describe_file
from faceforge.data.sources.files import Files
from faceforge.data.sources.folders import FolderFiles
from faceforge.data.sources.layouts import annotations_of, has_usual_table
from faceforge.data.sources.parquet import ParquetSource, has_shards, open_parquet
from faceforge.data.sources.remote import find_parquet, is_url, refuse_credentials
from faceforge.data.sources.samples import Source
from faceforge.data.sources.shards import ShardFiles, shard_names
from faceforge.data.sources.tfds import TFDS, TfdsSource, is_prepared_folder
from faceforge.data.sources.unused import nothing_to_read
from faceforge.errors import FaceForgeError

_PREVIEWS = 16  # up to this many images beside the Parquet files of a data set are previews of it
_KNOWN = "toyfaces, toydigits, digits, tfds:NAME, a folder, an archive, arrays or Parquet"


def open_source(spec: str, config: IngestConfig, labels_csv: str | None = None) -> Source:
    """Opens a source and checks it without decoding images.

    Args:
        spec: `toyfaces` (or `toyfaces:neutral=8,smiling=1,glasses=1` for unequal classes), `toydigits`, `digits`,
            `tfds:NAME`, a folder of images, a zip or tar archive or a folder of tar archives, a Parquet file or folder
            of them, a data set saved by `save_to_disk` or by TFDS, arrays (`.npz`, `.npy`, idx, CSV of pixels), the URL
            of Parquet files (`s3://...`, `gs://...`, `https://...`), or an image set.
        config: which labels to keep and where they come from, how many images to take.
        labels_csv: for image files, a label table (CSV, TSV, JSON, JSON Lines or Parquet); None = see `layouts`.

    Raises:
        FaceForgeError: the source is missing, empty or of no known kind, or does not have the requested labels.
    """
    source = _open(spec, config, bool(labels_csv))
    if isinstance(source, Files):
        return FileSource(source, annotations_of(source, config, labels_csv), config)
    if labels_csv or config.labels_from_name:
        what = "a table of labels" if labels_csv else "ingest.labels_from_name"
        raise FaceForgeError(f"{what} goes with a folder or an archive of images, not with {spec}")
    return source


def is_path(spec: str) -> bool:
    """Whether a source is a local path."""
    return not is_url(spec) and spec.partition(":")[0] not in {TOYFACES, TOYDIGITS, DIGITS, TFDS}


def _open(spec: str, config: IngestConfig, has_table: bool) -> Source | Files:
    kind, _, rest = spec.partition(":")
    if kind == TOYFACES:
        return ToyFacesSource(rest, config)
    if spec == TOYDIGITS:
        return ToyDigitsSource(config)
    if spec == DIGITS:
        return DigitsSource(config)
    if kind == TFDS:
        return TfdsSource(rest, config)
    if is_url(spec):
        refuse_credentials(spec)
        remote = find_parquet(spec)
        shown = Path(remote[0].path).stem if len(remote) == 1 else Path(spec.partition("?")[0]).name
        return ParquetSource(shown, remote, config)
    path = Path(spec).expanduser()
    if not spec or not path.exists():
        raise FaceForgeError(f"source {spec!r} does not exist; give {_KNOWN}")
    return _open_file(path, config) if path.is_file() else _open_folder(path, config, has_table)


def _open_file(path: Path, config: IngestConfig) -> Source | Files:
    with path.open("rb") as stream:
        parquet = stream.read(4) == b"PAR1" or path.suffix.lower() in {".parquet", ".pq"}
    if parquet and (source := open_parquet(path, config)):
        return source
    if arrays := array_files(path):
        return ArraySource(arrays, path.name.partition(".")[0], config)
    files = open_archive(path)
    if files is None:
        raise FaceForgeError(f"source {path} cannot be read: it is {describe_file(path)}")
    if len(files.paths) == len(files.problems):
        if not files.paths:
            raise nothing_to_read(files, f"archive {path}")
        raise FaceForgeError(
            f"archive {path} holds no images that can be used (the first: {files.paths[0]}: {files.problems[0]})"
        )
    return files


def _open_folder(path: Path, config: IngestConfig, has_table: bool) -> Source | Files:
    if is_image_set(path) and not has_table:
        source = open_parquet(path, config)
        assert source is not None  # noqa: S101 - an image set
        return source
    if is_prepared_folder(path):
        return TfdsSource(str(path), config)
    files = FolderFiles(path)
    described = has_table or config.labels_from_name or has_usual_table(files)
    if files.paths and (described or len(files.paths) > _PREVIEWS or not has_shards(path)):
        return files
    if source := open_parquet(path, config):
        if files.paths:
            source.notes += (f"skipped: {len(files.paths)} image files beside the Parquet files",)
        return source
    if arrays := array_files(path):
        return ArraySource(arrays, path.resolve().name, config)
    if shards := shard_names(files):
        joined = ShardFiles(files, path, shards)
        if joined.paths:
            return joined
    raise nothing_to_read(files, f"folder {path}")
