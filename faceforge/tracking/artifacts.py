"""Checks that files can be written to, and read from, the place where an experiment keeps its artifacts."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from faceforge.errors import FaceForgeError, UnavailableError
from faceforge.tracking.connection import limited_retries, readable

if TYPE_CHECKING:
    from mlflow.entities import Experiment

FILE_BYTES = 4 * 2**20
DEADLINE = 25.0  # seconds for the whole check of such a file

_FOLDER = "faceforge-check"
_REQUEST_SECONDS = 10
_SLOWEST = 2**20  # bytes per second of an upload or download that larger files are given time for


def check_artifacts(
    experiment: Experiment, tracking_uri: str, seconds: float = DEADLINE, file_bytes: int = FILE_BYTES
) -> None:
    """Uploads a file to the experiment's artifact location, downloads it, compares it and deletes it.

    Args:
        experiment: whose artifact location is checked.
        tracking_uri: MLflow.
        seconds: time limit for a file of `FILE_BYTES`; a larger one gets more.
        file_bytes: size of the file, as the largest that will be stored; at least `FILE_BYTES` are sent.

    Raises:
        FaceForgeError: the store refuses the file, returns another one, cannot be reached or takes too long; or the
            server keeps files in a folder of its own disk, which other machines would not share.
    """
    location = experiment.artifact_location
    _refuse_folder_of_server(experiment, tracking_uri)
    problems: list[Exception] = []
    size = max(file_bytes, FILE_BYTES)
    more = (size - FILE_BYTES) / _SLOWEST
    seconds += 2 * more

    def check() -> None:
        try:
            with readable(f"artifact store {location}"):
                _round_trip(location, size)
        except Exception as error:
            problems.append(error)

    # A thread, because S3 clients retry for minutes, which cannot be configured from here.
    thread = threading.Thread(target=check, name="artifact-check", daemon=True)
    with limited_retries(seconds=_REQUEST_SECONDS + round(more)):
        thread.start()
        thread.join(seconds)
    if thread.is_alive():
        raise UnavailableError(
            f"artifact store {location} does not answer within {seconds:.0f} s; check that the MLflow server (or this "
            "machine, if the location is no mlflow-artifacts: address) reaches it"
        )
    if problems:
        raise _too_large(problems[0], location, size) or problems[0]


def check_server_reads(run_id: str) -> None:
    """Checks that the MLflow server finds a file that this process writes to a run.

    If the artifact root is a folder (`file:`), client and server each use their own disk: the same folder only where
    they share it. Other artifact roots are not checked.

    Args:
        run_id: an open run; the file is deleted from it.

    Raises:
        FaceForgeError: the server does not find the file.
    """
    from mlflow import MlflowClient, get_tracking_uri
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    client, uri, name = MlflowClient(), get_tracking_uri(), uuid4().hex
    with readable("MLflow"):
        location = client.get_run(run_id).info.artifact_uri
        if not uri.startswith("http") or urlsplit(location).scheme not in ("", "file"):
            return
        client.log_text(run_id, "written by a client", f"{_FOLDER}/{name}")
        asked = {"run_id": run_id, "path": _FOLDER}
        listed = http_request(get_default_host_creds(uri), "/api/2.0/mlflow/artifacts/list", "GET", params=asked)
        get_artifact_repository(location).delete_artifacts(_FOLDER)
    if name not in listed.text:
        raise FaceForgeError(
            f"the MLflow server does not find the files that this machine writes to {location}, because it has a disk "
            "of its own; start it with --artifacts-destination, so that it serves them, and use a new experiment"
        )


def _too_large(problem: Exception, location: str, size: int) -> FaceForgeError | None:
    """An error for a file that a proxy in front of the store refuses for its size; None for other problems."""
    if not re.search(r"\b413\b|entity too large|content too large", str(problem), re.IGNORECASE):
        return None
    return FaceForgeError(
        f"artifact store {location} refuses a file of {size / 2**20:.0f} MB, as the model's largest will be: raise the "
        "limit of the proxy in front of the MLflow server (nginx: client_max_body_size)"
    )


def _round_trip(location: str, size: int) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    repository, name, content = get_artifact_repository(location), uuid4().hex, os.urandom(size)
    with TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        file = Path(scratch) / name
        file.write_bytes(content)
        repository.log_artifact(str(file), _FOLDER)
        try:
            downloaded = repository.download_artifacts(f"{_FOLDER}/{name}", str(Path(scratch)))
            if Path(downloaded).read_bytes() != content:
                raise FaceForgeError(f"artifact store {location} returned other bytes than were written")
        finally:
            with contextlib.suppress(Exception):  # not every store lets its users delete
                repository.delete_artifacts(f"{_FOLDER}/{name}")


def _refuse_folder_of_server(experiment: Experiment, tracking_uri: str) -> None:
    """A server without --artifacts-destination makes each client write to a path on the client's own disk."""
    location = urlsplit(experiment.artifact_location)
    if not tracking_uri.startswith("http") or location.scheme not in ("", "file"):
        return
    folder = Path(unquote(location.path))
    if not (folder.is_dir() or folder.parent.is_dir()):
        raise FaceForgeError(
            f"experiment {experiment.name!r} keeps its files in {folder} on the server, out of reach here; "
            "start the server with --artifacts-destination, so that it serves them, and use a new experiment"
        )
