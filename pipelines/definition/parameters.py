"""Parameters of pipeline runs, and the checks that run before the first step."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from faceforge.config import Config, as_json, preset_names, resolve
from faceforge.defaults import CHAMPION_URI, EXPERIMENT, PRESET, SOURCE, model_name_of
from faceforge.errors import FaceForgeError, explain
from faceforge.tracking.preflight import check_model_name
from faceforge.tracking.uri import has_password

if TYPE_CHECKING:
    from faceforge.synthesis.options import SynthesisConfig


def _not_empty(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    return value


def _without_credentials(source: str) -> str:
    """The same source; a FaceForgeError, which unlike a ValueError does not repeat it, if it holds a password."""
    from faceforge.data.sources.remote import refuse_credentials

    refuse_credentials(source, stored=True)
    return source


def _registrable(name: str) -> str:
    try:
        check_model_name(name)
    except FaceForgeError as error:
        raise ValueError(str(error)) from None
    return name


Text = Annotated[str, AfterValidator(_not_empty)]
Source = Annotated[Text, AfterValidator(_without_credentials)]
ModelName = Annotated[Text, AfterValidator(_registrable)]


class _Parameters(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    pipeline: ClassVar[str]


class RunParameters(_Parameters):
    """Parameters of a training run. All are text, as in the compiled pipeline; '' means unset.

    The command line takes its options, defaults and help texts from these fields.
    """

    pipeline: ClassVar[str] = "training"

    source: Source = Field(default=SOURCE, description="Images, as for faceforge ingest.")
    labels: str = Field(default="", description="Label columns (a,b) or a CSV or Parquet file with a file-name column.")
    preset: str = Field(default=PRESET, description=f"One of: {', '.join(preset_names())}.")
    settings: str = Field(default="", description="Override a setting, SECTION.FIELD=VALUE; repeatable.")
    model_name: ModelName = Field(
        default="", description="Name in the model registry; default: named after the source."
    )
    experiment: Text = Field(default=EXPERIMENT, description="MLflow experiment.")
    tracking_uri: str = Field(default="", description="MLflow; default: MLFLOW_TRACKING_URI, else sqlite:///mlflow.db.")

    @model_validator(mode="before")
    @classmethod
    def _named_after_source(cls, values: dict[str, str]) -> dict[str, str]:
        return {**values, "model_name": values.get("model_name") or model_name_of(values.get("source") or SOURCE)}

    @property
    def title(self) -> str:
        """The name of the model, used in the run's display name."""
        return self.model_name


class SynthesisParameters(_Parameters):
    """Parameters of a run that makes a synthetic image set (`generate`, `check`, `publish`)."""

    pipeline: ClassVar[str] = "synthesis"

    model: Text = Field(default=CHAMPION_URI, description="As for faceforge generate.")
    data: str = Field(default="", description="Image set of real images, for balancing and for the check.")
    settings: Text = Field(
        default="per_class=500", description="Options of the set, NAME=VALUE: count, per_class, balance, ..."
    )
    destination: str = Field(default="", description="Folder or s3://..., gs://...; default: artifacts of the run.")
    experiment: Text = Field(default=EXPERIMENT, description="MLflow experiment.")
    tracking_uri: str = Field(default="", description="MLflow; default: MLFLOW_TRACKING_URI, else sqlite:///mlflow.db.")

    @property
    def title(self) -> str:
        """The name of the model, used in the run's display name."""
        return self.model


class TuningParameters(_Parameters):
    """Parameters of a search for better settings of a preset."""

    pipeline: ClassVar[str] = "tuning"

    source: Source = Field(default=SOURCE, description="Images, as for faceforge ingest.")
    labels: str = Field(default="", description="Label columns (a,b) or a CSV or Parquet file with a file-name column.")
    preset: str = Field(default=PRESET, description=f"Where the search starts; one of: {', '.join(preset_names())}.")
    settings: str = Field(default="", description="Setting that is the same in all trials; repeatable.")
    budget: str = Field(default="30min", description="Training in all, by all workers: 10min, 2h or 200kimg.")
    space: str = Field(default="", description="TOML file with the settings to vary; default: those of the preset.")
    seeds: str = Field(default="3", description="Seeds to train the best settings with.")
    experiment: Text = Field(default=EXPERIMENT, description="MLflow experiment.")
    tracking_uri: str = Field(default="", description="MLflow; default: MLFLOW_TRACKING_URI, else sqlite:///mlflow.db.")

    @property
    def title(self) -> str:
        """The preset, used in the run's display name."""
        return f"tuning {self.preset}"


PipelineParameters = RunParameters | SynthesisParameters | TuningParameters
AnyParameters = TypeVar("AnyParameters", bound=_Parameters)


def run_parameters(**values: str) -> RunParameters:
    """Validated `RunParameters`.

    Raises:
        FaceForgeError: a parameter is unknown or its value is invalid.
    """
    parameters = _validated(RunParameters, values)
    resolve(parameters.preset, parameters.settings)
    return parameters


def synthesis_parameters(**values: str) -> SynthesisParameters:
    """Validated `SynthesisParameters`.

    Raises:
        FaceForgeError: a parameter is unknown or its value is invalid.
    """
    from faceforge.synthesis.options import synthesis_config

    parameters = _validated(SynthesisParameters, values)
    synthesis_config(parameters.settings)
    return parameters


def tuning_parameters(**values: str) -> TuningParameters:
    """Validated `TuningParameters`; `space` may be the path of a file, whose text becomes the parameter.

    Raises:
        FaceForgeError: a parameter is unknown or its value is invalid.
    """
    from faceforge.tuning.plan import parse_plan
    from faceforge.tuning.space import read_space

    space = values.get("space", "")
    if space and "=" not in space:
        values = {**values, "space": read_space(Path(space).expanduser())}
    parameters = _validated(TuningParameters, values)
    parse_plan(parameters.preset, parameters.settings, parameters.budget, parameters.space, parameters.seeds)
    return parameters


def _validated(kind: type[AnyParameters], values: dict[str, str]) -> AnyParameters:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            known = ", ".join(kind.model_fields)
            raise FaceForgeError(f"pipeline parameter {name!r} does not exist; parameters: {known}") from None
        raise FaceForgeError(explain(error)) from None


def check_locally(parameters: PipelineParameters) -> tuple[PipelineParameters, BaseModel]:
    """Checks a run on this machine: settings, data and MLflow.

    Returns:
        the parameters with absolute paths and tracking URI, and the resolved configuration.

    Raises:
        FaceForgeError: the first problem found.
    """
    if isinstance(parameters, RunParameters):
        return check_training_locally(parameters)
    if isinstance(parameters, SynthesisParameters):
        return check_synthesis_locally(parameters)
    return check_tuning_locally(parameters)


def check_training_locally(parameters: RunParameters) -> tuple[RunParameters, Config]:
    """Checks settings, source, labels and MLflow of a training run on this machine.

    Returns:
        the parameters with absolute paths and tracking URI, and the resolved configuration.

    Raises:
        FaceForgeError: the first problem found.
    """
    from faceforge.models.size import generator_bytes
    from faceforge.tracking.preflight import check_tracking
    from faceforge.tracking.start import check_start

    config = resolve(parameters.preset, parameters.settings)
    checked = parameters.model_copy(update=_checked_source(parameters, config))
    _check_disk()
    uri = check_tracking(checked.tracking_uri, checked.experiment, checked.model_name, generator_bytes(config))
    changes = {"tracking_uri": _kept_secret(uri)}
    start = check_start(config.train.init_from)
    if start != config.train.init_from:
        changes["settings"] = f'{checked.settings}, train.init_from="{start}"'  # the last value of a setting wins
        config = resolve(checked.preset, changes["settings"])
    return checked.model_copy(update=changes), config


def check_synthesis_locally(parameters: SynthesisParameters) -> tuple[SynthesisParameters, SynthesisConfig]:
    """Checks settings, data, MLflow and model of a synthesis run on this machine.

    Returns:
        the parameters with absolute paths and tracking URI, and the resolved options.

    Raises:
        FaceForgeError: the first problem found.
    """
    from faceforge.data.imageset.reader import ImageSet
    from faceforge.models.bundle import BundleInfo
    from faceforge.synthesis.options import synthesis_config
    from faceforge.tracking.model_source import explained, model_address
    from faceforge.tracking.preflight import check_tracking
    from faceforge.tracking.versions import full_name

    config = synthesis_config(parameters.settings)
    changes = {}
    if parameters.data:
        changes["data"] = str(ImageSet.open(Path(parameters.data).expanduser().absolute()).root)
    elif config.balance or "copies" in config.reject:
        raise FaceForgeError("balance and reject=copies need the real images: give their image set as data")
    if parameters.destination and "://" not in parameters.destination:
        changes["destination"] = str(Path(parameters.destination).expanduser().absolute())
    changes["tracking_uri"] = _kept_secret(check_tracking(parameters.tracking_uri, parameters.experiment))
    changes["model"] = model_address(parameters.model)
    if changes["model"].startswith("models:"):
        with explained(parameters.model):
            full_name(changes["model"])
    else:
        changes["model"] = str(Path(parameters.model).expanduser().absolute())
        if not parameters.model.endswith(".onnx"):
            BundleInfo.read(Path(changes["model"]))
    return parameters.model_copy(update=changes), config


def check_tuning_locally(parameters: TuningParameters) -> tuple[TuningParameters, Config]:
    """Checks settings, source, labels and MLflow of a search on this machine.

    Returns:
        the parameters with absolute paths and tracking URI, and the configuration of the preset.

    Raises:
        FaceForgeError: the first problem found.
    """
    from faceforge.tracking.preflight import check_tracking

    config = resolve(parameters.preset, parameters.settings)
    changes = _checked_source(parameters, config)
    _check_disk()
    changes["tracking_uri"] = _kept_secret(check_tracking(parameters.tracking_uri, parameters.experiment))
    return parameters.model_copy(update=changes), config


def _checked_source(parameters: RunParameters | TuningParameters, config: Config) -> dict[str, str]:
    """Opens source and labels; returns the parameters to change: paths become absolute."""
    from faceforge.config import labels_option
    from faceforge.data.ingest.checks import check_count
    from faceforge.data.sources import is_path, open_source

    changes = {}
    if is_path(parameters.source):
        changes["source"] = str(Path(parameters.source).expanduser().absolute())
    if labels_option(config.ingest, parameters.labels)[1]:
        changes["labels"] = str(Path(parameters.labels).expanduser().absolute())
    ingest, table = labels_option(config.ingest, changes.get("labels", parameters.labels))
    source = open_source(changes.get("source", parameters.source), ingest, table or "")
    if isinstance(parameters, RunParameters):
        check_count(source)
    return changes


def _check_disk() -> None:
    from faceforge.doctor.machine import disk

    finding = disk()
    if finding.status == "problem":
        raise FaceForgeError(f"{finding.message}; {finding.remedy}")


def refuse_password(parameters: PipelineParameters) -> None:
    """Refuses a tracking URI with a password for a run on a cluster, whose parameters many people can read."""
    if has_password(parameters.tracking_uri):
        raise FaceForgeError(
            "tracking_uri holds a password, and parameters of a run are no secret; leave it out, and give the pods "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD by faceforge pipeline compile --secret"
        )


def _kept_secret(tracking_uri: str) -> str:
    """The tracking URI as a parameter, which run.json and logs show; one with a password reaches steps otherwise."""
    if not has_password(tracking_uri):
        return tracking_uri
    os.environ["MLFLOW_TRACKING_URI"] = tracking_uri
    return ""


def run_identity(parameters: PipelineParameters, config: BaseModel) -> dict[str, str]:
    """What identifies a run: its parameters, with the settings replaced by the resolved configuration."""
    return {**parameters.model_dump(), "settings": as_json(config)}
