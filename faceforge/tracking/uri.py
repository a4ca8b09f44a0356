"""Tracking URIs: their default, their full form, and their credentials, which are never shown or stored."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from faceforge.errors import FaceForgeError

DEFAULT_URI = "sqlite:///mlflow.db"
ARTIFACTS_FOLDER = "mlartifacts"  # beside the SQLite database
SQLITE = "sqlite:///"
CREDENTIALS = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")


def full_uri(tracking_uri: str | None = None) -> str:
    """`tracking_uri`, else MLFLOW_TRACKING_URI, else the default; SQLite files as absolute paths."""
    uri = (tracking_uri or "").strip() or os.environ.get("MLFLOW_TRACKING_URI", "").strip() or DEFAULT_URI
    if uri.startswith("sqlite:") and not uri.startswith(SQLITE):
        raise FaceForgeError(f"tracking URI {uri!r} names no file; write {DEFAULT_URI}, or sqlite:////absolute/path.db")
    return SQLITE + os.path.abspath(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else uri.rstrip("/")


def without_password(uri: str) -> str:
    """An address with its password masked, for display. A password may hold `@`: the last one counts."""
    scheme, separator, rest = uri.partition("://")
    account, at, place = rest.rpartition("@")
    user, colon, _ = account.partition(":")
    return f"{scheme}{separator}{user}:***@{place}" if at and colon else uri


def has_password(uri: str) -> bool:
    """Whether an address holds a password."""
    return without_password(uri) != uri


def without_account(uri: str) -> str:
    """An http address without user and password."""
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if uri.startswith("http") else uri


def credentials_to_environment(uri: str) -> str:
    """Moves user and password of an http address to MLflow's environment variables; returns the address without them.

    White space around the variables' values, as a secret file's last newline, is removed.

    Raises:
        FaceForgeError: one of the variables holds a control character.
    """
    if (plain := without_account(uri)) != uri:
        user, _, password = urlsplit(uri).netloc.rpartition("@")[0].partition(":")
        os.environ.update({name: unquote(value) for name, value in zip(CREDENTIALS, (user, password), strict=False)})
        uri = plain
        if os.environ.get("MLFLOW_TRACKING_URI", "").strip():
            os.environ["MLFLOW_TRACKING_URI"] = uri  # child processes and MLflow's own messages see no password
    for name in CREDENTIALS:
        if name in os.environ:
            os.environ[name] = os.environ[name].strip()
            if not os.environ[name].isprintable():  # requests would repeat it in its error
                raise FaceForgeError(f"{name} contains a line break or another control character; remove it")
    return uri


def artifact_root(uri: str) -> Path | None:
    """Artifact folder of a SQLite database, which a server on that database must use too; None: a server decides."""
    return Path(uri.removeprefix(SQLITE)).parent / ARTIFACTS_FOLDER if uri.startswith(SQLITE) else None
