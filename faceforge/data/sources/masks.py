"""Masks of images (segmentations, depth maps): they are pictures too, but not images to train on."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import PurePosixPath

from faceforge.data.sources.files import Files, before_dot

_MASKS = re.compile(
    r"(.*[-_ ])?(masks?|segmentations?|segmentation(class|object)|mask[-_]anno|labelmaps?|parsing|trimaps?|mattes?"
    r"|depth|alpha|ground[-_ ]?truth|gt|annotations?)([-_ ]?(images?|imgs?|png))?",
    re.IGNORECASE,
)
_MASK_FILE = re.compile(
    r"(.+)[-_. ](?:mask|seg|segmentation|matte|trimap|depth|parsing|labelmap|alpha)\.[^./]+", re.IGNORECASE
)


def mask_folders(files: Files, folders: Counter[tuple[str, ...]]) -> dict[str, int]:
    """Folders of masks -> number of files: called like masks, with files called like the images beside them."""
    candidates = {
        place[: n + 1] for place in folders for n, part in enumerate(place) if _MASKS.fullmatch(part) and len(place) > n
    }
    found: dict[str, int] = {}
    for candidate in sorted(candidates, key=len):
        name = _MASKS.fullmatch(candidate[-1])
        parent, word = candidate[:-1], name[2].lower().rstrip("s") if name else ""
        level = len(parent)
        below = [place for place in folders if place[:level] == parent]
        siblings = {place[level] if len(place) > level else "" for place in below} - {candidate[-1]}
        if not siblings or any(word in sibling.lower() for sibling in siblings):
            continue  # with and without a mask are classes
        inside, beside = set[str](), set[str]()
        for path in files.usable():
            place = tuple(path.split("/")[:-1])
            if place[: len(parent)] == parent:
                stem = PurePosixPath(path).stem
                if place[: len(candidate)] == candidate:
                    inside.add(re.sub(rf"[-_. ]?({re.escape(word)}|mask|seg)s?$", "", stem.lower()))
                else:
                    beside.add(stem.lower())
        if len(inside & beside) >= len(inside) / 2:
            found["/".join(candidate)] = sum(n for place, n in folders.items() if place[: len(candidate)] == candidate)
    return found


def mask_files(files: Files) -> frozenset[str]:
    """Paths of masks that lie beside their images and are called like them: `1.jpg` and `1_mask.png`.

    Only where every file called like a mask has an image and nine in ten images have a mask; otherwise such names mean
    something else, such as people with and without a mask.
    """
    found = {path: match[1] for path in files.usable() if (match := _MASK_FILE.fullmatch(path))}
    if not found:
        return frozenset()
    images = [path for path in files.usable() if path not in found]
    stems = {path.rpartition(".")[0] for path in images}
    stems |= {before_dot(path) for path in images}  # in WebDataset, `1.input.png` has the mask `1.mask.png`
    owners = set(found.values())
    if not owners <= stems or len(owners) < 0.9 * len(images):
        return frozenset()
    return frozenset(found)
