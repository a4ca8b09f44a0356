"""Sources that need no files: drawn faces, drawn digits, and the digits that come with scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from faceforge.config import IngestConfig
from faceforge.data.sources import toydigits
from faceforge.data.sources.classes import check_classes, choose_labels
from faceforge.data.sources.samples import InMemory, Sample, Source, random_subset
from faceforge.data.sources.toyfaces import CHUNK, COLUMN, EXPRESSIONS, ToyFaces
from faceforge.errors import FaceForgeError

TOYFACES = "toyfaces"
TOYFACES_COUNT = 6000
TOYDIGITS = "toydigits"
TOYDIGITS_COUNT = 6000
DIGITS = "digits"


class ToyFacesSource(Source):
    """Drawn faces at `ingest.image_size`; `ingest.limit` is their number (0 = `TOYFACES_COUNT`)."""

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
        """In the order of their numbers."""
        last, step = min(self.count if stop is None else stop, self.count), CHUNK
        for first in range(start, last, step):
            for number, pixels in enumerate(self._faces.draw(first, min(first + step, last)), first):
                labels: dict[str, str | None] = dict.fromkeys(self.labels, EXPRESSIONS[self._faces.codes[number]])
                yield Sample(f"{number:06d}", InMemory(pixels), labels)

    def stamps(self) -> dict[str, str]:
        """The options and the size."""
        return {TOYFACES: f"{self._options} {self._size} px"}


class ToyDigitsSource(Source):
    """Drawn digits at `ingest.image_size`; `ingest.limit` is their number (0 = `TOYDIGITS_COUNT`)."""

    name = TOYDIGITS

    def __init__(self, config: IngestConfig) -> None:
        self._size = config.image_size
        self.labels = choose_labels(TOYDIGITS, (toydigits.COLUMN,), config.labels)
        self.vocabularies = {column: list(toydigits.DIGITS) for column in self.labels}
        self.count = config.limit or TOYDIGITS_COUNT
        self._digits = toydigits.ToyDigits(self.count, self._size)

    def samples(self, start: int = 0, stop: int | None = None) -> Iterator[Sample]:
        """In the order of their numbers."""
        for number in range(self.count)[start:stop]:
            digit = toydigits.DIGITS[self._digits.codes[number]]
            labels: dict[str, str | None] = dict.fromkeys(self.labels, digit)
            yield Sample(f"{number:06d}", InMemory(self._digits.draw(number)), labels)

    def stamps(self) -> dict[str, str]:
        """The size."""
        return {TOYDIGITS: f"{self._size} px"}


class DigitsSource(Source):
    """1,797 handwritten digits of 8 x 8 pixels, part of scikit-learn's wheel; the column `digit` has ten classes.

    The test set of the UCI repository's "Optical recognition of handwritten digits" (Alpaydin and Kaynak, 1998).
    """

    name = DIGITS

    def __init__(self, config: IngestConfig) -> None:
        import sklearn
        from sklearn.datasets import load_digits

        digits = load_digits()
        self._version = sklearn.__version__
        grey = np.rint(digits.images * (255 / 16)).astype(np.uint8)
        self._pixels = np.repeat(grey[..., None], 3, axis=3)
        self._digits = digits.target.tolist()
        self.labels = choose_labels(DIGITS, ("digit",), config.labels)
        self.vocabularies = {column: [str(digit) for digit in range(10)] for column in self.labels}
        self._chosen = random_subset(len(self._digits), config.limit)
        self.count = len(self._chosen)

    def samples(self, start: int = 0, stop: int | None = None) -> Iterator[Sample]:
        """In the order of the file."""
        for place in self._chosen[start:stop].tolist():
            labels: dict[str, str | None] = dict.fromkeys(self.labels, str(self._digits[place]))
            yield Sample(f"{place:04d}", InMemory(self._pixels[place]), labels)

    def stamps(self) -> dict[str, str]:
        """The version of scikit-learn."""
        return {"scikit-learn": self._version}


def _shares(options: str) -> dict[str, float]:
    try:
        pairs = [item.split("=") for item in options.split(",")]
        return {name.strip(): float(value) for name, value in pairs}
    except ValueError:
        raise FaceForgeError(
            f"toyfaces:{options} is malformed; write, for example, toyfaces:neutral=8,smiling=1,glasses=1"
        ) from None
