"""What `faceforge doctor` says about Kubeflow Pipelines."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

from faceforge.doctor.finding import Finding
from faceforge.errors import FaceForgeError
from pipelines.cluster.server import ENDPOINT, Server, UnreachableError, connect, quiet, readable

if TYPE_CHECKING:
    from kfp import Client


_OLDEST = (2, 15)
_CHECK = "Kubeflow"


def check() -> Finding:
    """Whether the server at KF_PIPELINES_ENDPOINT answers, lets us in, and is new enough."""
    if not os.environ.get(ENDPOINT):
        return Finding(_CHECK, "skipped", f"{ENDPOINT} is not set; only needed for clusters")
    server = Server()
    try:
        client = connect(server)
        with readable(f"Kubeflow Pipelines at {server.address}"), quiet():
            health = _health(client)
            namespace = client.get_user_namespace() if health.get("multi_user") else None
            if not health.get("multi_user") or namespace:
                client.list_experiments(page_size=1, namespace=namespace)  # shows whether the token is good
    except UnreachableError as error:
        return Finding(_CHECK, "problem", str(error), "is it up, and is the port-forward still there?")
    except FaceForgeError as error:
        return Finding(_CHECK, "problem", str(error), f"see {ENDPOINT} and KF_PIPELINES_TOKEN")
    version = str(health.get("tag_name") or "unknown")
    kind = "for many users: give --namespace" if health.get("multi_user") else "for one user"
    told = f"{server.address}, version {version}, {kind}"
    release = re.match(r"v?(\d+)\.(\d+)", version)
    if release and (int(release[1]), int(release[2])) < _OLDEST:
        needed = ".".join(map(str, _OLDEST))
        return Finding(_CHECK, "warning", told, f"upgrade Kubeflow Pipelines to {needed} or later")
    return Finding(_CHECK, "ok", told)


def _health(client: Client) -> dict[str, Any]:
    """What the server says about itself; the generated client drops the version."""
    answer = client._healthz_api.healthz_service_get_healthz(_preload_content=False)
    found: dict[str, Any] = json.loads(answer.data)
    return found
