"""Reports in a few lines what an image set contains, what was left out of it and why."""

from __future__ import annotations

from collections import defaultdict

from faceforge.data.imageset.info import DatasetInfo

_REASONS_SHOWN, _PATHS_SHOWN = 10, 3


def summary(info: DatasetInfo) -> str:
    """Counts, notes, the most frequent reject reasons with a few paths each, and the classes; one line each."""
    counts = " · ".join(f"{split} {count.total:,}" for split, count in info.counts.items())
    lines = [f"{info.source}: {counts} · {info.reject_count:,} rejected · {info.duplicate_count:,} duplicates"]
    lines += [f"  note: {note}" for note in info.notes]
    paths: dict[str, list[str]] = defaultdict(list)
    for reject in info.rejects:
        paths[reject.reason].append(reject.path)
    for reason, rejected in sorted(paths.items(), key=lambda item: -len(item[1]))[:_REASONS_SHOWN]:
        more = f" and {len(rejected) - _PATHS_SHOWN:,} more" if len(rejected) > _PATHS_SHOWN else ""
        lines.append(f"  rejected, {reason}: {', '.join(rejected[:_PATHS_SHOWN])}{more}")
    lines += [f"  {column}: {', '.join(classes)}" for column, classes in info.labels.items()]
    return "\n".join(lines)
