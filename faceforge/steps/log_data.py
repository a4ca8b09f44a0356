"""Logs an image set to MLflow: counts, overview, and drift from the champion's training data."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from faceforge.data.imageset.info import INFO_FILE, DatasetInfo
from faceforge.errors import FaceForgeError, first_line
from faceforge.tracking.names import metric_name
from faceforge.tracking.tags import DOMAIN_DRIFT_TAG, DRIFT_TAG

if TYPE_CHECKING:
    from faceforge.data.drift import Drift
    from faceforge.data.imageset.reader import ImageSet
    from faceforge.tracking.runs import StepRun


def log_image_set(run: StepRun, images: ImageSet) -> None:
    """Logs counts, `dataset.json` and, unless the set equals its parent, `overview.html` and `overview.png`."""
    from faceforge.data.overview.page import write_overview

    info = images.info
    counts = {f"data/{split}": float(count.total) for split, count in info.counts.items()}
    run.log_metrics(counts | {"data/rejects": float(info.reject_count), "data/duplicates": float(info.duplicate_count)})
    log_input(run, info)
    if info.digest != info.parent_digest:
        with tempfile.TemporaryDirectory() as scratch:
            for path in write_overview(images, Path(scratch)):
                run.log_artifacts(path)
    run.log_artifacts(images.root / INFO_FILE)


def log_input(run: StepRun, info: DatasetInfo) -> None:
    """Logs the set as the input of the pipeline run."""
    from faceforge.tracking.run_writer import DatasetRef

    name = Path(info.source).name or info.source
    profile = {"images": {split: count.total for split, count in info.counts.items()}, "classes": info.labels}
    digest = info.parent_digest or info.digest
    run.headline(dataset=DatasetRef(name, digest, info.source, profile, tuple(info.labels)))


def log_drift(run: StepRun, images: ImageSet, model_name: str) -> None:
    """Compares with the training set of the champion of `model_name` and warns of drift; never fails.

    Metrics `drift/...` (see `faceforge.data.drift`) go to the step, the tag `faceforge.drift` to it and to its parent:
    `none`, the warnings, or why nothing was compared.
    """
    from faceforge.data.drift import compare
    from faceforge.tracking.champion_data import champion_data

    def compared() -> tuple[str, Drift | None]:
        champion = champion_data(model_name)
        if not champion.version:
            return "", None
        return champion.version, compare(images.info, DatasetInfo.model_validate_json(champion.text))

    _log_comparison(run, DRIFT_TAG, model_name, compared)


def log_domain_drift(run: StepRun, images: ImageSet, model_name: str, version: str) -> None:
    """Compares with the training data of the champion's classifier and warns of drift; never fails.

    The metric `drift/domain_frechet` (see `faceforge.evaluation.domain_drift`) goes to the step, the tag
    `faceforge.domain_drift` to it and to its parent.

    Args:
        run: run of the step.
        images: the new set.
        model_name: registered model.
        version: version of its champion; empty = there is none.
    """
    from faceforge.evaluation.domain_drift import domain_drift
    from faceforge.evaluation.saved_classifier import classifier_of

    def compared() -> tuple[str, Drift | None]:
        if not version:
            return "", None
        classifier = classifier_of(f"models:/{model_name}/{version}")
        if classifier is None:
            raise FaceForgeError(f"{model_name} version {version} has no classifier")
        return version, domain_drift(images, classifier)

    _log_comparison(run, DOMAIN_DRIFT_TAG, model_name, compared)


def _log_comparison(run: StepRun, tag: str, model_name: str, compared: Callable[[], tuple[str, Drift | None]]) -> None:
    """Logs what `compared` returns: version of the champion, and drift or None without a champion."""
    try:
        version, drift = compared()
        if drift is None:
            outcome = f"not compared: {model_name} has no champion"
        else:
            run.log_metrics({metric_name(name): value for name, value in drift.metrics.items()})
            outcome = "; ".join(drift.warnings) or "none"
            for warning in drift.warnings:
                print(f"warning: drift from {model_name} version {version}: {warning}", file=sys.stderr)
    except Exception as error:  # drift is a warning: it must not fail the run
        outcome = f"not compared: {first_line(error)}"
        print(f"warning: drift {outcome}", file=sys.stderr)
    run.set_tags({tag: outcome})
    run.headline(tags={tag: outcome})
