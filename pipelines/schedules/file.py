"""Reading the file of schedules, `k8s/schedules.yaml`, and validating its entries."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from faceforge.errors import FaceForgeError
from pipelines.cluster.upload import package_digest
from pipelines.definition.definitions import DEFINITIONS
from pipelines.definition.parameters import (
    RunParameters,
    SynthesisParameters,
    refuse_password,
    run_parameters,
    synthesis_parameters,
)
from pipelines.schedules.cron import Cron, read_cron, read_zone

SCHEDULES = Path("k8s/schedules.yaml")


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,60}[a-z0-9])?$")
    cron: str
    time_zone: str | None = None
    enabled: bool = True
    description: str = ""
    pipeline: Literal["training", "synthesis"] = "training"
    package: str = ""
    parameters: dict[str, str] = {}


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    scheduler_time_zone: str = "UTC"
    schedules: tuple[_Entry, ...] = ()


@dataclass(frozen=True)
class Schedule:
    """A pipeline run that Kubeflow is to start at certain times.

    Attributes:
        name: name of the recurring run; letters, digits and dashes.
        cron: when it runs, by the clocks of `time_zone`.
        time_zone: time zone of the installation's scheduler, an IANA name.
        enabled: False keeps it on the server, but it starts nothing.
        package: the compiled pipeline.
        parameters: validated parameters of every run.
        description: text for people.
    """

    name: str
    cron: Cron
    time_zone: str
    enabled: bool
    package: Path
    parameters: RunParameters | SynthesisParameters
    description: str = ""

    def digest(self, service_account: str) -> str:
        """Identifies what the recurring run must be: if it differs, the one on the server is out of date."""
        definition = {
            "cron": self.cron.six,
            "enabled": self.enabled,
            "package": package_digest(self.package),
            "parameters": self.parameters.model_dump(),
            "service_account": service_account,
            "description": self.description,
        }
        return hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()[:16]


def make_schedule(folder: Path | None = None, scheduler_zone: str = "UTC", **values: Any) -> Schedule:
    """A validated schedule.

    Args:
        folder: folder that a relative `package` starts from; None = the working folder.
        scheduler_zone: time zone of the installation's scheduler.
        values: name, cron and other fields of an entry of the file.

    Raises:
        FaceForgeError: a field is unknown or invalid.
    """
    entry = _validated(_Entry, values, f"schedule {values.get('name', '')!r}")
    try:
        read_zone(scheduler_zone)
        if entry.time_zone not in (None, scheduler_zone):
            read_zone(entry.time_zone)
            raise FaceForgeError(
                f"time_zone {entry.time_zone} is not the scheduler's {scheduler_zone}, and Kubeflow has one time zone "
                f"for all schedules: write cron in {scheduler_zone}, or set cronScheduleTimezone in the config map "
                f"pipeline-install-config and scheduler_time_zone here to {entry.time_zone}"
            )
        validate = run_parameters if entry.pipeline == "training" else synthesis_parameters
        package = DEFINITIONS[entry.pipeline].committed
        if entry.package:
            package = (folder or Path()) / Path(entry.package).expanduser()
        package_digest(package)
        parameters = validate(**entry.parameters)
        refuse_password(parameters)
        cron = read_cron(entry.cron)
    except FaceForgeError as error:
        raise FaceForgeError(f"schedule {entry.name!r}: {error}") from None
    return Schedule(
        entry.name,
        cron,
        scheduler_zone,
        entry.enabled,
        package,
        parameters,
        entry.description,
    )


def read_schedules(path: Path = SCHEDULES) -> list[Schedule]:
    """All schedules of a file.

    Raises:
        FaceForgeError: the file cannot be read, or an entry is wrong.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise FaceForgeError(f"schedules {path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    except yaml.YAMLError as error:
        at = getattr(error, "problem_mark", None)
        where = f" (line {at.line + 1})" if at else ""
        raise FaceForgeError(f"schedules {path} are not YAML{where}") from None
    if not isinstance(content, dict):
        raise FaceForgeError(f"schedules {path} must contain a list named schedules")
    file = _validated(_File, content, str(path))
    schedules = [make_schedule(path.parent, file.scheduler_time_zone, **entry.model_dump()) for entry in file.schedules]
    names = [schedule.name for schedule in schedules]
    if duplicates := sorted({name for name in names if names.count(name) > 1}):
        raise FaceForgeError(f"schedules {path} contain {duplicates[0]!r} twice")
    return schedules


def _validated(kind: Any, values: dict[str, Any], what: str) -> Any:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        hint = ""
        if first["type"] == "string_type":
            hint = "; put it in quotes"
        elif first["loc"][-1] == "name":
            hint = "; use lower-case letters, digits and dashes"
        raise FaceForgeError(f"{what}: {where}: {first['msg']}{hint}") from None
