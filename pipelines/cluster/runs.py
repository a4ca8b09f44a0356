"""Runs on a Kubeflow Pipelines server: list them, try one again, end one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipelines.cluster.server import Server, all_pages, connect, readable
from pipelines.cluster.upload import equals
from pipelines.cluster.watch import terminate


def list_runs(server: Server, limit: int = 20, title: str = "") -> list[Any]:
    """The latest runs, newest first; of one title or of all.

    Raises:
        FaceForgeError: the server does not answer, or refuses.
    """
    client = connect(server)
    return all_pages(
        "list of runs",
        client.list_runs,
        "runs",
        limit=limit,
        sort_by="created_at desc",
        namespace=server.namespace or None,
        filter=equals("display_name", title) if title else None,
    )


def table(runs: list[Any]) -> Iterator[str]:
    """Runs as lines of a table."""
    for run in runs:
        created = f"{run.created_at:%Y-%m-%d %H:%M}" if run.created_at else "-"
        by = " (by schedule)" if run.recurring_run_id else ""
        yield f"{run.run_id}  {str(run.state or 'PENDING').lower():<10} {created}  {run.display_name}{by}"


def retry(run_id: str, server: Server) -> None:
    """Run the failed steps of a run again; what has succeeded is kept.

    Raises:
        FaceForgeError: there is no such run, or it has not failed.
    """
    import kfp_server_api

    client = connect(server)
    with readable(f"run {run_id}"):
        kfp_server_api.RunServiceApi(client.runs.api_client).run_service_retry_run(run_id)


def end(run_id: str, server: Server) -> None:
    """End a run.

    Raises:
        FaceForgeError: there is no such run, or it has ended.
    """
    terminate(connect(server), run_id)
