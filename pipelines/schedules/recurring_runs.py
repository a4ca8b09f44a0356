"""Schedules as they stand on a Kubeflow Pipelines server: recurring runs that say what they were made of."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from faceforge.errors import FaceForgeError
from pipelines.cluster.server import Server, all_pages, patiently
from pipelines.cluster.upload import equals

if TYPE_CHECKING:
    from kfp import Client

_MARK = "faceforge: "  # last line of the description: what the copy was made of


@dataclass(frozen=True)
class Copy:
    """A recurring run on the server that a schedule has made.

    Attributes:
        name: of the schedule.
        recurring_id: of the recurring run.
        active: whether it fires.
        cron: six fields, seconds first, in the scheduler's zone.
        parameters: of every run.
        experiment_id: where its runs go.
        pipeline_id, version_id: what it runs.
        service_account: of its pods; '' = the default.
        mark: what it was made of: digest, package, enabled, cron and zones.
        order: later copies have greater ones, the same for whoever asks.
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
    mark: dict[str, Any]
    order: tuple[str, int, str]

    @property
    def paused(self) -> bool:
        """Silent although its schedule wants it to run: somebody has paused it."""
        return not self.active and bool(self.mark.get("enabled", True))


def find_copies(client: Client, server: Server, name: str = "") -> dict[str, list[Copy]]:
    """What schedules have put on the server: name -> copies, oldest first; of one name or of all.

    Raises:
        FaceForgeError: a recurring run of the wanted name is not ours.
    """
    # With neither namespace nor experiment a server of several users refuses, and the client does not fill it in.
    found = all_pages(
        "list of recurring runs",
        client.list_recurring_runs,
        "recurring_runs",
        namespace=server.namespace or None,
        filter=equals("display_name", name) if name else None,
    )
    copies: dict[str, list[Copy]] = {}
    for recurring in found:
        mark = _read_mark(recurring.description)
        if mark is not None:
            copies.setdefault(recurring.display_name, []).append(_copy(recurring, mark))
        elif name:
            raise FaceForgeError(
                f"a recurring run {name!r} was not made by this command; delete it or choose another name"
            )
    return {title: sorted(several, key=lambda one: one.order) for title, several in copies.items()}


def remove(client: Client, copies: list[Copy]) -> None:
    """Deletes copies; those that are gone already are as good."""
    for copy in copies:
        patiently(f"schedule {copy.name!r}", lambda copy=copy: _delete(client, copy.recurring_id))  # type: ignore[misc]


def marked(description: str, mark: dict[str, Any]) -> str:
    """A description that `find_copies` recognises."""
    return f"{description}\n{_MARK}{json.dumps(mark)}".lstrip()


def _read_mark(description: str | None) -> dict[str, Any] | None:
    line = (description or "").rpartition("\n")[2]
    if not line.startswith(_MARK):
        return None
    with contextlib.suppress(ValueError):
        mark = json.loads(line.removeprefix(_MARK))
        if isinstance(mark, dict):
            return mark
    return None


def _copy(recurring: Any, mark: dict[str, Any]) -> Copy:
    reference = recurring.pipeline_version_reference
    identifier = str(recurring.recurring_run_id)
    return Copy(
        name=recurring.display_name,
        recurring_id=identifier,
        active=str(recurring.status) == "ENABLED",
        cron=recurring.trigger.cron_schedule.cron,
        parameters=dict(recurring.runtime_config.parameters or {}),
        experiment_id=recurring.experiment_id,
        pipeline_id=reference.pipeline_id if reference else "",
        version_id=reference.pipeline_version_id if reference else "",
        service_account=recurring.service_account or "",
        mark=mark,
        order=(recurring.created_at.isoformat(), len(identifier), identifier),
    )


def _delete(client: Client, identifier: str) -> None:
    import kfp_server_api

    try:
        client.delete_recurring_run(identifier)
    except kfp_server_api.ApiException as error:
        if error.status != 404:  # gone already: another has deleted it
            raise
