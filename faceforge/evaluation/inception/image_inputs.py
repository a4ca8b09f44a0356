"""Reads the images to be measured from an image set or any source: each at its own size, not cropped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from faceforge.config import IngestConfig
from faceforge.data.imageset.info import SPLITS, Split, is_image_set
from faceforge.data.imageset.reader import ImageSet
from faceforge.data.pixels import Pixels, map_ordered
from faceforge.data.preprocess.decode import RejectedError, decode_upright, open_image
from faceforge.data.sources import open_source
from faceforge.data.sources.samples import InMemory, Sample
from faceforge.errors import FaceForgeError
from faceforge.progress import Progress


class ImageInput:
    """A collection of images to be measured; iterating decodes them in parallel and shows progress.

    Attributes:
        name: as the user named it.
        count: number of images to read, including unreadable ones.
        key: changes whenever the images change; None = unknown.
        skipped: `path: reason` of every unreadable image so far.
    """

    def __init__(self, name: str, count: int, samples: Iterable[Sample], key: str | None = None) -> None:
        self.name, self.count, self.key = name, count, key
        self.skipped: list[str] = []
        self._samples = samples

    def __iter__(self) -> Iterator[Pixels]:
        """Each image as uint8 (H, W, 3), decoded as by ingest: upright, sRGB, transparent pixels over white."""
        with Progress(self.name, self.count) as progress:
            for image in map_ordered(_read, self._samples):
                progress.advance(1)
                if isinstance(image, str):
                    self.skipped.append(image)
                else:
                    yield image

    def sample(self, count: int, seed: int) -> ImageInput:
        """At most `count` of the images, chosen at random; the others are not decoded."""
        if self.count <= count:
            return self
        chosen = set(np.random.default_rng(seed).choice(self.count, count, replace=False).tolist())
        samples = (sample for number, sample in enumerate(self._samples) if number in chosen)
        return ImageInput(self.name, count, samples)


def open_images(spec: str) -> ImageInput:
    """Opens an image set or another source of images, without decoding them.

    Args:
        spec: an image set (its training split, or the holdout with `:holdout` appended), or any other source that
            `open_source` takes: a folder of images, an archive, Parquet, ...

    Raises:
        FaceForgeError: it does not exist or has no images.
    """
    folder, _, split = (
        spec.rpartition(":") if spec.endswith(tuple(f":{name}" for name in SPLITS)) else (spec, "", "train")
    )
    if is_image_set(Path(folder).expanduser()):
        images = ImageSet.open(Path(folder).expanduser())
        return _split(spec, images, split)  # type: ignore[arg-type]
    if folder != spec:
        raise FaceForgeError(f"{folder} is not an image set, so it has no split {split!r}; name the source without it")
    source = open_source(spec, IngestConfig.model_validate({"labels": ()}))
    return ImageInput(spec, source.count, (sample for sample in source.samples() if not sample.absent))


def _split(name: str, images: ImageSet, split: Split) -> ImageInput:
    count = images.info.counts[split].total
    samples = (Sample(record.path, InMemory(record.image)) for record in images.records(split))
    return ImageInput(name, count, samples, key=f"{images.info.digest}:{split}")


def _read(sample: Sample) -> Pixels | str:
    """The pixels, or `path: reason` if they cannot be read."""
    try:
        if sample.problem:
            raise RejectedError(sample.problem)
        data = sample.read()
        if not isinstance(data, bytes):
            return data
        with open_image(data) as image:
            return np.asarray(decode_upright(image, data).convert("RGB"))
    except (RejectedError, OSError) as error:
        return f"{sample.path}: {error}"
