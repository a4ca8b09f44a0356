"""Cluster options of the compile step. They change how pods are made, never what a step computes."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from components import IMAGE, TRAIN_IMAGE
from faceforge.errors import FaceForgeError, explain

Quantity = Annotated[str, Field(pattern=r"^(\d+(\.\d+)?(m|[KMGT]i?)?)?$")]


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SecretEnv(_Options):
    """Key of a Kubernetes secret that a step sees as an environment variable."""

    secret: str
    key: str
    env: str


class Toleration(_Options):
    """A taint that the compute steps may be scheduled on."""

    key: str
    value: str = ""
    effect: str = ""


class CompileSettings(_Options):
    """Everything a cluster wants to know that a laptop does not.

    The defaults add nothing: what they compile is the committed file, and runs locally too.
    """

    core_image: str = Field(IMAGE, min_length=1, description="image of the steps that compute with no network")
    train_image: str = Field(TRAIN_IMAGE, min_length=1, description="image of train, evaluate, export, generate, check")
    gpu: int = Field(0, ge=0, le=16, description="accelerators for train and generate (other steps run without)")
    gpu_type: str = Field("nvidia.com/gpu", min_length=1, description="resource name of the accelerator")
    cpu: Quantity = Field("", description="CPU limit of train and generate, for example 4 or 500m")
    memory: Quantity = Field("", description="memory limit of train, evaluate and generate, for example 8Gi")
    shm_size: Quantity = Field(
        "", description="size of /dev/shm in train, evaluate and generate, in memory, for example 2Gi"
    )
    secrets: tuple[SecretEnv, ...] = Field((), description="secrets as environment variables of every step")
    pull_secrets: tuple[str, ...] = Field((), description="secrets to pull the image with")
    tolerations: tuple[Toleration, ...] = Field((), description="taints that train and generate tolerate")
    node_selector: dict[str, str] = Field(
        default_factory=dict, description="labels a node must have to run train or generate"
    )
    checkpoint_claim: str = Field("", description="persistent volume claim that keeps checkpoints over retries")
    checkpoint_path: str = Field(
        "/checkpoints",
        pattern="^(/|[a-z0-9]+://)",
        description="where train mounts that claim, or a bucket without one",
    )
    data_claim: str = Field("", description="persistent volume claim that holds the real images")
    data_path: str = Field("/data", pattern="^/", description="where ingest and generate mount that claim")
    ingest_workers: int = Field(1, ge=1, le=1000, description="pods that share the work of ingest")
    retries: int = Field(
        0, ge=0, le=10, description="how often a failed ingest, train or generate pod is tried again; wants a claim"
    )

    @property
    def checkpoint_root(self) -> str:
        """Default of the pipeline's `checkpoint_root`: the mounted claim, or the bucket; '' without either."""
        return self.checkpoint_path if self.checkpoint_claim or "://" in self.checkpoint_path else ""


def compile_settings(**options: object) -> CompileSettings:
    """`CompileSettings` from loose values; a bad one raises `FaceForgeError` in one line."""
    try:
        settings = CompileSettings.model_validate(options)
    except ValidationError as error:
        raise FaceForgeError(f"compile option {explain(error)}") from None
    if settings.retries and not settings.checkpoint_root:
        raise FaceForgeError(
            "compile option retries needs checkpoint_claim, or a bucket as checkpoint_path: "
            "a retried pod starts with an empty disk"
        )
    if settings.checkpoint_claim and "://" in settings.checkpoint_path:
        raise FaceForgeError("compile option checkpoint_claim cannot be mounted at a bucket; leave one of them out")
    return settings


def read_secret(text: str) -> SecretEnv:
    """`name:KEY=ENV` (or `name:KEY`, the variable then has the key's name)."""
    found = re.fullmatch(r"([a-z0-9.-]+):([\w.-]+)(?:=([A-Za-z_]\w*))?", text)
    if not found:
        raise FaceForgeError(
            f"secret {text!r} is not of the form name:KEY=VARIABLE, for example mlflow:token=MLFLOW_TRACKING_TOKEN"
        )
    name, key, env = found.groups()
    return SecretEnv(secret=name, key=key, env=env or key)


def read_toleration(text: str) -> Toleration:
    """`key`, `key=value`, `key:Effect` or `key=value:Effect`."""
    found = re.fullmatch(r"([\w./-]+)(?:=([\w.-]*))?(?::(NoSchedule|PreferNoSchedule|NoExecute))?", text)
    if not found:
        raise FaceForgeError(
            f"toleration {text!r} is not of the form key=value:NoSchedule (value and effect may be left out)"
        )
    key, value, effect = found.groups()
    return Toleration(key=key, value=value or "", effect=effect or "")


def read_pair(text: str) -> tuple[str, str]:
    """`label=value` of a node selector."""
    key, equals, value = text.partition("=")
    if not equals or not key or not value:
        raise FaceForgeError(f"node selector {text!r} is not of the form label=value")
    return key, value
