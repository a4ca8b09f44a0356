"""`manifest.json`: model, options, counts and file hashes of a synthetic image set, to reproduce and verify it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
MANY_REFUSED = 0.5  # share of the candidates of a combination of labels, above which a warning is given


class CellReport(BaseModel):
    """Requested and generated images of one combination of labels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: dict[str, str]
    wanted: int
    made: int
    drawn: int  # candidates generated
    refused: dict[str, int]  # reason -> candidates


class FileReport(BaseModel):
    """One file of the set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    bytes: int
    sha256: str


class Manifest(BaseModel):
    """Content of `manifest.json`; without times and paths, so that the same request gives the same bytes.

    Attributes:
        request: SHA-256 of everything that determines the content: model, options, data.
        model: name, sha256 and dataset_digest of the model.
        data: source and digest of the real images used for balancing or checks; empty = none.
        options: the options.
        checks: reason -> parameters of the check.
        cells: a report per combination of labels.
        digest: digest of images and labels.
        metrics: of the images of the set; see `faceforge.synthesis.measures`.
        files: every other file, with its hash.
        created_by: versions of the software.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int = FORMAT_VERSION
    request: str
    model: dict[str, str]
    data: dict[str, str]
    options: dict[str, Any]
    checks: dict[str, dict[str, Any]]
    cells: list[CellReport]
    metrics: dict[str, float] = {}
    digest: str
    files: list[FileReport]
    created_by: dict[str, str]

    @property
    def made(self) -> int:
        """Total number of images."""
        return sum(cell.made for cell in self.cells)

    @property
    def refused(self) -> dict[str, int]:
        """Reason -> number of rejected candidates, over all cells."""
        reasons = sorted({reason for cell in self.cells for reason in cell.refused} | set(self.checks))
        return {reason: sum(cell.refused.get(reason, 0) for cell in self.cells) for reason in reasons}

    @property
    def warnings(self) -> list[str]:
        """A sentence per combination of labels of which the label check rejected more than half of the candidates."""
        recall = self.checks.get("labels", {}).get("classifier_holdout_recall", {})
        return [
            label_warning(cell.labels, cell.refused.get("labels", 0), cell.drawn, recall)
            for cell in self.cells
            if cell.refused.get("labels", 0) > MANY_REFUSED * cell.drawn
        ]

    @staticmethod
    def read(folder: Path) -> Manifest:
        """The manifest of a synthetic image set.

        Raises:
            FaceForgeError: there is none, or this version cannot read it.
        """
        path = Path(folder) / MANIFEST
        if not path.is_file():
            raise FaceForgeError(f"{folder} is not a synthetic image set: it has no {MANIFEST}")
        try:
            return Manifest.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise FaceForgeError(f"{path} is unreadable: {explain(error)}; generate the set again") from None


def label_warning(
    labels: Mapping[str, str], refused: int, drawn: int, recall: Mapping[str, Mapping[str, Mapping[str, float]]]
) -> str:
    """Says that the label check rejected many candidates, and which share of real images the classifier confirms.

    Args:
        labels: label column -> class of the candidates.
        refused: candidates rejected for their label.
        drawn: all candidates.
        recall: label column -> class -> `recall` and `images` on the holdout.
    """
    known = [
        f"{found['recall']:.0%} of {found['images']:,} real images of {column} {name}"
        for column, name in labels.items()
        if (found := recall.get(column, {}).get(name))
    ]
    confirms = f"; the classifier confirms {' and '.join(known)}" if known else ""
    return (
        f"{', '.join(f'{column} {name}' for column, name in labels.items())}: the label check rejected "
        f"{refused / drawn:.0%} of {drawn:,} candidates{confirms}. The images that are kept are those that this "
        "classifier finds easy."
    )


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
    metrics: Mapping[str, float],
) -> Manifest:
    """The manifest of the set in `folder`, whose files must be complete."""
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
        metrics=dict(metrics),
        digest=images.info.digest,
        files=[
            FileReport(path=file.relative_to(folder).as_posix(), bytes=file.stat().st_size, sha256=sha256_file(file))
            for file in sorted(folder.rglob("*"))
            if file.is_file()
        ],
        created_by=versions(),
    )


def model_facts(source: ModelSource) -> dict[str, str]:
    """Facts that identify the model."""
    digest = str(source.generator.bundle.info.dataset_digest)
    return {"name": source.name, "sha256": source.sha256, "dataset_digest": digest}


def data_facts(data: ImageSet | None) -> dict[str, str]:
    """Facts that identify the real images, if any."""
    return {} if data is None else {"source": Path(data.info.source).name, "digest": data.info.digest}


def request_text(source: ModelSource, data: ImageSet | None, config: SynthesisConfig, plan: Sequence[Cell]) -> str:
    """Everything that determines the content, as JSON text."""
    request = {
        "model": model_facts(source),
        "data": data_facts(data),
        "classifier": _digest_of(source.classifier) if "labels" in config.reject else "",
        "report": json.dumps(source.report, sort_keys=True),  # the dataset card shows it
        "options": config.model_dump(mode="json"),
        "plan": [[cell.labels, cell.wanted] for cell in plan],
        "versions": versions(),
    }
    return json.dumps(request, sort_keys=True)


def _digest_of(folder: Path | None) -> str:
    network = None if folder is None else folder / "network.keras"
    return sha256_file(network) if network is not None and network.is_file() else ""
