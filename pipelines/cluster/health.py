"""The check of Kubeflow Pipelines that `faceforge doctor` runs."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

from faceforge.doctor.finding import Finding
from faceforge.errors import FaceForgeError
from pipelines.cluster.api import UnreachableError, api_errors, silenced
from pipelines.cluster.connection import connect
from pipelines.cluster.server import ENDPOINT, Server

if TYPE_CHECKING:
    from kfp import Client


_MIN_VERSION = (2, 15)
_CHECK = "Kubeflow"


def check() -> Finding:
    """Whether the server at KF_PIPELINES_ENDPOINT answers, grants access and is new enough."""
    if not os.environ.get(ENDPOINT):
        return Finding(_CHECK, "skipped", f"{ENDPOINT} is not set; only needed for clusters")
    server = Server()
    try:
        client = connect(server)
        with api_errors(f"Kubeflow Pipelines at {server.address}"), silenced():
            health = _health(client)
            namespace = client.get_user_namespace() if health.get("multi_user") else None
            if not health.get("multi_user") or namespace:
                client.list_experiments(page_size=1, namespace=namespace)  # shows whether the token is good
    except UnreachableError as error:
        return Finding(_CHECK, "problem", str(error), "is it running, and is the port-forward still open?")
    except FaceForgeError as error:
        return Finding(_CHECK, "problem", str(error), f"see {ENDPOINT} and KF_PIPELINES_TOKEN")
    version = str(health.get("tag_name") or "unknown")
    mode = "multi-user: give --namespace" if health.get("multi_user") else "single-user"
    details = f"{server.address}, version {version}, {mode}"
    release = re.match(r"v?(\d+)\.(\d+)", version)
    if release and (int(release[1]), int(release[2])) < _MIN_VERSION:
        needed = ".".join(map(str, _MIN_VERSION))
        return Finding(_CHECK, "warning", details, f"upgrade Kubeflow Pipelines to {needed} or later")
    return Finding(_CHECK, "ok", details)


def _health(client: Client) -> dict[str, Any]:
    """The server's health response as JSON: the generated client's model drops the version."""
    response = client._healthz_api.healthz_service_get_healthz(_preload_content=False)
    health: dict[str, Any] = json.loads(response.data)
    return health
