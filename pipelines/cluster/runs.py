"""Listing, retrying and terminating runs on a Kubeflow Pipelines server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pipelines.cluster.api import api_errors, equals, list_all, with_retries
from pipelines.cluster.connection import connect, namespace_of
from pipelines.cluster.lost import LostRuns
from pipelines.cluster.server import Server

if TYPE_CHECKING:
    from kfp import Client

FINISHED_STATES = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")


def list_runs(server: Server, limit: int = 20, title: str = "") -> list[Any]:
    """The latest runs, newest first.

    Args:
        server: where to look.
        limit: how many at most.
        title: only runs with this display name; '' = all.

    Raises:
        FaceForgeError: the server does not answer, or denies access.
    """
    return find_runs(connect(server), limit, title)


def find_runs(client: Client, limit: int, title: str = "") -> list[Any]:
    """As `list_runs`, with a connected client."""
    return list_all(
        "list of runs",
        client.list_runs,
        "runs",
        limit=limit,
        sort_by="created_at desc",
        namespace=namespace_of(client),
        filter=equals("display_name", title) if title else None,
    )


def table(runs: list[Any], client: Client | None = None) -> Iterator[str]:
    """One line per run: id, state, time of creation, name.

    With a client, an unfinished run that Kubernetes has deleted is shown as `gone`.
    """
    lost = LostRuns(client) if client else None
    for run in runs:
        state = str(run.state or "PENDING").lower()
        if lost and run.state not in FINISHED_STATES and lost.reason(run):
            state = "gone"
        created = f"{run.created_at:%Y-%m-%d %H:%M}" if run.created_at else "-"
        trigger = " (by schedule)" if run.recurring_run_id else ""
        yield f"{run.run_id}  {state:<10} {created}  {run.display_name}{trigger}"


def retry(run_id: str, server: Server) -> None:
    """Run the failed steps of a run again; steps that succeeded are not repeated.

    Raises:
        FaceForgeError: the run does not exist, or has not failed.
    """
    import kfp_server_api

    client = connect(server)
    with api_errors(f"run {run_id}"):
        kfp_server_api.RunServiceApi(client.runs.api_client).run_service_retry_run(run_id)


def terminate(run_id: str, server: Server) -> None:
    """Terminate a run.

    Raises:
        FaceForgeError: the run does not exist, or has ended.
    """
    request_termination(connect(server), run_id)


def request_termination(client: Client, run_id: str) -> None:
    """Ask the server to terminate a run; does not wait for its end."""
    with_retries(f"run {run_id}", lambda: client.terminate_run(run_id))
