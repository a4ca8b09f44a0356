"""Connects to an MLflow server or database; if that fails, reports why in one line."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path
from threading import Thread
from typing import TypeVar
from urllib.parse import urlsplit

from faceforge.errors import FaceForgeError, UnavailableError, first_line
from faceforge.tracking import databases
from faceforge.tracking.uri import (
    DEFAULT_URI,
    SQLITE,
    credentials_to_environment,
    full_uri,
    without_account,
    without_password,
)

_ANSWER_SECONDS = 8
_CONNECT_SECONDS = 10.0  # for the whole first answer, however slowly it arrives
_REGISTRY = "MLFLOW_REGISTRY_URI"
_Result = TypeVar("_Result")


def connect(tracking_uri: str | None = None, create: bool = True) -> str:
    """Makes MLflow use `tracking_uri` for runs and registry, after checking that it answers.

    Args:
        tracking_uri: `sqlite:///FILE` (created if missing; relative to the working folder),
            `http(s)://HOST:PORT`, or a database. None or empty: MLFLOW_TRACKING_URI, else `DEFAULT_URI`.
        create: False: a missing SQLite file is an error, for commands that only read.

    Returns:
        The full address.

    Raises:
        FaceForgeError: no MLflow answers there within about ten seconds.
    """
    uri = credentials_to_environment(full_uri(tracking_uri))
    scheme = urlsplit(uri).scheme.partition("+")[0]
    if scheme == "sqlite":
        path = Path(uri.removeprefix(SQLITE))
        if not create and not path.exists():
            raise FaceForgeError(f"tracking database {path} does not exist; go to its folder or give --tracking-uri")
        databases.prepare_sqlite(path)
    elif scheme in databases.SERVERS:
        databases.check_server(uri)
    elif scheme not in ("http", "https"):
        shown = without_password(uri)
        raise FaceForgeError(f"tracking URI {shown!r} is not supported; use {DEFAULT_URI} or http://HOST:PORT")
    _refuse_another_registry(uri)
    import mlflow

    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    os.environ.pop(_REGISTRY, None)  # set by MLflow; child processes find the registry by the tracking URI
    with limited_retries(), readable(f"MLflow at {without_password(uri)}"):
        client = mlflow.MlflowClient()  # on a busy machine, its imports alone may take longer than a server may

        def ask() -> object:
            return client.search_experiments(max_results=1)

        within(_CONNECT_SECONDS, ask) if scheme in ("http", "https") else ask()
    return uri


def _refuse_another_registry(uri: str) -> None:
    registry = os.environ.get(_REGISTRY, "").strip()
    if registry and without_account(full_uri(registry)) != uri:
        raise FaceForgeError(
            f"{_REGISTRY} is {without_password(registry)}, but runs are tracked at {without_password(uri)}; "
            "FaceForge keeps runs and models in one MLflow: unset it"
        )


def within(seconds: float, work: Callable[[], _Result]) -> _Result:
    """Returns `work()`, called in a thread that is left behind if it takes longer.

    The time limit of a request is one for each read: a server that sends a byte now and then never reaches it.

    Raises:
        TimeoutError: it takes longer.
    """
    done: Future[_Result] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    Thread(target=copy_context().run, args=(run,), daemon=True).start()
    try:
        return done.result(seconds)
    except TimeoutError:
        if done.done():
            raise
        raise TimeoutError("no answer: timed out") from None


def current_uri() -> str:
    """The tracking URI that this process has set in MLflow; empty if none."""
    mlflow = sys.modules.get("mlflow")
    return str(mlflow.get_tracking_uri()) if mlflow is not None and mlflow.is_tracking_uri_set() else ""


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Turns MLflow's exceptions into a `FaceForgeError` of one line that starts with `what`.

    Raises:
        UnavailableError: the server does not answer, or reports that it or its store has failed.
        FaceForgeError: anything else, which would fail again.
    """
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError, ImportError) as error:
        kind = UnavailableError if _TEMPORARY.search(str(error)) else FaceForgeError
        raise kind(f"{what}: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    """The cause of an MLflow error and what to do about it, in one line."""
    text = str(error)
    if re.search("out-of-date database schema|can't locate revision", text, re.IGNORECASE):
        return databases.schema_advice(text, current_uri())
    for sign, meaning in _MEANINGS.items():
        if re.search(sign, text, re.IGNORECASE):
            return meaning
    return first_line(error)


_TEMPORARY = re.compile(
    r"connection (?:refused|reset|aborted)|remote end closed|timed out|timeout|temporary failure in name resolution"
    r"|no route to host|network is unreachable"  # of a service in Kubernetes none of whose pods is ready
    r"|error code 5\d\d|too many 5\d\d|^internal_error",
    re.IGNORECASE,
)
_MEANINGS = {
    "connection refused": "nothing listens there (connection refused); start the server or correct --tracking-uri",
    "no route to host|network is unreachable": "it cannot be reached; start the server or correct --tracking-uri",
    "timed out|timeout": "no answer in time; check the address and the network",
    "resolve|name or service not known|nodename": "the host name is unknown; correct --tracking-uri",
    r"\b401\b|unauthorized": "access denied; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (or _TOKEN)",
    "invalid host header": "forbidden (403); if the server is yours, add this name to its --allowed-hosts",
    "permission.denied": "forbidden (403): this account may not do that; ask who runs the server",
    r"\b403\b": "forbidden (403): the account lacks the right, or the server's --allowed-hosts this name",
    "database is locked": "the database is locked by another process; run again, or use an MLflow server",
    "no module named .psycopg": "the database driver is not installed; write postgresql+psycopg2://, or use a server",
    "no module named": "the database driver is not installed; pip install it, or use an MLflow server",
}


@contextmanager
def limited_retries(retries: int = 0, seconds: int = _ANSWER_SECONDS) -> Iterator[None]:
    """Limits MLflow's retries in this process, by default minutes of them, while the body runs.

    Args:
        retries: attempts after the first, per request.
        seconds: time limit of a request.
    """
    limits = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(retries), "MLFLOW_HTTP_REQUEST_TIMEOUT": str(seconds)}
    before = {name: os.environ.get(name) for name in limits}
    os.environ.update(limits)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
