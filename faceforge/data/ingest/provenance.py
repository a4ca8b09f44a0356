"""What an image set was made of, and with what settings: to know when nothing has changed, and else to say what has."""

from __future__ import annotations

import gzip
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from faceforge.config import IngestConfig
from faceforge.data.imageset.info import versions
from faceforge.data.sources.samples import Source
from faceforge.files import atomic_file

ORIGIN_FILE = "source.json.gz"
DECIDED_LATER = frozenset(
    {"holdout", "max_rejects", "min_class", "near_duplicates"}
)  # settings that do not touch how one image is prepared
_PREPARATION = "1"  # to be raised when the same file under the same settings becomes other pixels or measures
_NAMED = 3


@dataclass(frozen=True)
class Origin:
    """A state of a source and of everything that shapes its images.

    Attributes:
        source: name, label columns and number of samples.
        settings: of ingest.
        versions: of what computes pixels.
        stamps: as `Source.stamps`.
    """

    source: dict[str, Any]
    settings: dict[str, Any]
    versions: dict[str, str]
    stamps: dict[str, str]

    @classmethod
    def of(cls, source: Source, config: IngestConfig) -> Origin:
        """The present state."""
        kind = {"name": source.name, "labels": list(source.labels), "count": source.count}
        return cls(kind, config.model_dump(mode="json"), {**versions(), "preparation": _PREPARATION}, source.stamps())

    def of_parts(self) -> Origin:
        """What prepared images depend on: all of it but the settings that are `DECIDED_LATER`."""
        return replace(self, settings={name: self.settings[name] for name in self.settings.keys() - DECIDED_LATER})

    @classmethod
    def load(cls, folder: Path) -> Origin | None:
        """What `save` has written; None if that is absent or unreadable."""
        try:
            with gzip.open(folder / ORIGIN_FILE, "rt", encoding="utf-8") as stream:
                return cls(**json.load(stream))
        except (OSError, EOFError, ValueError, TypeError):
            return None

    def save(self, folder: Path) -> None:
        """Writes it into a folder."""
        with atomic_file(folder / ORIGIN_FILE) as partial:
            partial.write_bytes(gzip.compress(json.dumps(asdict(self)).encode(), 1, mtime=0))

    def differences(self, now: Origin) -> str:
        """What has changed from this one to `now`, in a line; '' where nothing has."""
        found = []
        for before, after in ((self.source, now.source), (self.settings, now.settings), (self.versions, now.versions)):
            found += [
                f"{name} was {before.get(name)} and is {after.get(name)}"
                for name in sorted(before.keys() | after.keys())
                if before.get(name) != after.get(name)
            ]
        old, new = self.stamps, now.stamps
        for what, names in (
            ("added", new.keys() - old.keys()),
            ("removed", old.keys() - new.keys()),
            ("changed", {name for name in old.keys() & new.keys() if old[name] != new[name]}),
        ):
            if names:
                listed = ", ".join(sorted(names)[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
                found.append(f"{len(names):,} {what} ({listed})")
        return "; ".join(found)
