"""The parameters of a pipeline run, and everything that can be refused before it starts."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from faceforge.config import Config, as_json, resolve
from faceforge.errors import FaceForgeError


class RunParameters(BaseModel):
    """What a user chooses. All text, as the pipeline's own parameters are; '' means unset."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = "toyfaces"
    labels: str = ""
    preset: str = "toy"
    settings: str = ""
    model_name: str = "faceforge"
    experiment: str = "faceforge"
    tracking_uri: str = ""

    @field_validator("model_name", "experiment", "source")
    @classmethod
    def _named(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("must not be empty")
        return value

    @field_validator("model_name")
    @classmethod
    def _model_name(cls, value: str) -> str:
        if re.search(r"[/:.@]", value):
            raise ValueError("must be free of / : . @")
        return value


def run_parameters(**values: str) -> RunParameters:
    """`RunParameters` from loose values; an unknown name or a bad value raises `FaceForgeError` in one line."""
    try:
        parameters = RunParameters.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            known = ", ".join(RunParameters.model_fields)
            raise FaceForgeError(f"pipeline parameter {name!r} does not exist; parameters: {known}") from None
        raise FaceForgeError(f"{name} = {first['input']!r}: {first['msg'].removeprefix('Value error, ')}") from None
    resolve(parameters.preset, parameters.settings)
    return parameters


def check_locally(parameters: RunParameters) -> tuple[RunParameters, Config]:
    """Everything a run on this machine would stumble over: settings, source, labels, MLflow.

    Returns:
        the parameters with paths and the tracking address made absolute, and the configuration they stand for.

    Raises:
        FaceForgeError: the first problem found.
    """
    from faceforge.data.sources import is_path, open_source
    from faceforge.steps import choose_labels
    from faceforge.tracking.connection import connect

    config = resolve(parameters.preset, parameters.settings)
    changes = {}
    if is_path(parameters.source):
        changes["source"] = str(Path(parameters.source).expanduser().absolute())
    if choose_labels(config.ingest, parameters.labels)[1]:
        changes["labels"] = str(Path(parameters.labels).expanduser().absolute())
    checked = parameters.model_copy(update=changes)
    ingest, table = choose_labels(config.ingest, checked.labels)
    open_source(checked.source, ingest, table)
    return checked.model_copy(update={"tracking_uri": connect(checked.tracking_uri)}), config


def identity(parameters: RunParameters, config: Config) -> dict[str, str]:
    """What makes two runs the same: settings written differently but meaning the same are the same."""
    return {**parameters.model_dump(), "settings": as_json(config)}
