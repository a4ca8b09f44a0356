"""Official splits by lists: `train.txt` and `test.txt` that only name images, and label tables called like splits."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from faceforge.data.imageset.info import Split
from faceforge.data.sources.files import Files, suffix
from faceforge.data.sources.matching import clean_name, match_names
from faceforge.data.sources.splits import split_called
from faceforge.data.sources.text_tables import decode_text
from faceforge.errors import FaceForgeError

_SHOWN = 4
_SUFFIXES = frozenset({".txt", ".csv", ".lst", ".list"})


def split_of_file(path: str) -> Split | None:
    """The split that one word of a file's name gives (`fairface_label_train.csv`); None if none or several do."""
    stem = path.rpartition("/")[2].rpartition(".")[0]
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", stem)
    sides = {split for split in map(split_called, words) if split} | ({split_called(stem)} - {None})
    return next(iter(sides)) if len(sides) == 1 else None


class SplitLists:
    """Lists of images called like splits, used where nothing else gives official splits.

    Where only held-out images are listed (`testing_list.txt`), all others are for training.

    Args:
        files: the images and the documents beside them.
        paths: the images that are used.
        known: documents whose content is known already; they are not lists.

    Attributes:
        documents: the lists that are used; empty if there is none, or if they do not give both splits.
        notes: which lists are used.
    """

    def __init__(self, files: Files, paths: Iterable[str], known: Collection[str] = ()) -> None:
        images = list(paths)
        self._splits: dict[str, Split] = {}
        self.documents: tuple[str, ...] = ()
        for path in files.documents if images else ():
            split = split_of_file(path) if suffix(path) in _SUFFIXES and path not in known else None
            if split is None:
                continue
            listed = _listed(files, path, images)
            if listed:
                self.documents += (path,)
            self._splits |= {image: split for image in listed if self._splits.get(image) != "holdout"}
        sides = set(self._splits.values())
        self._rest: Split | None = "train" if sides == {"holdout"} and len(self._splits) < len(images) else None
        if "holdout" not in sides or (sides == {"holdout"} and self._rest is None):
            self._splits, self.documents = {}, ()
        names = ", ".join(self.documents[:_SHOWN]) + (", ..." if len(self.documents) > _SHOWN else "")
        self.notes = (f"the official splits are those of the lists {names}",) if self.documents else ()

    def split_of(self, path: str) -> Split | None:
        """The split of an image."""
        return self._splits.get(path, self._rest)


def _listed(files: Files, path: str, images: list[str]) -> dict[str, int]:
    """The images whose names begin the lines of a document; empty unless most lines begin so."""
    try:
        text, _ = decode_text(files.read(path), path)
    except FaceForgeError:
        return {}
    names = [clean_name(re.split(r"[,;\t ]", line.strip(), maxsplit=1)[0].strip('"')) for line in text.splitlines()]
    names = list(dict.fromkeys(name for name in names if name))
    rows, _ = match_names(names, images, path.rpartition("/")[0])
    return rows if 2 * len(rows) >= len(names) - 1 else {}
