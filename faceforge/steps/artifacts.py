"""What Kubeflow's pages show of a step: metadata of its artifacts, and headline metrics.

The functions return plain values, which the components copy to kfp's artifacts. They run after the step's work, so an
MLflow that does not answer only costs the link to it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from faceforge.data.imageset.reader import ImageSet
from faceforge.errors import FaceForgeError
from faceforge.models.bundle import BundleInfo
from faceforge.steps.evaluate import KEY_METRICS
from faceforge.steps.tracked import Tracking
from faceforge.steps.training_page import LOSSES, read_points

_NAMES_AT_MOST = 500  # characters of the names of a column's classes


def image_set_metadata(folder: Path, tracking: Tracking) -> dict[str, str | int]:
    """Digest, sizes and labels of an image set, and the address of the MLflow run."""
    info = ImageSet.open(folder).info
    images = {f"{split}_images": count.total for split, count in info.counts.items()}
    sizes = {"image_size": info.image_size, "channels": info.channels}
    return {"digest": info.digest, "source": info.source, **images, **sizes, **_labels(info.labels), **_links(tracking)}


def bundle_metadata(folder: Path, tracking: Tracking) -> dict[str, str | int]:
    """Architecture, sizes, labels and data of a model bundle, and the address of the MLflow run."""
    info = BundleInfo.read(folder)
    facts = {
        "architecture": info.spec.family,
        "image_size": info.spec.image_size,
        "channels": info.spec.channels,
        "dataset_digest": info.dataset_digest,
        "images_seen": int(info.training["images_seen"]),
        "faceforge": info.versions["faceforge"],
    }
    return {**facts, **_labels(info.labels), **_links(tracking)}


def show_metrics(artifact: Any, metrics: Mapping[str, float]) -> None:
    """Fills a `dsl.Metrics` artifact. Its file repeats them: a local run repeats steps whose files are missing."""
    artifact.metadata.update(metrics)
    Path(artifact.path).write_text(json.dumps(dict(metrics)), encoding="utf-8")


def training_metrics(bundle: Path, work: Path) -> dict[str, float]:
    """Headline metrics of a training: images, seconds and rate, and the last losses, under their names in MLflow.

    Args:
        bundle: the trained bundle.
        work: folder where training wrote its log.
    """
    training = BundleInfo.read(bundle).training
    facts = {f"training/{name}": training[name] for name in ("images_seen", "seconds", "images_per_second")}
    last = {name: value for point in read_points(work) for name, value in point.items() if name in LOSSES}
    return _finite(facts | last)


def evaluation_metrics(report: Path) -> dict[str, float]:
    """Headline metrics of an evaluation, from the folder that `run_evaluate` wrote."""
    metrics = json.loads((report / "report.json").read_text())["metrics"]
    return _finite({name: metrics[name] for name in KEY_METRICS if metrics.get(name) is not None})


def _finite(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Kubeflow reads metrics as JSON, which has no infinity."""
    numbers = {name: float(value) for name, value in metrics.items()}
    return {name: value for name, value in numbers.items() if math.isfinite(value)}


def _labels(labels: Mapping[str, list[str]]) -> dict[str, str]:
    return {f"label {name}": ", ".join(classes)[:_NAMES_AT_MOST] for name, classes in labels.items()}


def _links(tracking: Tracking) -> dict[str, str]:
    from faceforge.tracking.closing import find_pipeline_run
    from faceforge.tracking.pages import run_page
    from faceforge.tracking.runs import connect

    try:
        uri = connect(tracking.uri)
        run = find_pipeline_run(tracking.run_key)
    except FaceForgeError:
        return {}
    return {"mlflow_run": run_page(uri, run.info.experiment_id, run.info.run_id)} if run is not None else {}
