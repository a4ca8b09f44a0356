"""From what the user names to a source of images, with every mistake told before any work is done."""

from __future__ import annotations

from pathlib import Path

from faceforge.config import IngestConfig
from faceforge.data.imageset.info import INFO_FILE
from faceforge.data.sources.archives import open_archive
from faceforge.data.sources.celeba import CelebaLabels, is_celeba
from faceforge.data.sources.drawn import DIGITS, TOYFACES, DigitsSource, ToyFacesSource
from faceforge.data.sources.file_names import NameLabels
from faceforge.data.sources.files import IMAGE_SUFFIXES, LABEL_TABLES, Files
from faceforge.data.sources.folders import FolderFiles
from faceforge.data.sources.labelled import FileSource, Labelling, NoLabels, TreeLabels
from faceforge.data.sources.parquet import ParquetSource, has_shards, open_parquet
from faceforge.data.sources.remote import find_parquet, is_url
from faceforge.data.sources.samples import Source
from faceforge.data.sources.tables import TableLabels
from faceforge.data.sources.tfds import TFDS, TfdsSource
from faceforge.errors import FaceForgeError

_PREVIEWS = 16  # so many images beside the Parquet files of a data set show what it holds; more are images
_KNOWN = "toyfaces, digits, tfds:NAME, a folder, an archive or Parquet"


def open_source(spec: str, config: IngestConfig, labels_csv: str = "") -> Source:
    """Opens a source and checks it without decoding images.

    Args:
        spec: `toyfaces` (or `toyfaces:neutral=8,smiling=1,glasses=1` for uneven classes), `digits`, `tfds:NAME`, a
            folder of images, a zip or tar archive, a Parquet file or a folder of them, an address of Parquet files
            (`s3://...`, `gs://...`, `https://...`), or an image set of ours.
        config: which labels to keep and where they come from, how many images to take.
        labels_csv: for a folder or archive of images, a CSV or Parquet file with a file-name column; unset = one of
            `LABEL_TABLES` beside the images, if there.

    Raises:
        FaceForgeError: the source is missing, empty or of no known kind, or its labels are not as wanted.
    """
    source = _open(spec, config, labels_csv)
    if isinstance(source, Files):
        return FileSource(source, _labelling(source, config, labels_csv), config)
    if labels_csv or config.labels_from_name:
        what = "a table of labels" if labels_csv else "ingest.labels_from_name"
        raise FaceForgeError(f"{what} goes with a folder or an archive of images, not with {spec}")
    return source


def is_path(spec: str) -> bool:
    """Whether a source is named by a path of this machine."""
    return not is_url(spec) and spec.partition(":")[0] not in {TOYFACES, DIGITS, TFDS}


def _open(spec: str, config: IngestConfig, labels_csv: str) -> Source | Files:
    kind, _, rest = spec.partition(":")
    if kind == TOYFACES:
        return ToyFacesSource(rest, config)
    if spec == DIGITS:
        return DigitsSource(config)
    if kind == TFDS:
        return TfdsSource(rest, config)
    if is_url(spec):
        found = find_parquet(spec)
        return ParquetSource(Path(found[0].path).stem if len(found) == 1 else Path(spec).name, found, config)
    path = Path(spec).expanduser()
    if not spec or not path.exists():
        raise FaceForgeError(f"source {spec!r} does not exist; give {_KNOWN}")
    if path.is_file():
        return _open_file(path, config)
    if (path / INFO_FILE).is_file() and not labels_csv:
        source = open_parquet(path, config)
        assert source is not None  # noqa: S101 - an image set
        return source
    files = FolderFiles(path)
    described = files.tables or labels_csv or config.labels_from_name
    if files.paths and (described or len(files.paths) > _PREVIEWS or not has_shards(path)):
        return files
    if source := open_parquet(path, config):
        if files.paths:
            source.notes += (f"passed over: {len(files.paths)} image files beside the Parquet files",)
        return source
    beside = f", but {files.passed_over()}" if files.others else ""
    raise FaceForgeError(f"folder {path} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))}){beside}")


def _open_file(path: Path, config: IngestConfig) -> Source | Files:
    with path.open("rb") as stream:
        parquet = stream.read(4) == b"PAR1" or path.suffix.lower() in {".parquet", ".pq"}
    if parquet and (source := open_parquet(path, config)):
        return source
    files = open_archive(path)
    if files is None:
        raise FaceForgeError(
            f"source {path} is a file, but not Parquet, zip or tar; give the folder that holds the images"
        )
    if len(files.paths) == len(files.problems):
        first = f" that can be used (the first: {files.paths[0]}: {files.problems[0]})" if files.paths else ""
        raise FaceForgeError(f"archive {path} holds no images{first}")
    return files


def _labelling(files: Files, config: IngestConfig, table: str) -> Labelling:
    if table and config.labels_from_name:
        raise FaceForgeError("labels come from a table or from ingest.labels_from_name, not from both; drop one")
    if table:
        return TableLabels(files, config, table)
    if config.labels_from_name:
        return NameLabels(files, config)
    if is_celeba(files):
        return CelebaLabels(files, config)
    if config.labels == ():
        return NoLabels()
    if any(name in files.tables for name in LABEL_TABLES):
        return TableLabels(files, config)
    return TreeLabels(files, config)
