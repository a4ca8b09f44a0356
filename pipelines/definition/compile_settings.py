"""Cluster options of `pipeline compile`: they configure the pods of steps, never what a step computes."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from components import IMAGE, TRAIN_IMAGE
from faceforge.errors import FaceForgeError, explain


def parse_secret(text: str) -> SecretEnv:
    """Parses `name:KEY=ENV`, or `name:KEY` where the variable has the name of the key."""
    match = re.fullmatch(r"([a-z0-9.-]+):([\w.-]+)(?:=([A-Za-z_]\w*))?", text)
    if not match:
        raise FaceForgeError(
            f"secret {text!r} is not of the form name:KEY=VARIABLE, for example mlflow:token=MLFLOW_TRACKING_TOKEN"
        )
    name, key, env = match.groups()
    return SecretEnv(secret=name, key=key, env=env or key)


def parse_toleration(text: str) -> Toleration:
    """Parses `key`, `key=value`, `key:Effect` or `key=value:Effect`."""
    match = re.fullmatch(r"([\w./-]+)(?:=([\w.-]*))?(?::(NoSchedule|PreferNoSchedule|NoExecute))?", text)
    if not match:
        raise FaceForgeError(
            f"toleration {text!r} is not of the form key=value:NoSchedule (value and effect are optional)"
        )
    key, value, effect = match.groups()
    return Toleration(key=key, value=value or "", effect=effect or "")


def parse_pair(what: str, text: str) -> tuple[str, str]:
    """Parses `key=value`; `what` names the option in the error message."""
    key, equals, value = text.partition("=")
    if not equals or not key or (not value and what != "env"):
        raise FaceForgeError(f"{what} {text!r} is not of the form {'NAME' if what == 'env' else 'label'}=value")
    return key, value


def _pairs(what: str) -> BeforeValidator:
    return BeforeValidator(
        lambda value: dict(parse_pair(what, text) for text in value) if isinstance(value, tuple) else value
    )


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SecretEnv(_Options):
    """Key of a Kubernetes secret that steps receive as an environment variable."""

    secret: str
    key: str
    env: str


class Toleration(_Options):
    """A node taint that train and generate tolerate."""

    key: str
    value: str = ""
    effect: str = ""


def _from_text(parse: Any) -> BeforeValidator:
    return BeforeValidator(lambda value: parse(value) if isinstance(value, str) else value)


Quantity = Annotated[str, Field(pattern=r"^(\d+(\.\d+)?(m|[KMGT]i?)?)?$")]
Secret = Annotated[SecretEnv, _from_text(parse_secret)]
Taint = Annotated[Toleration, _from_text(parse_toleration)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")]
UserId = Annotated[int, Field(ge=0)]


class CompileSettings(_Options):
    """Images, resources, volumes and scheduling of the pods of steps.

    With the defaults, compilation gives the committed file, which also runs locally. Each field is an option of
    `faceforge pipeline compile`: its description is the help text, `option` its name where that differs.
    """

    core_image: str = Field(IMAGE, min_length=1, description="Image of the steps without neural networks.")
    train_image: str = Field(
        TRAIN_IMAGE, min_length=1, description="Image of train, evaluate, export, generate and check."
    )
    gpu: int = Field(0, ge=0, le=16, description="Accelerators for train and generate; other steps get none.")
    gpu_type: str = Field("nvidia.com/gpu", min_length=1, description="Resource name of the accelerator.")
    cpu: Quantity = Field("", description="CPU limit of train and generate, for example 4 or 500m.")
    memory: Quantity = Field("", description="Memory limit of train, evaluate and generate, for example 8Gi.")
    shm_size: Quantity = Field("", description="Size of /dev/shm in train, evaluate and generate, for example 2Gi.")
    cpu_request: Quantity = Field("", description="CPU that every step reserves, for example 500m.")
    memory_request: Quantity = Field("", description="Memory that every step reserves, for example 1Gi.")
    env: Annotated[dict[Name, str], _pairs("env")] = Field(
        {},
        description="Environment variable of every step; repeatable.",
        json_schema_extra={"metavar": "NAME=VALUE"},
    )
    secrets: tuple[Secret, ...] = Field(
        (),
        description="Secret as an environment variable of every step; repeatable.",
        json_schema_extra={"option": "secret", "metavar": "NAME:KEY=ENV"},
    )
    pull_secrets: tuple[str, ...] = Field(
        (),
        description="Image pull secret; repeatable.",
        json_schema_extra={"option": "pull-secret", "metavar": "NAME"},
    )
    pull_policy: Literal["", "Always", "IfNotPresent", "Never"] = Field(
        "", description="Image pull policy of every step: Always, IfNotPresent or Never."
    )
    pod_labels: Annotated[dict[str, str], _pairs("pod label")] = Field(
        {},
        description="Label of every step's pod, for example sidecar.istio.io/inject=false; repeatable.",
        json_schema_extra={"option": "pod-label", "metavar": "LABEL=VALUE"},
    )
    pod_annotations: Annotated[dict[str, str], _pairs("pod annotation")] = Field(
        {},
        description="Annotation of every step's pod; repeatable.",
        json_schema_extra={"option": "pod-annotation", "metavar": "NAME=VALUE"},
    )
    run_as_non_root: bool = Field(
        False, description="Steps must not run as root; required by the restricted pod security standard."
    )
    run_as_user: UserId | None = Field(None, description="User id of every step; default: that of the image, 10001.")
    run_as_group: UserId | None = Field(None, description="Group id of every step.")
    tolerations: tuple[Taint, ...] = Field(
        (),
        description="Taint that train and generate tolerate; repeatable.",
        json_schema_extra={"option": "toleration", "metavar": "KEY[=VALUE][:EFFECT]"},
    )
    node_selector: Annotated[dict[str, str], _pairs("node selector")] = Field(
        {},
        description="Label of the nodes that may run train and generate; repeatable.",
        json_schema_extra={"metavar": "LABEL=VALUE"},
    )
    checkpoint_claim: str = Field(
        "",
        description="Persistent volume claim for checkpoints, which outlive a retry.",
        json_schema_extra={"metavar": "PVC"},
    )
    checkpoint_path: str = Field(
        "/checkpoints",
        pattern="^(/|[a-z0-9]+://)",
        description="Mount path of that claim; or s3://... instead of a claim.",
    )
    data_claim: str = Field(
        "", description="Persistent volume claim with the source images.", json_schema_extra={"metavar": "PVC"}
    )
    data_path: str = Field("/data", pattern="^/", description="Mount path of that claim in ingest and generate.")
    ingest_workers: int = Field(
        # GetRun joins all rows of a run in the table `tasks` (apiserver/storage/run_store.go), 4 MiB at most
        # (group_concat_max_len in apiserver/config/config.json). Such a pod has 12 rows of 1.3 KB, twice as many if
        # each of them is retried twice: 100 pods stay below that.
        1,
        ge=1,
        le=100,
        description="Number of pods that share the work of ingest, at most 100, for large sources.",
    )
    workers: int = Field(
        1,
        ge=1,
        le=64,
        description="Number of pods that train together (needs a place for checkpoints that all nodes can mount).",
    )
    tune_workers: int = Field(
        1, ge=1, le=50, description="Number of pods that share the trials of the tuning pipeline, at most 50."
    )
    retries: int = Field(
        0,
        ge=0,
        le=10,
        description="Retries of a step's pod that failed or was deleted, and of its process within a pod; without it, "
        "the process is retried three times (needs a place for checkpoints).",
    )

    @property
    def checkpoint_root(self) -> str:
        """Default of the pipeline's `checkpoint_root`: mount path of the claim, or the bucket; '' without either."""
        return self.checkpoint_path if self.checkpoint_claim or "://" in self.checkpoint_path else ""


def compile_settings(**options: object) -> CompileSettings:
    """Validated `CompileSettings`; values of repeatable options may be text in the form of the command line.

    Raises:
        FaceForgeError: an option is invalid, or does not fit another one.
    """
    try:
        settings = CompileSettings.model_validate(options)
    except ValidationError as error:
        raise FaceForgeError(f"compile option {explain(error)}") from None
    if settings.retries and not settings.checkpoint_root:
        raise FaceForgeError(
            "--retries needs --checkpoint-claim NAME or a bucket as --checkpoint-path: "
            "a retried pod starts with an empty disk"
        )
    if settings.workers > 1 and not settings.checkpoint_root:
        raise FaceForgeError(
            "--workers needs --checkpoint-claim NAME or a bucket as --checkpoint-path: the workers meet there"
        )
    if settings.checkpoint_claim and "://" in settings.checkpoint_path:
        raise FaceForgeError("--checkpoint-claim cannot be mounted at a bucket; leave it out, or give a folder as path")
    return settings
