"""The classifier kept with a model version, or in a folder."""

from __future__ import annotations

import json
from pathlib import Path

from faceforge.evaluation.domain_classifier import DomainClassifier


def classifier_of(model: str) -> DomainClassifier | None:
    """The classifier kept with a version `models:/NAME/VERSION`; None if there is none, or another kind of model.

    MLflow must have been told where the registry is.
    """
    if not model.startswith("models:"):
        return None
    from tempfile import TemporaryDirectory

    from faceforge.tracking.versions import download_version

    with TemporaryDirectory() as scratch:
        return load_classifier(download_version(model, Path(scratch)) / "classifier")


def load_classifier(folder: Path) -> DomainClassifier | None:
    """The classifier in a folder, whatever it was trained from; None if there is no readable one."""
    try:
        facts = json.loads((folder / "classifier.json").read_text())["facts"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return DomainClassifier.load(folder, facts)
