"""Listing, retrying and terminating runs on a Kubeflow Pipelines server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pipelines.cluster.api import api_errors, equals, list_all, with_retries
from pipelines.cluster.connection import connect
from pipelines.cluster.server import Server

if TYPE_CHECKING:
    from kfp import Client


def list_runs(server: Server, limit: int = 20, title: str = "") -> list[Any]:
    """The latest runs, newest first.

    Args:
        server: where to look.
        limit: how many at most.
        title: only runs with this display name; '' = all.

    Raises:
        FaceForgeError: the server does not answer, or denies access.
    """
    client = connect(server)
    return list_all(
        "list of runs",
        client.list_runs,
        "runs",
        limit=limit,
        sort_by="created_at desc",
        namespace=server.namespace or None,
        filter=equals("display_name", title) if title else None,
    )


def table(runs: list[Any]) -> Iterator[str]:
    """One line per run: id, state, time of creation, name."""
    for run in runs:
        created = f"{run.created_at:%Y-%m-%d %H:%M}" if run.created_at else "-"
        trigger = " (by schedule)" if run.recurring_run_id else ""
        yield f"{run.run_id}  {str(run.state or 'PENDING').lower():<10} {created}  {run.display_name}{trigger}"


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
