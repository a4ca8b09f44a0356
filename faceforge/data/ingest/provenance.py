"""Records which source and settings an image set was made from, to detect and report what has changed since."""

from __future__ import annotations

import gzip
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from faceforge.config import IngestConfig
from faceforge.data.imageset.info import versions
from faceforge.data.preprocess.face_model import check_face_model
from faceforge.data.sources.samples import Source
from faceforge.files import atomic_file

PROVENANCE_FILE = "source.json.gz"
# Settings that select among prepared images but do not affect how one image is prepared.
SELECTION_SETTINGS = frozenset({"holdout", "max_rejects", "min_class", "near_duplicates"})
_PREPARATION = "3"  # increase this when the same file with the same settings gives other pixels or measures
_NAMES_SHOWN = 3


@dataclass(frozen=True)
class Provenance:
    """The state of a source and of everything else that determines its prepared images.

    Attributes:
        source: name, label columns and number of samples.
        settings: of ingest.
        versions: of the libraries that compute pixels.
        stamps: see `Source.stamps`.
    """

    source: dict[str, Any]
    settings: dict[str, Any]
    versions: dict[str, str]
    stamps: dict[str, str]

    @classmethod
    def of(cls, source: Source, config: IngestConfig) -> Provenance:
        """The present state."""
        kind = {"name": source.name, "labels": list(source.labels), "count": source.count}
        made_by = {**versions(), "preparation": _PREPARATION}
        if config.face_model:
            made_by["face model"] = check_face_model(config.face_model)
        return cls(kind, config.model_dump(mode="json"), made_by, source.stamps())

    def of_parts(self) -> Provenance:
        """Without the `SELECTION_SETTINGS`: what prepared images depend on."""
        return replace(self, settings={name: self.settings[name] for name in self.settings.keys() - SELECTION_SETTINGS})

    @classmethod
    def load(cls, folder: Path) -> Provenance | None:
        """The provenance saved in a folder; None if it is absent or unreadable."""
        try:
            with gzip.open(folder / PROVENANCE_FILE, "rt", encoding="utf-8") as stream:
                return cls(**json.load(stream))
        except (OSError, EOFError, ValueError, TypeError):
            return None

    def save(self, folder: Path) -> None:
        """Writes it into a folder, atomically."""
        with atomic_file(folder / PROVENANCE_FILE) as partial:
            partial.write_bytes(gzip.compress(json.dumps(asdict(self)).encode(), 1, mtime=0))

    def differences(self, now: Provenance) -> str:
        """What differs between this state and `now`, in one line; '' if nothing does."""
        changes = []
        for before, after in ((self.source, now.source), (self.settings, now.settings), (self.versions, now.versions)):
            changes += [
                f"{name} was {before.get(name)} and is {after.get(name)}"
                for name in sorted(before.keys() | after.keys())
                if before.get(name) != after.get(name)
            ]
        old, new = self.stamps, now.stamps
        for kind, names in (
            ("added", new.keys() - old.keys()),
            ("removed", old.keys() - new.keys()),
            ("changed", {name for name in old.keys() & new.keys() if old[name] != new[name]}),
        ):
            if names:
                listed = ", ".join(sorted(names)[:_NAMES_SHOWN]) + (", ..." if len(names) > _NAMES_SHOWN else "")
                changes.append(f"{len(names):,} {kind} ({listed})")
        return "; ".join(changes)
