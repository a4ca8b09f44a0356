"""Unfinished runs whose workflow Kubernetes has deleted: the server keeps their last state for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faceforge.errors import FaceForgeError
from pipelines.cluster.api import api_errors
from pipelines.cluster.kubernetes import context_name, run_ids_of_workflows, workflow_exists
from pipelines.cluster.workflow import read_workflow

if TYPE_CHECKING:
    from kfp import Client


class LostRuns:
    """Tells why an unfinished run no longer exists.

    The server alone knows of runs that were deleted with the schedule that owns them. Any other deleted workflow is
    noticed where the Kubernetes API can be reached and is that of the server's cluster: it has a workflow of a run that
    the server knows. If it does not answer, it is not asked again.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._ask_kubernetes = True
        self._same_cluster = False

    def reason(self, run: Any, workflow: dict[str, Any] | None = None) -> str:
        """Why an unfinished run no longer exists; '' if it does, or if that cannot be found out.

        Args:
            run: the run, as the API returns it.
            workflow: its Argo workflow as last reported to the server; None = ask the server.

        Raises:
            FaceForgeError: the server does not answer.
        """
        workflow = read_workflow(self._client, run.run_id) if workflow is None else workflow
        metadata = workflow.get("metadata") or {}
        # A schedule that was deleted alone (as `faceforge schedule` does) no longer owns the workflow.
        if run.recurring_run_id and metadata.get("ownerReferences") and self._schedule_is_deleted(run):
            return "its schedule was deleted, and Kubernetes deleted the run's pods with it"
        if not metadata.get("name") or not self._ask_kubernetes:
            return ""
        name, namespace = metadata["name"], metadata.get("namespace", "")
        try:
            if workflow_exists(namespace, name):
                self._same_cluster = True
                return ""
            if not self._is_same_cluster(namespace):
                return ""
        except FaceForgeError:
            self._ask_kubernetes = False
            return ""
        return f"Kubernetes ({context_name()}) has no workflow {name} in namespace {namespace}"

    def _is_same_cluster(self, namespace: str) -> bool:
        self._same_cluster = self._same_cluster or any(map(self._knows, run_ids_of_workflows(namespace)))
        return self._same_cluster

    def _knows(self, run_id: str) -> bool:
        try:
            with api_errors(f"run {run_id}"):
                return bool(self._client.get_run(run_id).run_id)
        except FaceForgeError:
            return False

    def _schedule_is_deleted(self, run: Any) -> bool:
        import kfp_server_api

        try:
            with api_errors(f"schedule of run {run.run_id}"):
                self._client.get_recurring_run(run.recurring_run_id)
                return False
        except FaceForgeError as error:
            return isinstance(error.__cause__, kfp_server_api.ApiException) and error.__cause__.status == 404
