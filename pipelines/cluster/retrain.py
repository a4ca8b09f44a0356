"""Retraining when the images of a source have changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from faceforge.config import as_json, resolve
from faceforge.errors import FaceForgeError
from pipelines.cluster.runs import FINISHED_STATES, list_runs
from pipelines.cluster.server import Server
from pipelines.cluster.submit import SubmittedRun, run_title, submit
from pipelines.definition.parameters import RunParameters


def data_key(parameters: RunParameters) -> str:
    """Run key derived from the images of the source and the training parameters: `data-0123456789abcdef`.

    Images are identified by name, size and modification time (remote ones by their ETags); they are not read.

    Raises:
        FaceForgeError: the source cannot be opened here, or a setting is wrong.
    """
    from faceforge.config import labels_option
    from faceforge.data.sources import open_source

    config = resolve(parameters.preset, parameters.settings)
    ingest, table = labels_option(config.ingest, parameters.labels)
    source = open_source(parameters.source, ingest, table or "")
    identity = [source.fingerprint(), as_json(config), parameters.labels, parameters.model_name, parameters.experiment]
    return f"data-{hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]}"


def reason_to_skip(parameters: RunParameters, key: str, server: Server) -> str:
    """Why a run with this key is not needed: it has succeeded, or is in progress; '' = it is needed.

    Raises:
        FaceForgeError: MLflow or the Kubeflow server does not answer.
    """
    from faceforge.tracking.closing import run_status
    from faceforge.tracking.connection import connect

    connect(parameters.tracking_uri)
    if run_status(key) == "FINISHED":
        return "has been trained on"
    # MLflow knows a run only after its first step has started; the server knows it from submission on.
    states = {str(run.state) for run in list_runs(server, 10, run_title(parameters, key))}
    return "is being trained on" if states - set(FINISHED_STATES) else ""


def retrain(
    package: Path, parameters: RunParameters, server: Server, *, if_changed: bool, show: Callable[[str], None] = print
) -> SubmittedRun | None:
    """Submits a training run; with `if_changed`, only if these images and parameters have not been trained yet.

    A failed run is submitted again under the same key, so that it continues from its checkpoints.

    Raises:
        FaceForgeError: the source, MLflow or the Kubeflow server cannot be used.
    """
    if not if_changed:
        return submit(package, parameters, server)
    key = data_key(parameters)
    if reason := reason_to_skip(parameters, key, server):
        show(f"{parameters.source} {reason}: run {key}, nothing to do")
        return None
    return submit(package, parameters, server, run_key=key)


def check_source(source: str) -> None:
    """Refuses a source that pods cannot open under the same name.

    Raises:
        FaceForgeError: it is a relative path.
    """
    from faceforge.data.sources import is_path

    if is_path(source) and not Path(source).is_absolute():
        raise FaceForgeError(
            f"source {source!r} is a relative path, which pods cannot open: give an absolute path on a volume "
            "(--data-claim of pipeline compile), or s3://..."
        )
