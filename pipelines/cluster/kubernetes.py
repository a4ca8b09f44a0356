"""Access to the Kubernetes API, where this machine or pod has it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from faceforge.errors import FaceForgeError, first_line

_TIMEOUT_SECONDS = (5, 20)  # to connect, to read


def connect_kubernetes() -> Any:
    """A client of the cluster of KUBECONFIG, `~/.kube/config`, or of this pod.

    Raises:
        FaceForgeError: no cluster is configured.
    """
    from kubernetes import client, config

    try:
        try:
            config.load_kube_config()
        except config.ConfigException:
            config.load_incluster_config()
    except config.ConfigException:
        raise FaceForgeError("no Kubernetes cluster is configured; set KUBECONFIG or write ~/.kube/config") from None
    settings = client.Configuration.get_default_copy()
    settings.retries = False
    return client.ApiClient(settings)


def read_pod_log(namespace: str, pod: str, tail: int = 0) -> str:
    """Log of a pod's main container.

    Args:
        namespace: namespace of the pod.
        pod: name of the pod.
        tail: only the last `tail` lines; 0 = all.

    Raises:
        FaceForgeError: no cluster is configured, it does not answer, or it refuses, with its reason.
    """
    from kubernetes import client

    options = {"tail_lines": tail} if tail else {}
    with _errors():
        text: str = client.CoreV1Api(connect_kubernetes()).read_namespaced_pod_log(
            pod, namespace, container="main", _request_timeout=_TIMEOUT_SECONDS, **options
        )
        return text


def read_config_map(namespace: str, name: str) -> dict[str, str]:
    """Data of a config map.

    Raises:
        FaceForgeError: no cluster is configured, it does not answer, or it refuses, with its reason.
    """
    from kubernetes import client

    with _errors():
        api = client.CoreV1Api(connect_kubernetes())
        return dict(api.read_namespaced_config_map(name, namespace, _request_timeout=_TIMEOUT_SECONDS).data or {})


def workflow_exists(namespace: str, name: str) -> bool:
    """Whether there is an Argo workflow.

    Raises:
        FaceForgeError: no cluster is configured, it does not answer, it refuses, or it knows no workflows.
    """
    from kubernetes import client

    with _errors():
        api = client.CustomObjectsApi(connect_kubernetes())
        try:
            api.get_namespaced_custom_object(
                "argoproj.io", "v1alpha1", namespace, "workflows", name, _request_timeout=_TIMEOUT_SECONDS
            )
        except client.ApiException as error:
            if error.status == 404 and name in str(error.body):  # without Argo, the answer does not name the workflow
                return False
            raise
        return True


def run_ids_of_workflows(namespace: str, limit: int = 20) -> list[str]:
    """Ids of the Kubeflow runs of the Argo workflows in a namespace, at most `limit`.

    Raises:
        FaceForgeError: no cluster is configured, it does not answer, it refuses, or it knows no workflows.
    """
    from kubernetes import client

    label = "pipeline/runid"  # set by Kubeflow
    with _errors():
        found = client.CustomObjectsApi(connect_kubernetes()).list_namespaced_custom_object(
            "argoproj.io",
            "v1alpha1",
            namespace,
            "workflows",
            label_selector=label,
            limit=limit,
            _request_timeout=_TIMEOUT_SECONDS,
        )
    return [workflow["metadata"]["labels"][label] for workflow in found["items"]]


def context_name() -> str:
    """Which cluster `connect_kubernetes` uses, for messages."""
    from kubernetes import config

    try:
        return f"context {config.list_kube_config_contexts()[1]['name']}"
    except config.ConfigException:
        return "of this pod"


@contextmanager
def _errors() -> Iterator[None]:
    import urllib3
    from kubernetes import client

    try:
        yield
    except client.ApiException as error:
        raise FaceForgeError(f"Kubernetes: {_message(error)}") from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise FaceForgeError(f"Kubernetes does not answer: {first_line(error, 200)}") from error


def _message(error: Any) -> str:
    try:
        return first_line(str(json.loads(error.body)["message"]), 200)
    except (TypeError, ValueError, KeyError):
        return f"{error.status} {error.reason}"
