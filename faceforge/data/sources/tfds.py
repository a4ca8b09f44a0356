"""TensorFlow Datasets by name or by folder; TensorFlow is imported only when such a source is opened."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from faceforge.config import IngestConfig
from faceforge.data.imageset.info import Split
from faceforge.data.sources.bins import parse_bins
from faceforge.data.sources.classes import LabelRules, choose_labels
from faceforge.data.sources.columns import Column, choose_image_column, default_labels, unambiguous
from faceforge.data.sources.samples import InMemory, Sample, Source, random_subset
from faceforge.data.sources.splits import official_splits, split_called
from faceforge.errors import FaceForgeError

TFDS = "tfds"
_LANDMARKS = ("lefteye", "righteye", "nose", "leftmouth", "rightmouth")  # of celeb_a, each with _x and _y


@dataclass(frozen=True)
class _Part:
    """A split of the data set: its name, the number of its first example in the source, its number of examples."""

    name: str
    first: int
    count: int
    split: Split | None


class TfdsSource(Source):
    """A data set that TensorFlow Datasets knows by name, or that is prepared in `ingest.data_dir` or in a folder.

    Its `Image` feature gives the images. Class labels, numbers, texts and booleans, also inside of dictionaries,
    multi-hot tensors and sequences of class labels can be labels. Its splits are official splits. The identities and
    landmarks of `celeb_a` are used. A data set that is not prepared is downloaded by TFDS.

    Raises:
        FaceForgeError: the data set is unknown or cannot be prepared, has no image feature, or lacks a label column.
    """

    def __init__(self, name: str, config: IngestConfig) -> None:
        self._builder = _prepared(name, config.data_dir)
        info = self._builder.info
        self.name = f"{TFDS}:{self._builder.name}"
        features = dict(info.features.items())
        self._image, image_notes = _image_feature(self.name, features, config.image_column)
        self._identity = "Identity_No" in features.get("identity", ())
        self._landmarks = {f"{n}_{axis}" for n in _LANDMARKS for axis in "xy"} <= set(features.get("landmarks", ()))
        no_labels = {self._image} | ({"identity"} if self._identity else set())
        no_labels |= {"landmarks"} if self._landmarks else set()
        existing = unambiguous([c for key in features if key not in no_labels for c in _columns((key,), features[key])])
        by_name = {column.name: column for column in existing}
        self._group_column = by_name.get(config.group)
        if config.group and self._group_column is None and not self._identity:
            raise FaceForgeError(
                f"ingest.group = {config.group!r} is not a column of {self.name}; its columns: {', '.join(by_name)}"
            )
        named = [column.name for column in existing if column.names and len(column.path) == 1 and not column.listed]
        defaults = [] if "label" in by_name else [column for column in named if column != config.group]
        requested, notes = default_labels(existing, config.labels, defaults)
        columns = [by_name[label] for label in choose_labels(self.name, list(by_name), requested)]
        self._parts: list[_Part] = []
        total = 0
        for split in info.splits.values():
            self._parts.append(_Part(split.name, total, split.num_examples, split_called(split.name)))
            total += split.num_examples
        self._official, split_notes = official_splits({part.split for part in self._parts})
        known = {c.name: list(c.names) for c in columns if c.names and not c.listed}
        self._rules = LabelRules(self.name, self._counts(columns, config), config, known)
        self.labels, self.vocabularies = self._rules.columns, self._rules.vocabularies
        self.notes = (*image_notes, *notes, *self._rules.notes, *split_notes)
        self._columns = [by_name[label] for label in self.labels]
        self._chosen = random_subset(total, config.limit)
        self.count = len(self._chosen)

    def samples(self, start: int = 0, stop: int | None = None) -> Iterator[Sample]:
        """In the order of splits and examples; other shards are not read."""
        chosen = self._chosen[start:stop]
        for part in self._parts:
            low, high = np.searchsorted(chosen, [part.first, part.first + part.count])
            numbers = (chosen[low:high] - part.first).tolist()
            if numbers:
                keep = set(numbers)
                for number, row in enumerate(self._rows(part, numbers[0], numbers[-1] + 1), numbers[0]):
                    if number in keep:
                        yield self._sample(row, part, number)

    def stamps(self) -> dict[str, str]:
        """The files of its splits with their sizes; times differ from machine to machine."""
        from etils import epath  # type: ignore[import-untyped]  # what TFDS names files by

        info, stamps = self._builder.info, {}
        for part in self._parts:
            for file in map(epath.Path, info.splits[part.name].filepaths):
                stamps[f"{info.full_name}/{file.name}"] = f"{file.stat().length} bytes"
        return stamps

    def _rows(self, part: _Part, start: int, stop: int, only: tuple[str, ...] = ()) -> Iterator[dict[str, Any]]:
        """Examples of a split with encoded images; with `only`, just these top-level features."""
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
            labels=self._rules.apply({column.name: column.read(row) for column in self._columns}),
            split=part.split if self._official else None,
            group=self._group(row),
            landmarks=tuple((float(marks[f"{n}_x"]), float(marks[f"{n}_y"])) for n in _LANDMARKS) if marks else None,
        )

    def _group(self, row: dict[str, Any]) -> str:
        if self._group_column is not None:
            return self._group_column.read(row) or ""
        return str(row["identity"]["Identity_No"]) if self._identity else ""

    def _counts(self, columns: Sequence[Column], config: IngestConfig) -> dict[str, Counter[str | None]]:
        """The classes of each column; those that the data set does not declare are found by reading it once."""
        counts: dict[str, Counter[str | None]] = {c.name: Counter(("0", "1") if c.listed else c.names) for c in columns}
        binned = parse_bins(config.bins)
        undeclared = [column for column in columns if not counts[column.name] or column.name in binned]
        if undeclared:
            only = tuple(dict.fromkeys(column.path[0] for column in undeclared))
            for column in undeclared:
                counts[column.name].clear()
            for part in self._parts:
                for row in self._rows(part, 0, part.count, only):
                    for column in undeclared:
                        counts[column.name][column.read(row)] += 1
        return counts


def is_prepared_folder(path: Path) -> bool:
    """Whether a folder holds a data set prepared by TFDS, or written by `faceforge generate --format tfds`."""
    return all((path / name).is_file() for name in ("features.json", "dataset_info.json"))


def _prepared(name: str, data_dir: str) -> Any:
    """A builder of a data set that is on disk."""
    try:
        import tensorflow_datasets as tfds
    except ImportError:
        raise FaceForgeError(
            "tfds: sources need the package tensorflow-datasets; pip install tensorflow-datasets"
        ) from None
    if os.path.isdir(name):
        try:
            return tfds.builder_from_directory(name)
        except Exception as error:  # TFDS raises many kinds
            raise FaceForgeError(f"{name} cannot be read as a data set of TFDS ({_line(error)})") from None
    where = os.path.expanduser(data_dir) or None
    if data_dir and not os.path.isdir(where or ""):
        raise FaceForgeError(f"ingest.data_dir = {data_dir!r} is no folder")
    try:
        builder = tfds.builder(name, data_dir=where)
    except Exception as error:  # an unknown name, version or configuration; TFDS explains which, in many lines
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
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no reason given'}"[:200]


def _image_feature(name: str, features: Mapping[str, Any], requested: str) -> tuple[str, tuple[str, ...]]:
    import tensorflow_datasets as tfds

    images = [str(key) for key, feature in features.items() if isinstance(feature, tfds.features.Image)]
    if not images:
        raise FaceForgeError(f"{name} has no image feature; it has {', '.join(features)}")
    return choose_image_column(name, images, requested)


def _columns(path: tuple[str, ...], feature: Any) -> list[Column]:
    """The label columns that a feature gives."""
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
