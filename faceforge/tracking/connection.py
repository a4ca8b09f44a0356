"""Connects to an MLflow server or database; if that fails, reports why in one line."""

from __future__ import annotations

import logging
import os
import re
import socket
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from faceforge.errors import FaceForgeError, first_line
from faceforge.files import atomic_file, exclusive_lock

DEFAULT_URI = "sqlite:///mlflow.db"
ARTIFACTS_FOLDER = "mlartifacts"  # beside the SQLite database

_ANSWER_SECONDS = 8
_SQLITE = "sqlite:///"
_DATABASES = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}  # scheme -> usual port


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
    uri = full_uri(tracking_uri)
    scheme = urlsplit(uri).scheme.partition("+")[0]
    if scheme == "sqlite":
        path = Path(uri.removeprefix(_SQLITE))
        if not create and not path.exists():
            raise FaceForgeError(f"tracking database {path} does not exist; go to its folder or give --tracking-uri")
        _prepare_sqlite(path)
    elif scheme in _DATABASES:
        _knock(uri, _DATABASES[scheme])
    elif scheme not in ("http", "https"):
        raise FaceForgeError(f"tracking URI {uri!r} is not supported; use {DEFAULT_URI} or http://HOST:PORT")
    import mlflow

    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    with limited_retries(), readable(f"MLflow at {without_password(uri)}"):
        mlflow.MlflowClient().search_experiments(max_results=1)
    return uri


def full_uri(tracking_uri: str | None = None) -> str:
    """`tracking_uri`, else MLFLOW_TRACKING_URI, else the default; SQLite files as absolute paths."""
    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI", "") or DEFAULT_URI
    if uri.startswith("sqlite:") and not uri.startswith(_SQLITE):
        raise FaceForgeError(f"tracking URI {uri!r} names no file; write {DEFAULT_URI}, or sqlite:////absolute/path.db")
    return _SQLITE + os.path.abspath(uri.removeprefix(_SQLITE)) if uri.startswith(_SQLITE) else uri.rstrip("/")


def current_uri() -> str:
    """The tracking URI that this process has set in MLflow; empty if none."""
    mlflow = sys.modules.get("mlflow")
    return str(mlflow.get_tracking_uri()) if mlflow is not None and mlflow.is_tracking_uri_set() else ""


def artifact_root(uri: str) -> Path | None:
    """Artifact folder of a SQLite database, which a server on that database must use too; None: a server decides."""
    return Path(uri.removeprefix(_SQLITE)).parent / ARTIFACTS_FOLDER if uri.startswith(_SQLITE) else None


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Turns MLflow's exceptions into a `FaceForgeError` of one line that starts with `what`."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError, ImportError) as error:
        raise FaceForgeError(f"{what}: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    """The cause of an MLflow error and what to do about it, in one line."""
    text = str(error)
    for sign, meaning in _MEANINGS.items():
        if re.search(sign, text, re.IGNORECASE):
            return meaning
    return first_line(error)


_MEANINGS = {
    "connection refused": "nothing listens there (connection refused); start the server or correct --tracking-uri",
    "timed out|timeout": "no answer in time; check the address and the network",
    "resolve|name or service not known|nodename": "the host name is unknown; correct --tracking-uri",
    r"\b401\b|unauthorized": "access denied; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (or _TOKEN)",
    "invalid host header": "forbidden (403); if the server is yours, add this name to its --allowed-hosts",
    "permission.denied": "forbidden (403): this account may not do that; ask who runs the server",
    r"\b403\b": "forbidden (403): the account lacks the right, or the server's --allowed-hosts this name",
    "out-of-date database schema": "written by another MLflow version; back it up, then run mlflow db upgrade",
    "database is locked": "the database is busy (locked by another process); run again, or use an MLflow server",
    "no module named .psycopg": "the database driver is not installed; write postgresql+psycopg2://, or use a server",
    "no module named": "the database driver is not installed; pip install it, or use an MLflow server",
}


def _prepare_sqlite(path: Path) -> None:
    """Checks a SQLite database, or creates it under a lock: two processes that initialise one break it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with exclusive_lock(path.parent):
            if path.exists() and path.stat().st_size > 0:
                _check_sqlite(path)
            else:
                _create_sqlite(path)
    except OSError as error:
        raise FaceForgeError(f"tracking database {path} cannot be used: {error.strerror or error}") from error


def _check_sqlite(path: Path) -> None:
    """Refuses a file that is not a writable SQLite database; MLflow itself would retry for minutes."""
    try:
        with closing(sqlite3.connect(path, timeout=_ANSWER_SECONDS)) as database:
            database.execute("PRAGMA schema_version").fetchone()
    except sqlite3.DatabaseError as error:
        raise FaceForgeError(
            f"tracking database {path} is unreadable ({error}); move it away or name another"
        ) from None
    if not os.access(path, os.W_OK):
        raise FaceForgeError(f"tracking database {path} is read-only; change its permissions or name another")


def _create_sqlite(path: Path) -> None:
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    path.unlink(missing_ok=True)  # an empty file
    with atomic_file(path) as partial:
        store = SqlAlchemyStore(f"{_SQLITE}{partial}", str(path.parent / ARTIFACTS_FOLDER))
        store.engine.dispose()


def _knock(uri: str, usual_port: int) -> None:
    """Opens a connection to a database's port; MLflow itself would retry a dead one for minutes."""
    parts = urlsplit(uri)
    try:
        socket.create_connection((parts.hostname or "localhost", parts.port or usual_port), _ANSWER_SECONDS).close()
    except OSError as error:
        raise FaceForgeError(f"MLflow database at {without_password(uri)}: {_reason(error)}") from error


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


def without_password(uri: str) -> str:
    """An address with its password masked, for display."""
    return re.sub(r"(://[^:/@]+):[^@/]*@", r"\1:***@", uri)
