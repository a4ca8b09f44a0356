"""Loads the domain classifier that was saved with a model version or in a folder."""

from __future__ import annotations

import json
from pathlib import Path

from faceforge.evaluation.domain_classifier import DomainClassifier


def classifier_of(model: str) -> DomainClassifier | None:
    """The classifier saved with `models:/NAME/VERSION`; None if that version has none or `model` is no such address.

    The MLflow tracking and registry addresses must be set.
    """
    if not model.startswith("models:"):
        return None
    from tempfile import TemporaryDirectory

    from faceforge.tracking.versions import download_version

    with TemporaryDirectory() as scratch:
        return load_classifier(download_version(model, Path(scratch)) / "classifier")


def load_classifier(folder: Path) -> DomainClassifier | None:
    """The classifier in a folder, whatever data it was trained on; None if there is no readable one."""
    try:
        facts = json.loads((folder / "classifier.json").read_text())["facts"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return DomainClassifier.load(folder, facts)
