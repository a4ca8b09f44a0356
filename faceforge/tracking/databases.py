"""Checks databases before MLflow opens them: MLflow retries a dead, locked or refused one for minutes."""

from __future__ import annotations

import logging
import os
import re
import socket
import sqlite3
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from faceforge.errors import FaceForgeError, first_line
from faceforge.files import atomic_file, exclusive_lock
from faceforge.tracking.uri import ARTIFACTS_FOLDER, SQLITE, without_password

SERVERS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}  # URI scheme -> usual port
LOCK_SECONDS = 30.0  # to wait for another process that holds a lock on a SQLite database

_ANSWER_SECONDS = 8
_SIDE_FILES = ("", "-journal", "-wal", "-shm")  # that SQLite keeps beside a database


def prepare_sqlite(path: Path) -> None:
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


def check_server(uri: str) -> None:
    """Opens one connection to a database server.

    Raises:
        FaceForgeError: it does not answer, refuses the account, or has no such database.
    """
    from sqlalchemy import create_engine
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError
    from sqlalchemy.pool import NullPool

    kind = uri.partition(":")[0].partition("+")[0]
    _knock(uri, SERVERS[kind])
    options = {"connect_timeout": _ANSWER_SECONDS} if kind in ("postgresql", "mysql") else {}
    try:
        with create_engine(uri, poolclass=NullPool, connect_args=options).connect():
            pass
    except ImportError as error:
        hint = "write postgresql+psycopg2://, or use a server" if "psycopg" in str(error) else "pip install it"
        raise FaceForgeError(
            f"MLflow database at {without_password(uri)}: the database driver is not installed; {hint}"
        ) from error
    except (ArgumentError, ValueError):  # their messages may hold a part of the password
        raise FaceForgeError(
            f"{without_password(uri)} is no valid database address; write @ : / in a password as %40 %3A %2F"
        ) from None
    except SQLAlchemyError as error:
        reason = first_line(str(getattr(error, "orig", None) or error))
        raise FaceForgeError(f"MLflow database at {without_password(uri)}: {reason}") from None


def _knock(uri: str, usual_port: int) -> None:
    """Opens a connection to the port, which needs no driver and no account."""
    host, _, port = uri.partition("://")[2].rpartition("@")[2].partition("/")[0].partition(":")
    try:
        place = (host or "localhost", int(port or usual_port))
        socket.create_connection(place, _ANSWER_SECONDS).close()
    except ConnectionRefusedError:
        raise FaceForgeError(
            f"MLflow database at {without_password(uri)}: nothing listens there (connection refused); start the server "
            "or correct --tracking-uri"
        ) from None
    except (OSError, ValueError) as error:
        raise FaceForgeError(f"MLflow database at {without_password(uri)}: {first_line(error)}") from None


def schema_advice(message: str, uri: str) -> str:
    """What to do about MLflow's message that a database has another schema version than it expects."""
    import mlflow
    from mlflow.store.db_migrations import versions

    match = re.search(r"found version (\w+)|revision identified by '(\w+)'", message)
    revision = (match[1] or match[2]) if match else ""
    folder = Path(next(iter(versions.__path__)))
    if revision and not list(folder.glob(f"{revision}_*.py")):
        return f"written by a newer MLflow than {mlflow.__version__}, which is installed here; use a newer one"
    return f"written by an older MLflow; back it up, then run: mlflow db upgrade {without_password(uri)}"


def _check_sqlite(path: Path) -> None:
    if not os.access(path, os.W_OK):
        raise FaceForgeError(f"tracking database {path} is read-only; change its permissions or name another")
    deadline, warned = time.monotonic() + LOCK_SECONDS, False
    while True:
        try:
            with closing(sqlite3.connect(path, timeout=2)) as database:
                database.execute("PRAGMA schema_version").fetchone()
                return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise _unreadable(path, error) from None
        except sqlite3.DatabaseError as error:
            raise _unreadable(path, error) from None
        if not warned:
            print(f"waiting for {path}: another process has locked it", file=sys.stderr, flush=True)
            warned = True
        if time.monotonic() > deadline:
            holders = _holders(path)
            who = f" by {', '.join(holders)}" if holders else " by another process"
            raise FaceForgeError(
                f"tracking database {path} is locked{who}; wait for it to finish, or use an MLflow server"
            )


def _unreadable(path: Path, error: Exception) -> FaceForgeError:
    return FaceForgeError(f"tracking database {path} is unreadable ({error}); move it away or name another")


def _holders(path: Path) -> Sequence[str]:
    """Name and process id of the other processes that have the database open, as far as this user may see them."""
    import psutil

    names = {f"{path.resolve()}{suffix}" for suffix in _SIDE_FILES}
    holders = []
    for process in psutil.process_iter(["pid", "name"]):
        if process.pid != os.getpid():
            try:
                if names & {file.path for file in process.open_files()}:
                    holders.append(f"{process.info['name']} (process {process.pid})")
            except (psutil.Error, OSError):
                continue  # ended meanwhile, or belongs to another user
    return holders


def _create_sqlite(path: Path) -> None:
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    path.unlink(missing_ok=True)  # an empty file
    with atomic_file(path) as partial:
        store = SqlAlchemyStore(f"{SQLITE}{partial}", str(path.parent / ARTIFACTS_FOLDER))
        store.engine.dispose()
