"""Reading the logs of a run's pods from Kubernetes, as long as the pods exist."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from faceforge.errors import FaceForgeError, first_line

_RUN_LABEL = "pipeline/runid"
_NODE = "workflows.argoproj.io/node-name"  # faceforge-x7k2p.root.train.executor
_CONTAINER = "main"


def read_logs(run_id: str, namespace: str, step: str = "", tail: int = 0) -> Iterator[tuple[str, str]]:
    """Yields (step, line) for each log line of a run's steps, pods in order of creation.

    Args:
        run_id: from `submit`.
        namespace: namespace of the pods; '' = kubeflow.
        step: only this step; '' = all.
        tail: only so many last lines of each pod; 0 = all.

    Raises:
        FaceForgeError: Kubernetes does not answer, or no pod matches.
    """
    from kubernetes import client

    core = client.CoreV1Api(_connect())
    namespace = namespace or "kubeflow"
    try:
        pods = core.list_namespaced_pod(namespace, label_selector=f"{_RUN_LABEL}={run_id}", _request_timeout=20).items
        matching = [(name, pod) for pod in sorted(pods, key=_age) if (name := _step(pod)) and step in ("", name)]
        if not matching:
            what = f"step {step} of run {run_id}" if step else f"run {run_id}"
            raise FaceForgeError(
                f"no pods of {what} in namespace {namespace}; give --namespace, or see its page in the UI"
            )
        for name, pod in matching:
            options = {"tail_lines": tail} if tail else {}
            text = core.read_namespaced_pod_log(
                pod.metadata.name, namespace, container=_CONTAINER, _request_timeout=60, **options
            )
            for line in text.splitlines():
                yield name, line
    except client.ApiException as error:
        raise FaceForgeError(f"Kubernetes answers {error.status} {error.reason} for pods in {namespace}") from error
    except OSError as error:
        raise _unreachable(error) from error
    except Exception as error:
        if type(error).__module__.startswith("urllib3"):
            raise _unreachable(error) from error
        raise


def _connect() -> Any:
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


def _unreachable(error: Exception) -> FaceForgeError:
    reason = first_line(error, 200)
    return FaceForgeError(f"Kubernetes does not answer: {reason}")


def _step(pod: Any) -> str:
    """Name of the step that a pod runs; '' for drivers and other pods of Kubeflow."""
    parts = (pod.metadata.annotations or {}).get(_NODE, "").split(".")
    return parts[-2] if parts[-1] == "executor" and len(parts) > 1 else ""


def _age(pod: Any) -> tuple[str, str]:
    return str(pod.metadata.creation_timestamp), pod.metadata.name
