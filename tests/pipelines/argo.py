"""Argo workflows as the Kubeflow Pipelines server keeps them, for tests (argoproj/argo-workflows 4.0.5)."""

from __future__ import annotations

import json
from typing import Any

Json = dict[str, Any]


def node(name: str, phase: str, minute: int, message: str = "", memory: str = "") -> Json:
    """A pod of a workflow, as Argo keeps it: `(0)` follows every level of the name that has a retry strategy.

    KFP's stock config gives every template one (`workflowDefaults` of its workflow-controller-configmap).
    """
    patch = json.dumps({"containers": [{"name": "main", "resources": {"limits": {"cpu": "1", "memory": memory}}}]})
    return {
        "id": f"faceforge-x-{minute}",
        "name": name,
        "type": "Pod",
        "templateName": "system-container-impl",
        "phase": phase,
        "startedAt": f"2026-01-01T00:{minute:02}:00Z",
        "message": message,
        "inputs": {"parameters": [{"name": "pod-spec-patch", "value": patch}]} if memory else {},
        "outputs": {"artifacts": [{"name": "main-logs", "s3": {"key": f"private-artifacts/{minute}/main.log"}}]},
    }


def step_node(step: str, phase: str, minute: int, message: str = "", attempt: int = 0, memory: str = "") -> Json:
    """The executor pod of a step; its name is `faceforge-x-system-container-impl-MINUTE`."""
    name = f"faceforge-x(0).root(0).steps(0).{step}(0).executor({attempt})"
    return node(name, phase, minute, message, memory)


def pod_name(one: Json) -> str:
    """Name of the pod of a node."""
    return f"faceforge-x-{one['templateName']}-{one['id'].rpartition('-')[2]}"


def workflow(*nodes: Json) -> Json:
    """An Argo workflow with these pods."""
    return {
        "metadata": {"name": "faceforge-x", "namespace": "kubeflow"},
        "status": {"nodes": {one["id"]: one for one in nodes}},
    }
