"""Stops ingest when too many images are rejected, or when what is left cannot be trained and evaluated on."""

from __future__ import annotations

from collections import Counter

from faceforge.data.imageset.info import SPLITS
from faceforge.data.ingest.selection import Selection
from faceforge.data.ingest.split import MIN_IMAGES
from faceforge.data.preprocess.formats import unreadable_heic
from faceforge.data.sources.samples import Source
from faceforge.errors import FaceForgeError

_REJECTS_SHOWN, _CLASSES_SHOWN = 3, 5


class RejectLimit:
    """Counts rejects and stops ingest when they exceed `ingest.max_rejects`.

    Args:
        source: whose samples are counted.
        share: the limit, as a share of the samples that are not absent.
    """

    def __init__(self, source: Source, share: float) -> None:
        self._source, self._share = source, share
        self.count = self._absent = 0
        self._examples: dict[str, list[str]] = {}  # reason -> paths

    def add(self, path: str, reason: str, absent: bool) -> None:
        """Counts a rejected sample.

        Raises:
            FaceForgeError: the limit is exceeded.
        """
        self.count += 1
        self._absent += absent
        if not absent and sum(map(len, self._examples.values())) < _REJECTS_SHOWN:
            self._examples.setdefault(reason, []).append(path)
        if self.count - self._absent > self._share * (self._source.count - self._absent):
            examples = "; ".join(f"{', '.join(paths)}: {reason}" for reason, paths in self._examples.items())
            raise FaceForgeError(
                f"{self._source.name}: more than {self._share:.0%} of the images cannot be used "
                f"({examples}); repair the source or raise ingest.max_rejects"
            )


def check_count(source: Source) -> None:
    """Refuses a source that has too few images to evaluate a model on, before any is read.

    Raises:
        FaceForgeError: with the number that is needed.
    """
    if source.count >= 2 * MIN_IMAGES:
        return
    unreadable = Counter(filter(None, (sample.problem or unreadable_heic(sample.path) for sample in source.samples())))
    count = source.count - unreadable.total()
    lost = "".join(f"; {number} more cannot be used: {reason}" for reason, number in unreadable.items())
    raise FaceForgeError(
        f"{source.name}: {count:,} images are too few: training and evaluation need {MIN_IMAGES} each, "
        f"so add at least {2 * MIN_IMAGES - count}{lost}{_notes(source)}"
    )


def check_selection(source: Source, selection: Selection, min_class: int, for_evaluation: bool = False) -> None:
    """Refuses a selection with an empty split, with a label column of one class, or with a class that is too small.

    Args:
        source: for messages.
        selection: what would be stored.
        min_class: training images that every class needs.
        for_evaluation: also refuse a split with too few images to evaluate a model on.

    Raises:
        FaceForgeError: with the counts.
    """
    totals = {split: selection.total(split) for split in SPLITS}
    rejects = selection.left_out.rejects
    if sum(totals.values()) == 0:
        first = f" (the first: {rejects[0].path}: {rejects[0].reason})" if rejects else ""
        raise FaceForgeError(f"{source.name}: no usable image{first}{_notes(source)}")
    for split, total in totals.items():
        if total == 0:
            raise FaceForgeError(
                f"{source.name}: none of the {sum(totals.values())} images is in the {split} split; "
                f"add images or change ingest.holdout{_notes(source)}"
            )
        if for_evaluation and total < MIN_IMAGES:
            raise FaceForgeError(
                f"{source.name}: {total} images in the {split} split are too few to evaluate a model on, at least "
                f"{MIN_IMAGES} are needed; add images{_notes(source)}"
            )
    for column, holdout in selection.classes["holdout"].items():
        counts = dict.fromkeys(holdout, 0) | selection.classes["train"][column]
        if len(counts) < 2:
            raise FaceForgeError(
                f"{source.name}: fewer than two classes of {column!r} are left; add images or set `ingest.labels=`"
            )
        if min(counts.values()) < min_class:
            listed = sorted(counts.items(), key=lambda item: item[1])
            shown = ", ".join(f"{name} {count:,}" for name, count in listed[:_CLASSES_SHOWN])
            raise FaceForgeError(
                f"{source.name}: some classes of {column!r} have too few training images ({shown}"
                f"{', ...' if len(listed) > _CLASSES_SHOWN else ''}); add images, name other columns with "
                f"ingest.labels, or lower ingest.min_class, which is {min_class}"
            )


def _notes(source: Source) -> str:
    """What is unusual about the source, which may be the cause: files that were passed over."""
    return "".join(f"; {note}" for note in source.notes)
