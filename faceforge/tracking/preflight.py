"""Checks before a run's first step that MLflow will accept everything that its last step logs and registers."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

from faceforge.errors import FaceForgeError
from faceforge.tracking.artifacts import FILE_BYTES, check_artifacts
from faceforge.tracking.connection import connect, limited_retries, readable, within
from faceforge.tracking.find_runs import MODEL_KIND, experiment_id
from faceforge.tracking.tags import MLFLOW_KIND_TAG
from faceforge.tracking.uri import CREDENTIALS

if TYPE_CHECKING:
    from mlflow import MlflowClient

_MODEL_NAME_LENGTH = 200  # MLflow's databases keep 256 characters
_VERSION_SECONDS = 10.0
_OLDEST_SERVER = (3, 0)  # logged models, which registered versions are made from


def check_tracking(
    tracking_uri: str | None, experiment: str, model_name: str | None = None, file_bytes: int = FILE_BYTES
) -> str:
    """Checks everything that a tracked run needs of MLflow; writes nothing that stays.

    Args:
        tracking_uri: as for `connect`.
        experiment: name; created if missing.
        model_name: registered model that the run will add a version to; None: none.
        file_bytes: size of the largest file that the run will store, as far as it is known.

    Returns:
        The full address.

    Raises:
        FaceForgeError: the first problem: an invalid name, a server that does not answer or is too old, a missing
            right, an artifact store that cannot be used.
    """
    import mlflow

    if model_name is not None:
        check_model_name(model_name)
    uri = connect(tracking_uri)
    with limited_retries():
        if uri.startswith("http"):
            check_server_version(server_version(uri))
        client = mlflow.MlflowClient()
        _check_injected_run(client)
        with readable(f"MLflow experiment {experiment!r}"):
            known = client.get_experiment(experiment_id(client, experiment))
        _check_right_to_log(client, known.experiment_id, experiment)
        if model_name is not None:
            _check_right_to_register(client, model_name)
    check_artifacts(known, uri, file_bytes=file_bytes)
    return uri


def check_model_name(name: str) -> None:
    """Refuses names that MLflow refuses only when a trained model is logged or registered.

    Raises:
        FaceForgeError: naming what is wrong.
    """
    if wrong := re.search(r"""[/:.%"'@\\`\x00-\x1f]""", name):
        raise FaceForgeError(f"model name {name!r} contains {wrong[0]!r}; use letters, digits, spaces, - and _")
    if not name.strip() or len(name) > _MODEL_NAME_LENGTH:
        raise FaceForgeError(f"model name {name[:40]!r} must have 1 to {_MODEL_NAME_LENGTH} characters")


def server_version(uri: str) -> str:
    """Version of the MLflow server at an http address; empty if it does not say.

    Raises:
        FaceForgeError: it does not answer.
    """
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    with readable(f"MLflow at {uri}"):
        response = within(
            _VERSION_SECONDS, lambda: http_request(get_default_host_creds(uri), "/version", "GET", max_retries=0)
        )
    return str(response.text).strip() if response.status_code == 200 else ""


def check_server_version(version: str) -> None:
    """Refuses servers that lack what the last step needs.

    Raises:
        FaceForgeError: the server is older than MLflow 3, or is no MLflow server.
    """
    import mlflow

    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers is None:
        raise FaceForgeError("the tracking server does not report an MLflow version (a login page or proxy?)")
    if (int(numbers[1]), int(numbers[2])) < _OLDEST_SERVER:
        raise FaceForgeError(
            f"the MLflow server has version {version}, this client {mlflow.__version__}; upgrade the server"
        )


def _check_injected_run(client: MlflowClient) -> None:
    if run_id := os.environ.get("MLFLOW_RUN_ID"):
        with readable(f"MLFLOW_RUN_ID={run_id}"):
            name = client.get_run(run_id).info.run_name
        print(f"note: MLFLOW_RUN_ID is set: this run is logged under {name} ({run_id})", file=sys.stderr, flush=True)


def _check_right_to_log(client: MlflowClient, experiment: str, name: str) -> None:
    try:
        client.set_experiment_tag(experiment, MLFLOW_KIND_TAG, MODEL_KIND)
    except Exception as error:
        if "PERMISSION_DENIED" in str(error) or "403" in str(error):
            raise FaceForgeError(
                f"account {_account()} may not write to the experiment {name!r}; it needs the right EDIT on it"
            ) from None
        with readable(f"MLflow experiment {name!r}"):
            raise


def _check_right_to_register(client: MlflowClient, name: str) -> None:
    """Writes the model's description over itself: the cheapest write that needs the right to change the model."""
    from mlflow.exceptions import MlflowException

    with readable(f"MLflow registry, model {name!r}"):
        try:
            model = client.get_registered_model(name)
            client.update_registered_model(name, description=model.description or "")
        except MlflowException as error:
            if error.error_code == "PERMISSION_DENIED" or "403" in str(error):
                raise FaceForgeError(
                    f"account {_account()} may not add versions to the registered model {name!r}; it needs the right "
                    "EDIT on it, or choose another model name"
                ) from None
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise


def _account() -> str:
    return repr(os.environ.get(CREDENTIALS[0]) or "(none)")
