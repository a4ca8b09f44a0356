"""The model that generates a synthetic image set, with its evaluation report and classifier."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from faceforge.errors import FaceForgeError
from faceforge.files import sha256_file
from faceforge.inference.generator import Generator
from faceforge.models.bundle import BundleInfo
from faceforge.models.privacy import PrivacyStatement


@dataclass(frozen=True)
class ModelSource:
    """A loaded model.

    Attributes:
        generator: generates the images.
        name: `models:/NAME/VERSION` of a registered model, else `bundle` or `onnx`; never a local path.
        sha256: digest of the model's files.
        report: its evaluation report; None = it has not been evaluated.
        classifier: folder of the classifier used in its evaluation; None = not available.
        privacy: what its training with differential privacy guarantees; None = trained without, or not known.
    """

    generator: Generator
    name: str
    sha256: str
    report: dict[str, Any] | None
    classifier: Path | None
    privacy: PrivacyStatement | None = None


@contextmanager
def open_model(source: str, report: Path | None = None, tracking_uri: str = "") -> Iterator[ModelSource]:
    """Loads a model from a bundle folder, an ONNX file or the registry, for use in the body.

    Args:
        source: folder, `FILE.onnx`, `NAME` (the champion of a registered model), `models:/NAME@ALIAS` or
            `models:/NAME/VERSION`.
        report: output folder of `faceforge evaluate`; None: the one stored with the version or beside the bundle.
        tracking_uri: MLflow server of the registry.

    Raises:
        FaceForgeError: no such model or report.
    """
    if report is not None and not (report / "report.json").is_file():
        raise FaceForgeError(f"{report} is not the output of faceforge evaluate: it has no report.json")
    from faceforge.tracking.model_source import current_version, model_address

    address = model_address(source)
    with TemporaryDirectory() as scratch:
        name = "onnx" if source.endswith(".onnx") else "bundle"
        path = Path(source)
        if address.startswith("models:"):
            from faceforge.tracking.versions import download_version

            name = current_version(source, tracking_uri)
            path = download_version(name, Path(scratch)) / "bundle"
        generator = Generator.load(path)
        folders = [report] if report is not None else [path, path.absolute().parent]
        yield ModelSource(
            generator=generator,
            name=name,
            sha256=_digest(path),
            report=next((json.loads((f / "report.json").read_text()) for f in folders if _has_report(f)), None),
            classifier=next((f / "classifier" for f in folders if (f / "classifier").is_dir()), None),
            privacy=BundleInfo.read(path).privacy if path.is_dir() else None,
        )


def _has_report(folder: Path) -> bool:
    return (folder / "report.json").is_file()


def _digest(path: Path) -> str:
    """SHA-256 over names and contents of the model's files."""
    names = ("bundle.json", "discriminator.keras", "generator.keras")  # a released bundle has no discriminator
    files = [path / name for name in names if (path / name).is_file()] if path.is_dir() else [path]
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name if path.is_dir() else 'onnx'} {sha256_file(file)}\n".encode())
    return digest.hexdigest()
