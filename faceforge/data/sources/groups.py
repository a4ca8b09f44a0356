"""Groups of images, such as all images of a person, that must be in one split: `ingest.group`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from faceforge.data.imageset.info import Split
from faceforge.data.sources.name_pattern import NamePattern
from faceforge.data.sources.samples import Sample
from faceforge.data.sources.splits import split_called
from faceforge.errors import FaceForgeError

FOLDER = "folder"  # the value of `ingest.group` that makes each folder a group


class Grouping:
    """Gives samples of files their group where the annotations do not: by folder, or by the first field of a pattern.

    Args:
        group: `ingest.group`: a column that annotations provide, `folder`, or a pattern such as `{person}_{number}`.
        columns: the columns that annotations provide.

    Raises:
        FaceForgeError: no such column, or a malformed pattern.
    """

    def __init__(self, group: str, columns: Sequence[str]) -> None:
        self._by_folder = group == FOLDER and FOLDER not in columns
        self._pattern = NamePattern(group, "ingest.group") if "{" in group else None
        if group and not self._by_folder and self._pattern is None and group not in columns:
            known = f"a column ({', '.join(columns)})" if columns else "a column (there is none)"
            raise FaceForgeError(
                f"ingest.group = {group!r} is not {known}, `folder`, or a pattern such as {{person}}_{{number}}"
            )

    def apply(self, sample: Sample) -> Sample:
        """The sample with its group."""
        if self._by_folder:
            parts = sample.path.split("/")[:-1]
            return replace(sample, group="/".join(part for part in parts if not split_called(part)))
        if self._pattern is not None:
            fields = self._pattern.match(sample.path)
            return replace(sample, group=next(iter(fields.values())) if fields else "")
        return sample


def group_notes(groups: Mapping[str, Collection[Split | None]], official: bool) -> tuple[str, ...]:
    """A note if official splits have images of one group on both sides."""
    both = sum(len(set(splits) - {None}) > 1 for splits in groups.values()) if official else 0
    return (f"{both:,} groups have images on both sides of the official split, which is kept",) if both else ()
