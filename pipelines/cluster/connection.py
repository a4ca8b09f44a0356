"""Connecting to a Kubeflow Pipelines server, with an error of one line where that fails."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from faceforge.errors import FaceForgeError
from pipelines.cluster.api import api_errors, silenced
from pipelines.cluster.server import ENDPOINT, TOKEN, TOKEN_PATH, Server

if TYPE_CHECKING:
    from kfp import Client

_MOUNTED_TOKEN = Path("/var/run/secrets/kubeflow/pipelines/token")
_TIMEOUT_SECONDS = 10


def connect(server: Server) -> Client:
    """A kfp client of a server that has answered a health check.

    Raises:
        FaceForgeError: no endpoint is set, nothing answers there, or it denies access.
    """
    endpoint, token = server.address, os.environ.get(TOKEN, "")
    _check_health(endpoint, token)
    with api_errors(f"Kubeflow Pipelines at {endpoint}"), silenced():
        from kfp import Client
        from kfp.client import ServiceAccountTokenVolumeCredentials

        # path=None reads the file that TOKEN_PATH names, or else the volume that Kubeflow mounts.
        credentials = ServiceAccountTokenVolumeCredentials(path=None) if not token and _has_token_file() else None
        return Client(
            host=endpoint,
            existing_token=token or None,
            namespace=server.namespace or "kubeflow",
            credentials=credentials,
        )


def _has_token_file() -> bool:
    return _MOUNTED_TOKEN.is_file() or bool(os.environ.get(TOKEN_PATH))


def _check_health(endpoint: str, token: str) -> None:
    """kfp's own client would retry an unreachable server for half a minute and log tracebacks."""
    request = urllib.request.Request(f"{endpoint}/apis/v2beta1/healthz")  # noqa: S310  (scheme checked by `Server`)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS):  # noqa: S310
            return
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            if not token and _has_token_file():  # kfp's client sends that one; this check does not
                return
            problem = f"access denied ({error.code}); set {TOKEN} to a bearer token"
        else:
            problem = f"answers {error.code} {error.reason}"
    except urllib.error.URLError as error:
        refused = isinstance(error.reason, ConnectionRefusedError)
        problem = "connection refused" if refused else str(error.reason)
    except (OSError, ValueError) as error:
        problem = str(error) or type(error).__name__
    raise FaceForgeError(f"Kubeflow Pipelines at {endpoint}: {problem}; check {ENDPOINT} and the port-forward")
