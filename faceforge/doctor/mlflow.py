"""Checks of MLflow: credentials, connection, version, artifacts, registry."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from faceforge.doctor.finding import Finding
from faceforge.errors import FaceForgeError
from faceforge.tracking.artifacts import check_artifacts
from faceforge.tracking.connection import connect, readable
from faceforge.tracking.preflight import server_version
from faceforge.tracking.uri import full_uri, without_password
from faceforge.tracking.versions import CHAMPION

_PAIR = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
_CHECK_URI = "see --tracking-uri and MLFLOW_TRACKING_URI"


def checks(tracking_uri: str, model: str, experiment: str) -> Iterator[Finding]:
    """Runs each check of the MLflow at `tracking_uri`; without a connection, only the first two."""
    yield credentials()
    reached = reach(tracking_uri)
    yield reached
    if reached.status == "ok":
        yield artifacts(experiment)
        yield registry(model)


def credentials() -> Finding:
    """Checks that the credentials in the environment are complete."""
    set_names = [name for name in _PAIR if os.environ.get(name)]
    if len(set_names) == 1:
        missing = next(name for name in _PAIR if name not in set_names)
        return Finding("credentials", "problem", f"{set_names[0]} is set, {missing} is not", f"set {missing} too")
    names = [*set_names, *(name for name in ("MLFLOW_TRACKING_TOKEN",) if os.environ.get(name))]
    return Finding("credentials", "ok", f"from {' and '.join(names)}" if names else "none set for MLflow")


def reach(tracking_uri: str) -> Finding:
    """Checks that MLflow answers, and compares its version with the client's."""
    try:
        uri = full_uri(tracking_uri)
        if uri.startswith("sqlite:///") and not (path := Path(uri.removeprefix("sqlite:///"))).exists():
            if os.access(_existing(path.parent), os.W_OK):
                return Finding("MLflow", "skipped", f"{path} does not exist yet; the first run creates it")
            return Finding("MLflow", "problem", f"{path.parent} is read-only", "name another: --tracking-uri")
        uri = connect(uri, create=False)
        if not uri.startswith("http"):
            return Finding("MLflow", "ok", without_password(uri))
        return _compared(uri, server_version(uri))
    except FaceForgeError as error:
        return Finding("MLflow", "problem", str(error), _CHECK_URI)


def artifacts(experiment: str) -> Finding:
    """Checks that a file can be written to the artifact store and read back."""
    from mlflow import MlflowClient, get_tracking_uri

    check = "artifacts"
    try:
        with readable("MLflow"):
            client = MlflowClient()
            known = client.get_experiment_by_name(experiment) or client.get_experiment("0")
        if known.artifact_location.startswith("s3:") and (reason := _no_access_to_s3()):
            return Finding(check, "problem", f"{known.artifact_location} is read directly, and {reason[0]}", reason[1])
        check_artifacts(known, get_tracking_uri())
        return Finding(check, "ok", f"{known.artifact_location}: 4 MB written, read back and deleted")
    except FaceForgeError as error:
        return Finding(check, "problem", str(error), "check the artifact store and what its credentials allow")


def registry(model: str) -> Finding:
    """Checks that the model registry is readable and whether the model has a champion."""
    from mlflow import MlflowClient

    try:
        with readable("MLflow registry"):
            models = MlflowClient().search_registered_models(f"name='{model}'")
    except FaceForgeError as error:
        return Finding("registry", "problem", str(error), "ask for access to registered models")
    if not models:
        return Finding("registry", "skipped", f"no model {model!r} yet; the first pipeline run registers it")
    champion = models[0].aliases.get(CHAMPION)
    if not champion:
        return Finding("registry", "warning", f"{model} has no champion", "faceforge registry list, then promote one")
    return Finding("registry", "ok", f"{model}: the champion is version {champion}")


def _compared(uri: str, server: str) -> Finding:
    import mlflow
    from packaging.version import InvalidVersion, Version

    message = f"{uri}, version {server or 'unknown'}; here {mlflow.__version__}"
    try:
        theirs, ours = Version(server), Version(mlflow.__version__)
    except InvalidVersion:
        return Finding("MLflow", "warning", message, "is it an MLflow server? " + _CHECK_URI)
    if theirs.major != ours.major:
        return Finding("MLflow", "problem", message, f"upgrade the server to {ours.major}.x")
    if theirs.release[:2] < ours.release[:2]:
        return Finding(
            "MLflow",
            "warning",
            message,
            f"upgrade the server to {ours}; older ones may lack needed features",
        )
    return Finding("MLflow", "ok", message)


def _no_access_to_s3() -> tuple[str, str] | None:
    """Why S3 cannot be read directly, and what to do; None = it can."""
    try:
        import boto3
    except ImportError:
        return "boto3 is not installed", "pip install boto3, or let the server pass artifacts on"
    if boto3.Session().get_credentials() is None:
        return (
            "there are no AWS credentials",
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or let the server pass artifacts on",
        )
    return None


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())
