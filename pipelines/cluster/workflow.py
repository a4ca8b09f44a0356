"""The Argo workflow behind a run, as the Kubeflow Pipelines server keeps it: pods of steps, their state and logs.

The server stores the workflow's last state with the run, also after workflow and pods are deleted, and the logs of pods
that have ended. Only logs of running pods need access to Kubernetes: a single-user server looks for those pods in the
namespace '' (GetNamespaceFromExperimentId of apiserver/resource/resource_manager.go).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from faceforge.errors import FaceForgeError, first_line
from pipelines.cluster.api import UnreachableError, with_retries
from pipelines.cluster.kubernetes import read_pod_log

if TYPE_CHECKING:
    from kfp import Client

_TIMEOUT_SECONDS = 60
_RETRY_INDEX = re.compile(r"\(\d+\)")  # Argo appends it at every level that has a retry strategy
_LOOP_INDEX = re.compile(r"\((\d+):")  # of a member of a parallel loop
_STARTED = ("Running", "Succeeded", "Failed", "Error")


@dataclass(frozen=True)
class StepPod:
    """A pod that runs, ran or is to run a step.

    Attributes:
        step: name of the step; `prepare/3` for the fourth pod of a parallel loop.
        attempt: 1 for the first pod of the step, 2 for its first retry, and so on.
        name: name of the pod.
        namespace: namespace of the pod.
        phase: of its node in the workflow: Pending, Running, Succeeded, Failed or Error.
        message: reason of Argo or Kubernetes for the phase; '' = none.
        started_at: time of its creation, ISO 8601.
        memory_limit: memory limit of its container; '' = none.
        archived_log: key of its log in the workflow controller's artifact repository; '' = none.
    """

    step: str
    attempt: int
    name: str
    namespace: str
    phase: str
    message: str
    started_at: str
    memory_limit: str
    archived_log: str

    @property
    def label(self) -> str:
        """Step, and the number of the attempt after the first."""
        return self.step if self.attempt == 1 else f"{self.step}#{self.attempt}"

    @property
    def started(self) -> bool:
        """Whether its container has started."""
        return self.phase in _STARTED

    @property
    def failed(self) -> bool:
        """Whether it ended without success."""
        return self.phase in ("Failed", "Error")

    @property
    def out_of_memory(self) -> bool:
        """Whether Kubernetes ended it because its memory limit was exceeded."""
        return "OOMKilled" in self.message


def step_pods(client: Client, run_id: str) -> list[StepPod]:
    """Pods of the steps of a run, in the order of their creation; drivers and other pods of Kubeflow are left out.

    Raises:
        FaceForgeError: the run does not exist, or the server does not answer.
    """
    return pods_of_workflow(read_workflow(client, run_id))


def read_workflow(client: Client, run_id: str) -> dict[str, Any]:
    """The Argo `Workflow` object of a run as last reported to the server; empty before the first report.

    Raises:
        FaceForgeError: the run does not exist, or the server does not answer.
    """
    response = with_retries(
        f"run {run_id}", lambda: _get(client, f"/apis/v1beta1/runs/{run_id}", response_type="object")
    )
    manifest = ((response or {}).get("pipeline_runtime") or {}).get("workflow_manifest") or "{}"
    workflow: dict[str, Any] = json.loads(manifest)
    return workflow


def pods_of_workflow(workflow: dict[str, Any]) -> list[StepPod]:
    """As `step_pods`, of an Argo `Workflow` object."""
    nodes = [node for node in (workflow.get("status", {}).get("nodes") or {}).values() if node.get("type") == "Pod"]
    pods = []
    attempts: dict[str, int] = {}
    for node in sorted(nodes, key=lambda node: (str(node.get("startedAt")), str(node.get("name")))):
        logical_name = _RETRY_INDEX.sub("", node["name"])
        if not (step := _step_name(logical_name)):
            continue
        attempts[logical_name] = attempts.get(logical_name, 0) + 1
        pods.append(
            StepPod(
                step=step,
                attempt=attempts[logical_name],
                name=_pod_name(workflow, node),
                namespace=workflow["metadata"].get("namespace", ""),
                phase=node.get("phase", ""),
                message=first_line(node.get("message", "")),
                started_at=str(node.get("startedAt") or ""),
                memory_limit=_memory_limit(node),
                archived_log=_archived_log(node),
            )
        )
    return pods


def read_log(client: Client, run_id: str, pod: StepPod, tail: int = 0) -> list[str]:
    """Lines of the log of a pod's main container, from the server or else from Kubernetes.

    Args:
        client: connected to the server.
        run_id: the run that the pod belongs to.
        pod: a pod of the run.
        tail: only the last `tail` lines; 0 = all.

    Raises:
        FaceForgeError: neither has the log, with both reasons.
    """
    try:
        text = _server_log(client, run_id, pod)
    except UnreachableError:
        raise
    except FaceForgeError as error:
        try:
            text = read_pod_log(pod.namespace, pod.name, tail)
        except FaceForgeError as kubernetes_error:
            archived = f"; archived as {pod.archived_log} in Kubeflow's bucket" if pod.archived_log else ""
            raise FaceForgeError(f"no log of pod {pod.name}: {error}; {kubernetes_error}{archived}") from None
    lines = text.splitlines()
    return lines[-tail:] if tail else lines


def _server_log(client: Client, run_id: str, pod: StepPod) -> str:
    text = with_retries(
        f"log of {pod.label}",
        lambda: _get(client, f"/apis/v1alpha1/runs/{run_id}/nodes/{pod.name}/log", _preload_content=False).data,
    ).decode("utf-8", "replace")
    # On failure the server appends its error as JSON to what it has sent so far, with status 200 (run_log_server.go).
    log, problem = _split_error(text)
    if problem and not log:
        raise FaceForgeError(problem)
    return log


def error_line(lines: list[str]) -> str:
    """The line of a step's log that explains its failure: the last `error: ...`, or the last line of a traceback."""
    errors = [line.partition("error: ")[2] for line in lines if re.match(r"\s*error: ", line)]
    if errors:
        return errors[-1].strip()
    for number in range(len(lines) - 1, -1, -1):
        if lines[number].lstrip().startswith("Traceback (most recent call last)"):
            rest = (line.strip() for line in lines[number + 1 :] if line and not line.startswith(" "))
            return next(rest, "")
    return ""


def _get(client: Client, path: str, **options: Any) -> Any:
    api = client.runs.api_client
    return api.call_api(
        path,
        "GET",
        header_params={"Accept": "application/json"},
        auth_settings=["Bearer"],
        _return_http_data_only=True,
        _request_timeout=_TIMEOUT_SECONDS,
        **options,
    )


def _step_name(logical_name: str) -> str:
    """`train` of `faceforge-x7k2p.root.steps.train.executor`; '' for drivers and other pods."""
    parts = logical_name.split(".")
    if parts[-1] != "executor" or len(parts) < 2:
        return ""
    loop = _LOOP_INDEX.search(logical_name)
    return f"{parts[-2]}/{loop[1]}" if loop else parts[-2]


def _pod_name(workflow: dict[str, Any], node: dict[str, Any]) -> str:
    """Argo names a pod WORKFLOW-TEMPLATE-HASH and its node WORKFLOW-HASH (workflow/util/pod_name.go)."""
    name = workflow["metadata"]["name"]
    template = node.get("templateName") or (node.get("templateRef") or {}).get("template", "")
    if not template or workflow["metadata"].get("annotations", {}).get("workflows.argoproj.io/pod-name-format") == "v1":
        return str(node["id"])
    prefix = f"{name}-{template}"[:242]  # the longest that leaves room for the hash
    return f"{prefix}-{node['id'].rpartition('-')[2]}"


def _memory_limit(node: dict[str, Any]) -> str:
    for parameter in (node.get("inputs") or {}).get("parameters") or ():
        if parameter.get("name") == "pod-spec-patch":
            found = re.search(r'"limits":\{[^}]*"memory":"([^"]+)"', re.sub(r"\s", "", parameter.get("value") or ""))
            return found[1] if found else ""
    return ""


def _archived_log(node: dict[str, Any]) -> str:
    for artifact in (node.get("outputs") or {}).get("artifacts") or ():
        if artifact.get("name") == "main-logs":
            return str((artifact.get("s3") or artifact.get("gcs") or {}).get("key", ""))
    return ""


def _split_error(text: str) -> tuple[str, str]:
    """A log, and the message of the server's error object at its end ('' = none)."""
    found = re.search(r'\{"error_(?:message|details)":.*\}\s*$', text)
    if not found:
        return text, ""
    try:
        content = json.loads(found[0])
    except ValueError:
        return text, ""
    return text[: found.start()], first_line(str(content.get("error_message") or content.get("error_details")), 200)
