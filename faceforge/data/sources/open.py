"""From what the user names to a source of images, with every mistake told before any work is done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from faceforge.config import IngestConfig
from faceforge.data.info import INFO_FILE
from faceforge.data.samples import Given, Sample, Source, check_classes, choose_labels
from faceforge.data.sources.folders import FolderSource, list_images
from faceforge.data.sources.parquets import open_parquet
from faceforge.data.toyfaces import COLUMN, EXPRESSIONS, ToyFaces
from faceforge.errors import FaceForgeError

TOYFACES = "toyfaces"
TOYFACES_COUNT = 6000


def open_source(spec: str, config: IngestConfig, labels_csv: str = "") -> Source:
    """Opens a source and checks it without decoding images.

    Args:
        spec: `toyfaces` (or `toyfaces:neutral=8,smiling=1,glasses=1` for uneven classes), a folder of images, a Parquet
            file, a folder of Parquet files, or an image set of ours.
        config: which labels to keep, how many images to take.
        labels_csv: for a folder of images, a CSV with a file-name column; unset = `labels.csv` or `metadata.csv`
            in the folder, if there.

    Raises:
        FaceForgeError: the source is missing, empty or of no known kind, or its labels are not as wanted.
    """
    kind, _, options = spec.partition(":")
    if labels_csv and (kind == TOYFACES or Path(spec).is_file()):
        raise FaceForgeError(f"a label CSV goes with a folder of images, not with {spec}")
    if kind == TOYFACES:
        return ToyFacesSource(options, config)
    path = Path(spec).expanduser()
    if not spec or not path.exists():
        raise FaceForgeError(f"source {spec!r} does not exist; give `toyfaces`, a folder of images, or Parquet")
    if path.is_file():
        if path.suffix.lower() not in {".parquet", ".pq"}:
            raise FaceForgeError(f"source {spec} is a file, but not Parquet; give the folder that holds the images")
        return open_parquet(path, config) or FolderSource(path, config)
    if labels_csv or (not (path / INFO_FILE).is_file() and list_images(path)):
        return FolderSource(path, config, labels_csv)
    return open_parquet(path, config) or FolderSource(path, config)


class ToyFacesSource(Source):
    """The built-in drawn faces; `limit` says how many (0 = `TOYFACES_COUNT`), at the size that ingest wants."""

    name = TOYFACES

    def __init__(self, options: str, config: IngestConfig) -> None:
        self._options, self._size = options, config.image_size
        shares = _shares(options) if options else None
        self.labels = choose_labels(TOYFACES, (COLUMN,), config.labels)
        self.vocabularies = {column: list(EXPRESSIONS) for column in self.labels}
        self.count = config.limit or TOYFACES_COUNT
        self._faces = ToyFaces(self.count, self._size, shares=shares)
        for column in self.labels:
            check_classes(TOYFACES, column, (EXPRESSIONS[code] for code in self._faces.codes))

    def samples(self, start: int = 0, stop: int | None = None) -> Iterator[Sample]:
        """Face 0, 1, 2..."""
        last, step = min(self.count if stop is None else stop, self.count), 128
        for first in range(start, last, step):
            for number, pixels in enumerate(self._faces.draw(first, min(first + step, last)), first):
                labels: dict[str, str | None] = dict.fromkeys(self.labels, EXPRESSIONS[self._faces.codes[number]])
                yield Sample(f"{number:06d}", Given(pixels), labels)

    def stamps(self) -> dict[str, str]:
        """What they are drawn with."""
        return {TOYFACES: f"{self._options} {self._size} px"}


def _shares(options: str) -> dict[str, float]:
    try:
        pairs = [item.split("=") for item in options.split(",")]
        return {name.strip(): float(value) for name, value in pairs}
    except ValueError:
        raise FaceForgeError(
            f"toyfaces:{options} is not understood; write, for example, toyfaces:neutral=8,smiling=1,glasses=1"
        ) from None
