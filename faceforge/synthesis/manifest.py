"""`manifest.json`: what a synthetic image set is, how to make it again, and whether it still is what it was."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from faceforge.data.imageset.info import versions
from faceforge.data.imageset.reader import ImageSet
from faceforge.errors import FaceForgeError, explain
from faceforge.files import sha256_file
from faceforge.synthesis.checks import Check
from faceforge.synthesis.draw import Tally
from faceforge.synthesis.options import SynthesisConfig
from faceforge.synthesis.plan import Cell
from faceforge.synthesis.source import ModelSource

MANIFEST = "manifest.json"
FORMAT_VERSION = 1


class CellReport(BaseModel):
    """One combination of labels: what was asked for, and how it went."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: dict[str, str]
    wanted: int
    made: int
    drawn: int  # candidates looked at
    refused: dict[str, int]  # reason -> candidates


class FileReport(BaseModel):
    """One file of the set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    bytes: int
    sha256: str


class Manifest(BaseModel):
    """What `manifest.json` holds; no times and no folders, so that the same order gives the same bytes.

    Attributes:
        request: SHA-256 of all that decides the content: model, options, data. Equal requests make equal sets.
        model: name, sha256 and dataset_digest of the model.
        data: source and digest of the real images that were balanced or checked against; empty = none.
        options: the options.
        checks: reason -> what the check went by.
        cells: a report per combination of labels.
        digest: of the images and labels.
        files: every other file, with its hash.
        created_by: versions of what made it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int = FORMAT_VERSION
    request: str
    model: dict[str, str]
    data: dict[str, str]
    options: dict[str, Any]
    checks: dict[str, dict[str, Any]]
    cells: list[CellReport]
    digest: str
    files: list[FileReport]
    created_by: dict[str, str]

    @property
    def made(self) -> int:
        """Images in all."""
        return sum(cell.made for cell in self.cells)

    @property
    def refused(self) -> dict[str, int]:
        """Reason -> candidates refused for it, over all cells."""
        reasons = sorted({reason for cell in self.cells for reason in cell.refused} | set(self.checks))
        return {reason: sum(cell.refused.get(reason, 0) for cell in self.cells) for reason in reasons}

    @staticmethod
    def read(folder: Path) -> Manifest:
        """The manifest of a synthetic image set.

        Raises:
            FaceForgeError: there is none, or one this version cannot read.
        """
        path = Path(folder) / MANIFEST
        if not path.is_file():
            raise FaceForgeError(f"{folder} is not a synthetic image set: it has no {MANIFEST}")
        try:
            return Manifest.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise FaceForgeError(f"{path} is unreadable: {explain(error)}; generate the set again") from None


def make_manifest(
    folder: Path,
    images: ImageSet,
    request: str,
    source: ModelSource,
    data: ImageSet | None,
    config: SynthesisConfig,
    checks: Sequence[Check],
    plan: Sequence[Cell],
    tallies: Sequence[Tally],
) -> Manifest:
    """Describes the set in `folder`, whose files must all be there; the arguments are what it was made from."""
    return Manifest(
        request=request,
        model=model_facts(source),
        data=data_facts(data),
        options=config.model_dump(mode="json"),
        checks={check.name: check.facts() for check in checks},
        cells=[
            CellReport(labels=cell.labels, wanted=cell.wanted, **asdict(tally))
            for cell, tally in zip(plan, tallies, strict=True)
        ],
        digest=images.info.digest,
        files=[
            FileReport(path=file.relative_to(folder).as_posix(), bytes=file.stat().st_size, sha256=sha256_file(file))
            for file in sorted(folder.rglob("*"))
            if file.is_file()
        ],
        created_by=versions(),
    )


def model_facts(source: ModelSource) -> dict[str, str]:
    """What identifies the model."""
    digest = str(source.generator.bundle.info.dataset_digest)
    return {"name": source.name, "sha256": source.sha256, "dataset_digest": digest}


def data_facts(data: ImageSet | None) -> dict[str, str]:
    """What identifies the real images, if any."""
    return {} if data is None else {"source": Path(data.info.source).name, "digest": data.info.digest}


def request_text(source: ModelSource, data: ImageSet | None, config: SynthesisConfig, plan: Sequence[Cell]) -> str:
    """All that decides the content, as text."""
    order = {
        "model": model_facts(source),
        "data": data_facts(data),
        "classifier": _digest_of(source.classifier) if "labels" in config.reject else "",
        "report": json.dumps(source.report, sort_keys=True),  # the card tells of it
        "options": config.model_dump(mode="json"),
        "plan": [[cell.labels, cell.wanted] for cell in plan],
        "versions": versions(),
    }
    return json.dumps(order, sort_keys=True)


def _digest_of(folder: Path | None) -> str:
    network = None if folder is None else folder / "network.keras"
    return sha256_file(network) if network is not None and network.is_file() else ""
