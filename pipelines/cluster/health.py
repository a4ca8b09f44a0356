"""The check of Kubeflow Pipelines that `faceforge doctor` runs."""

from __future__ import annotations

import os
import re

from faceforge.doctor.finding import Finding
from faceforge.errors import FaceForgeError
from pipelines.cluster.api import UnreachableError, api_errors, silenced
from pipelines.cluster.connection import namespace_of, open_client
from pipelines.cluster.controller import describe_retries
from pipelines.cluster.server import ENDPOINT, Server

_MIN_VERSION = (2, 16)  # the first that deletes a schedule without its unfinished runs
_CHECK = "Kubeflow"


def check() -> Finding:
    """Whether the server at KF_PIPELINES_ENDPOINT answers, grants access and is new enough."""
    if not os.environ.get(ENDPOINT):
        return Finding(_CHECK, "skipped", f"{ENDPOINT} is not set; only needed for clusters")
    server = Server()
    try:
        client, health = open_client(server)
        multi_user = bool(health.get("multi_user"))
        namespace = namespace_of(client) if multi_user else None
        if namespace or not multi_user:
            client._context_setting["namespace"] = namespace or ""
            with api_errors(f"Kubeflow Pipelines at {server.address}"), silenced():
                client.list_experiments(page_size=1, namespace=namespace)  # shows whether the token is valid
    except UnreachableError as error:
        return Finding(_CHECK, "problem", str(error), "is it running, and is the port-forward still open?")
    except FaceForgeError as error:
        return Finding(_CHECK, "problem", str(error), f"see {ENDPOINT} and KF_PIPELINES_TOKEN")
    version = str(health.get("tag_name") or "unknown")
    mode = "single-user"
    if multi_user:
        mode = f"multi-user, namespace {namespace}" if namespace else "multi-user: give --namespace"
    details = ", ".join(filter(None, (server.address, f"version {version}", mode, describe_retries())))
    release = re.match(r"v?(\d+)\.(\d+)", version)
    if release and (int(release[1]), int(release[2])) < _MIN_VERSION:
        needed = ".".join(map(str, _MIN_VERSION))
        return Finding(_CHECK, "warning", details, f"upgrade Kubeflow Pipelines to {needed} or later")
    return Finding(_CHECK, "ok", details)
