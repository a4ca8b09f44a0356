"""TensorFlow Datasets by name; TensorFlow is imported only where such a source is opened."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from faceforge.config import IngestConfig
from faceforge.data.imageset.info import Split
from faceforge.data.sources.columns import Column, unambiguous, usual
from faceforge.data.sources.samples import (
    InMemory,
    Sample,
    Source,
    check_labels,
    choose_labels,
    official,
    split_called,
    random_subset,
    with_missing,
)
from faceforge.errors import FaceForgeError

TFDS = "tfds"
_LANDMARKS = ("lefteye", "righteye", "nose", "leftmouth", "rightmouth")  # of celeb_a, each with _x and _y


@dataclass(frozen=True)
class _Part:
    """One split of the data set: its name there, its first number here, and how many examples it has."""

    name: str
    first: int
    count: int
    split: Split | None


class TfdsSource(Source):
    """A data set that TensorFlow Datasets knows, or that lies prepared in `ingest.data_dir`.

    Its `Image` feature gives the images; class labels, numbers, texts, yes-or-no values, also inside of dictionaries,
    multi-hot tensors and sequences of class labels can be labels. Its splits are official ones. What `celeb_a` says of
    identities and landmarks is used. A data set that is not prepared is downloaded by TFDS.

    Raises:
        FaceForgeError: the data set is not known or cannot be prepared, has no image feature, or lacks a label.
    """

    def __init__(self, name: str, config: IngestConfig) -> None:
        self._builder = _prepared(name, config.data_dir)
        info = self._builder.info
        self.name, self._config = f"{TFDS}:{self._builder.name}", config
        features = dict(info.features.items())
        self._image = _image_feature(self.name, features)
        self._identity = "Identity_No" in features.get("identity", ())
        self._landmarks = {f"{n}_{axis}" for n in _LANDMARKS for axis in "xy"} <= set(features.get("landmarks", ()))
        no_labels = {self._image} | ({"identity"} if self._identity else set())
        no_labels |= {"landmarks"} if self._landmarks else set()
        there = unambiguous([c for key in features if key not in no_labels for c in _columns((key,), features[key])])
        wanted, self.notes = usual(there, config.labels)
        by_name = {column.name: column for column in there}
        self._columns = [by_name[label] for label in choose_labels(self.name, list(by_name), wanted)]
        self._parts: list[_Part] = []
        total = 0
        for split in info.splits.values():
            self._parts.append(_Part(split.name, total, split.num_examples, split_called(split.name)))
            total += split.num_examples
        self._official, notes = official({part.split for part in self._parts})
        self.labels, left_out = check_labels(self.name, self._classes(), config)
        self.notes += left_out + notes
        self._columns = [by_name[label] for label in self.labels]
        self.vocabularies = {c.name: list(c.names) for c in self._columns if c.names and not c.listed}
        self._chosen = random_subset(total, config.limit)
        self.count = len(self._chosen)

    def samples(self, start: int = 0, stop: int | None = None) -> Iterator[Sample]:
        """In the order of splits and examples; other shards are not read."""
        chosen = self._chosen[start:stop]
        for part in self._parts:
            low, high = np.searchsorted(chosen, [part.first, part.first + part.count])
            wanted = (chosen[low:high] - part.first).tolist()
            if wanted:
                keep = set(wanted)
                for number, row in enumerate(self._rows(part, wanted[0], wanted[-1] + 1), wanted[0]):
                    if number in keep:
                        yield self._sample(row, part, number)

    def stamps(self) -> dict[str, str]:
        """The files of its splits, by size: when they were prepared differs from machine to machine."""
        from etils import epath  # type: ignore[import-untyped]  # what TFDS names files by

        info, found = self._builder.info, {}
        for part in self._parts:
            for file in map(epath.Path, info.splits[part.name].filepaths):
                found[f"{info.full_name}/{file.name}"] = f"{file.stat().length} bytes"
        return found

    def _rows(self, part: _Part, start: int, stop: int, only: tuple[str, ...] = ()) -> Iterator[dict[str, Any]]:
        """Examples of a split with their images still encoded; with `only`, nothing but these top-level features."""
        import tensorflow_datasets as tfds

        if only:
            decoders = tfds.decode.PartialDecoding(dict.fromkeys(only, True))
        else:
            decoders = {self._image: tfds.decode.SkipDecoding()}
        dataset = self._builder.as_dataset(
            split=tfds.core.ReadInstruction(part.name, from_=start, to=stop, unit="abs"),
            decoders=decoders,
            read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),  # in order, nothing kept
            shuffle_files=False,
        )
        for row in tfds.as_numpy(dataset):
            yield {key: _plain(value) for key, value in row.items()}

    def _sample(self, row: dict[str, Any], part: _Part, number: int) -> Sample:
        marks = row["landmarks"] if self._landmarks else {}
        return Sample(
            path=f"{part.name}/{number}",
            read=InMemory(row[self._image]),
            labels=with_missing({column.name: column.read(row) for column in self._columns}, self._config),
            split=part.split if self._official else None,
            group=str(row["identity"]["Identity_No"]) if self._identity else "",
            landmarks=tuple((float(marks[f"{n}_x"]), float(marks[f"{n}_y"])) for n in _LANDMARKS) if marks else None,
        )

    def _classes(self) -> dict[str, set[str | None]]:
        """The classes of each column; those that the data set does not declare are found by reading them once."""
        found: dict[str, set[str | None]] = {c.name: {"0", "1"} if c.listed else set(c.names) for c in self._columns}
        undeclared = [column for column in self._columns if not found[column.name]]
        if undeclared:
            only = tuple(dict.fromkeys(column.path[0] for column in undeclared))
            for part in self._parts:
                for row in self._rows(part, 0, part.count, only):
                    for column in undeclared:
                        found[column.name].add(with_missing({"": column.read(row)}, self._config)[""])
        return found


def _prepared(name: str, data_dir: str) -> Any:
    """A builder whose data is on disk."""
    try:
        import tensorflow_datasets as tfds
    except ImportError:
        raise FaceForgeError(
            "tfds: sources need the package tensorflow-datasets; pip install tensorflow-datasets"
        ) from None
    where = os.path.expanduser(data_dir) or None
    if data_dir and not os.path.isdir(where or ""):
        raise FaceForgeError(f"ingest.data_dir = {data_dir!r} is no folder")
    try:
        builder = tfds.builder(name, data_dir=where)
    except Exception as error:  # an unknown name, version or configuration; TFDS tells them apart in many lines
        raise FaceForgeError(
            f"tfds:{name} is not known to TensorFlow Datasets, nor prepared under {_place(where)} ({_line(error)})"
        ) from None
    if not builder.is_prepared():
        try:
            builder.download_and_prepare()
        except Exception as error:
            raise FaceForgeError(
                f"tfds:{name} is not prepared under {_place(where)}, and preparing it failed ({_line(error)}); run "
                f"`tfds build {name} --data_dir DIR` where there is a network, and set ingest.data_dir=DIR"
            ) from None
    return builder


def _place(where: str | None) -> str:
    return where or "~/tensorflow_datasets"


def _line(error: Exception) -> str:
    told = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {told[0] if told else 'no reason given'}"[:200]


def _image_feature(name: str, features: Mapping[str, Any]) -> str:
    import tensorflow_datasets as tfds

    found = [key for key, feature in features.items() if isinstance(feature, tfds.features.Image)]
    if not found:
        raise FaceForgeError(f"{name} has no image feature; it has {', '.join(features)}")
    return "image" if "image" in found else str(found[0])


def _columns(path: tuple[str, ...], feature: Any) -> list[Column]:
    """What can be a label in a feature."""
    import tensorflow_datasets as tfds

    kinds, name = tfds.features, path[-1]
    if isinstance(feature, kinds.FeaturesDict):
        return [column for key in feature for column in _columns((*path, key), feature[key])]
    if isinstance(feature, kinds.Sequence) and isinstance(feature.feature, kinds.ClassLabel):
        names = tuple(feature.feature.names)
        return [Column(f"{name}_{member}", path, names, member=member) for member in names]
    if isinstance(feature, kinds.ClassLabel):
        return [Column(name, path, tuple(feature.names))]
    if type(feature) not in (kinds.Tensor, kinds.Scalar, kinds.Text) or feature.np_dtype in (np.float32, np.float64):
        return []
    if feature.shape == ():
        return [Column(name, path)]
    if len(feature.shape) == 1 and feature.shape[0] and feature.np_dtype == np.bool_:
        return [Column(f"{name}_{place}", path, position=place) for place in range(feature.shape[0])]
    return []


def _plain(value: Any) -> Any:
    """numpy values as Python's own."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return value
