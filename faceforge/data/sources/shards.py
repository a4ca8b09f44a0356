"""A folder of tar archives read as one set of files, as WebDataset and img2dataset write them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, groupby
from pathlib import Path

from faceforge.data.pixels import Pixels
from faceforge.data.sources.archives import open_archive
from faceforge.data.sources.files import Files, suffix
from faceforge.data.sources.folders import FolderFiles

TAR_SUFFIXES = frozenset({".tar", ".tgz"})


class ShardFiles(Files):
    """The members of all tar archives of a folder; the first folder of a path is the archive's name."""

    in_shards = True

    def __init__(self, folder: FolderFiles, root: Path, names: list[str]) -> None:
        self.name, self._folder = folder.name, folder
        opened = ((name, open_archive(root / name)) for name in names)
        self._shards = [(name.rpartition(".")[0], shard) for name, shard in opened if shard is not None]
        self._starts = [0, *accumulate(len(shard.paths) for _, shard in self._shards)]
        self.paths = [f"{name}/{path}" for name, shard in self._shards for path in shard.paths]
        self.problems = {
            start + place: problem
            for start, (_, shard) in zip(self._starts, self._shards, strict=False)
            for place, problem in shard.problems.items()
        }
        self._documents = {
            f"{name}/{path}": (number, path)
            for number, (name, shard) in enumerate(self._shards)
            for path in shard.documents
        }
        self._archives = set(names)
        self.documents = sorted([*self._documents, *(path for path in folder.documents if path not in self._archives)])

    def readers(self, places: Iterable[int]) -> Iterator[Callable[[], bytes | Pixels]]:
        """One archive after another."""
        for number, group in groupby(places, lambda place: bisect_right(self._starts, place) - 1):
            yield from self._shards[number][1].readers(place - self._starts[number] for place in group)

    def read(self, document: str) -> bytes:
        """From its archive, or from the folder."""
        if document not in self._documents:
            return self._folder.read(document)
        number, path = self._documents[document]
        return self._shards[number][1].read(path)

    def read_many(self, documents: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """One archive after another."""
        inside = sorted(self._documents[path] for path in documents if path in self._documents)
        for number, group in groupby(inside, lambda pair: pair[0]):
            name, shard = self._shards[number]
            for path, data in shard.read_many(path for _, path in group):
                yield f"{name}/{path}", data

    def stamps(self, documents: Iterable[str]) -> dict[str, str]:
        """One for each archive, and for each document of the folder."""
        return self._folder.stamps([*self._archives, *(path for path in documents if path not in self._documents)])


def shard_names(folder: FolderFiles) -> list[str]:
    """The tar archives in a folder, sorted by path."""
    return [path for path in folder.documents if suffix(path) in TAR_SUFFIXES or path.endswith(".tar.gz")]
