"""Training anew when the images have changed: the data is the trigger, not the clock."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from faceforge.config import as_json, resolve
from faceforge.errors import FaceForgeError
from pipelines.cluster.runs import list_runs
from pipelines.cluster.server import Server
from pipelines.cluster.submit import Submitted, run_title, submit
from pipelines.definition.parameters import RunParameters

_GOING_ON = ("PENDING", "RUNNING", "PAUSED", "RUNTIME_STATE_UNSPECIFIED", "None")


def data_key(parameters: RunParameters) -> str:
    """A run key that stands for these images, trained with these parameters: `data-0123456789abcdef`.

    The images are told apart by name, size and time (remote ones by their tags), without reading them.

    Raises:
        FaceForgeError: the source cannot be opened here, or a setting is wrong.
    """
    from faceforge.config import labels_option
    from faceforge.data.sources import open_source

    config = resolve(parameters.preset, parameters.settings)
    ingest, table = labels_option(config.ingest, parameters.labels)
    source = open_source(parameters.source, ingest, table)
    made_of = [source.fingerprint(), as_json(config), parameters.labels, parameters.model_name, parameters.experiment]
    return f"data-{hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:16]}"


def already(parameters: RunParameters, key: str, server: Server) -> str:
    """Why there is nothing to do, in words: this data was trained on, or is being; empty: it was not.

    Raises:
        FaceForgeError: MLflow or the Kubeflow server does not answer.
    """
    from faceforge.tracking.closing import run_status
    from faceforge.tracking.connection import connect

    connect(parameters.tracking_uri)
    if run_status(key) == "FINISHED":
        return "has been trained on"
    # MLflow knows of a run only once its first step has begun; the server, from the moment it was submitted.
    states = {str(run.state) for run in list_runs(server, 10, run_title(parameters, key))}
    return "is being trained on" if states & set(_GOING_ON) else ""


def retrain(
    package: Path, parameters: RunParameters, server: Server, if_changed: bool, show: Callable[[str], None] = print
) -> Submitted | None:
    """Submits a training run, unless `if_changed` is set and these images were trained on with these parameters.

    A run that has failed does not count: it is tried again under its key, so that checkpoints are continued.

    Raises:
        FaceForgeError: the source, MLflow or the Kubeflow server cannot be used.
    """
    if not if_changed:
        return submit(package, parameters, server)
    key = data_key(parameters)
    if why := already(parameters, key, server):
        show(f"{parameters.source} {why}: run {key}, nothing to do")
        return None
    return submit(package, parameters, server, run_key=key)


def check_source(source: str) -> None:
    """Refuses sources that a cluster could not see under the same name.

    Raises:
        FaceForgeError: it is relative to the working folder.
    """
    from faceforge.data.sources import is_path

    if is_path(source) and not Path(source).is_absolute():
        raise FaceForgeError(
            f"source {source!r} is relative; pods see it as it is written: give an absolute path on a volume "
            "(--data-claim of pipeline compile), or s3://..."
        )
