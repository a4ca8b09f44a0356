"""Recurring runs on a Kubeflow Pipelines server; those of schedules carry metadata in their description."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from faceforge.errors import FaceForgeError
from pipelines.cluster.api import equals, list_all, with_retries
from pipelines.cluster.connection import namespace_of

if TYPE_CHECKING:
    from kfp import Client

_METADATA_PREFIX = "faceforge: "  # of the description's last line, which holds the metadata as JSON
_MAX_DESCRIPTION = 255


@dataclass(frozen=True)
class RecurringRun:
    """A recurring run on the server that was created from a schedule.

    Attributes:
        name: name of the schedule.
        recurring_id: id on the server.
        active: whether it starts runs.
        cron: six fields, seconds first.
        parameters: parameters of its runs.
        experiment_id: experiment of its runs.
        pipeline_id, version_id: pipeline version that it runs.
        service_account: service account of the pods, as the server reports it (the default one by its name).
        description: text for people and metadata.
        metadata: what it was created from: digest, package, enabled, time zone and service account.
        order: sort key by age, the same for every client.
    """

    name: str
    recurring_id: str
    active: bool
    cron: str
    parameters: dict[str, Any]
    experiment_id: str
    pipeline_id: str
    version_id: str
    service_account: str
    description: str
    metadata: dict[str, Any]
    order: tuple[str, int, str]

    @property
    def paused(self) -> bool:
        """Inactive although its schedule is enabled: somebody has paused it."""
        return not self.active and bool(self.metadata.get("enabled", True))


def find_recurring_runs(client: Client, name: str = "") -> dict[str, list[RecurringRun]]:
    """Recurring runs by name of their schedule, oldest first.

    A schedule has one, or several after an interrupted change.

    Args:
        client: connected to the server.
        name: only those of this schedule; '' = all.

    Raises:
        FaceForgeError: a recurring run has the name of the schedule, but was created by other means.
    """
    # A multi-user server refuses a listing without namespace, and kfp's client does not fill it in.
    listed = list_all(
        "list of recurring runs",
        client.list_recurring_runs,
        "recurring_runs",
        namespace=namespace_of(client),
        filter=equals("display_name", name) if name else None,
    )
    by_name: dict[str, list[RecurringRun]] = {}
    for recurring in listed:
        metadata = _read_metadata(recurring.description)
        if metadata is not None:
            by_name.setdefault(recurring.display_name, []).append(_recurring_run(recurring, metadata))
        elif name:
            raise FaceForgeError(
                f"recurring run {name!r} was not created by this command; delete it or choose another name"
            )
    return {title: sorted(runs, key=lambda run: run.order) for title, runs in by_name.items()}


def remove(client: Client, runs: list[RecurringRun]) -> None:
    """Deletes recurring runs, but not the runs that they have started; ignores those that no longer exist."""
    for run in runs:
        with_retries(f"schedule {run.name!r}", lambda run=run: _delete(client, run.recurring_id))  # type: ignore[misc]


def describe(name: str, description: str, metadata: dict[str, Any]) -> str:
    """A description that carries metadata for `find_recurring_runs`.

    Raises:
        FaceForgeError: it is longer than the server's database column (backend/src/apiserver/model/job.go).
    """
    text = f"{description}\n{_METADATA_PREFIX}{json.dumps(metadata, separators=(',', ':'))}".lstrip()
    if len(text) > _MAX_DESCRIPTION:
        room = _MAX_DESCRIPTION - (len(text) - len(description))
        raise FaceForgeError(
            f"schedule {name!r}: description has {len(description)} characters; Kubeflow has room for {max(room, 0)}"
        )
    return text


def _read_metadata(description: str | None) -> dict[str, Any] | None:
    line = (description or "").rpartition("\n")[2]
    if not line.startswith(_METADATA_PREFIX):
        return None
    with contextlib.suppress(ValueError):
        metadata = json.loads(line.removeprefix(_METADATA_PREFIX))
        if isinstance(metadata, dict):
            return metadata
    return None


def _recurring_run(recurring: Any, metadata: dict[str, Any]) -> RecurringRun:
    reference = recurring.pipeline_version_reference
    identifier = str(recurring.recurring_run_id)
    return RecurringRun(
        name=recurring.display_name,
        recurring_id=identifier,
        active=str(recurring.status) == "ENABLED",
        cron=recurring.trigger.cron_schedule.cron,
        parameters=dict(recurring.runtime_config.parameters or {}),
        experiment_id=recurring.experiment_id,
        pipeline_id=reference.pipeline_id if reference else "",
        version_id=reference.pipeline_version_id if reference else "",
        service_account=recurring.service_account or "",
        description=recurring.description,
        metadata=metadata,
        order=(recurring.created_at.isoformat(), len(identifier), identifier),
    )


def _delete(client: Client, identifier: str) -> None:
    import kfp_server_api

    try:
        # ORPHAN (Kubeflow Pipelines 2.16 and newer): by default, Kubernetes would delete its unfinished runs with it.
        client._recurring_run_api.recurring_run_service_delete_recurring_run(identifier, propagation_policy="ORPHAN")
    except kfp_server_api.ApiException as error:
        if error.status != 404:  # another client has deleted it
            raise
