"""Finds the model that a text names: a path, or in MLflow a registered version, a logged model or a run's artifact."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from faceforge.errors import FaceForgeError, UnavailableError
from faceforge.tracking.connection import connect, readable
from faceforge.tracking.tags import PARENT_RUN_TAG
from faceforge.tracking.versions import CHAMPION, MODEL_URI, download_version, full_name, mlflow_client

_NAME = re.compile(r"[^/\\:.@]+")  # of a registered model, and nothing else
_PLACES = (".", "bundle", "artifacts/bundle")  # of a bundle in what MLflow downloads


def model_address(source: str) -> str:
    """`models:/NAME@champion` for the name of a registered model; a path or an address stays as it is.

    A file or folder of that name comes first.
    """
    return f"models:/{source}@{CHAMPION}" if _NAME.fullmatch(source) and not Path(source).exists() else source


@contextmanager
def explained(source: str) -> Iterator[None]:
    """Adds to an error of the body what a `source` that is only a name was taken for, and how to get a model."""
    try:
        yield
    except FaceForgeError as error:
        if model_address(source) == source or isinstance(error, UnavailableError):
            raise
        raise FaceForgeError(
            f"there is no folder {source!r}, nor a registered model of this name with a champion ({error}); "
            "`make run` trains toyfaces in some minutes: no weights come with FaceForge"
        ) from None


def current_version(source: str, tracking_uri: str) -> str:
    """`models:/NAME/VERSION` of the version that a registered model's name, or `models:/...`, stands for now.

    Raises:
        FaceForgeError: there is no such version, or the registry does not answer.
    """
    with explained(source):
        connect(tracking_uri, create=False)
        return full_name(model_address(source))


def download_model(address: str, destination: Path) -> Path:
    """Downloads a model and returns the folder of its bundle; the evaluation's report, if any, lies beside it.

    Args:
        address: `models:/NAME@ALIAS`, `models:/NAME/VERSION`, `models:/MODEL_ID` (`m-...`), `runs:/RUN_ID/ARTIFACT`, or
            `runs:/RUN_ID` for the version that this run, or a step of it, registered.
        destination: folder to download to.

    Raises:
        FaceForgeError: MLflow has no such model, or it holds no readable bundle.
    """
    address = address.rstrip("/")
    if MODEL_URI.fullmatch(address):
        return download_version(address, destination) / "bundle"
    kind, _, rest = address.partition(":/")
    if kind == "runs" and "/" not in rest:
        return download_version(_registered_by(rest), destination) / "bundle"
    return _download_any(address, destination)


def _download_any(address: str, destination: Path) -> Path:
    import mlflow

    Path(destination).mkdir(parents=True, exist_ok=True)
    with readable(address):
        folder = Path(mlflow.artifacts.download_artifacts(artifact_uri=address, dst_path=str(destination)))
    for place in _PLACES:
        if (folder / place / "bundle.json").is_file():
            return folder / place
    raise FaceForgeError(f"{address} holds no model bundle; name a registered version or a run's bundle")


def _registered_by(run_id: str) -> str:
    """`models:/NAME/VERSION` of the newest version registered by a run or by a step of it."""
    with readable(f"runs:/{run_id}"):
        client = mlflow_client()
        client.get_run(run_id)  # an unknown run is reported as such
        versions = [
            *client.search_model_versions(f"run_id='{run_id}'"),
            *client.search_model_versions(f"tags.`{PARENT_RUN_TAG}`='{run_id}'"),
        ]
    if not versions:
        raise FaceForgeError(f"run {run_id} registered no model; name an artifact: runs:/{run_id}/bundle")
    newest = max(versions, key=lambda version: version.creation_timestamp)
    return f"models:/{newest.name}/{newest.version}"
