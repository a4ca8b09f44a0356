"""The pipelines there are; each module holds a `build` that makes one of them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kfp.dsl.base_component import BaseComponent

    from pipelines.definition.compile_settings import CompileSettings


@dataclass(frozen=True)
class Definition:
    """A pipeline.

    Attributes:
        name: in Kubeflow, and of its compiled file.
        steps: in the order in which they run.
        module: where it is built.
    """

    name: str
    steps: tuple[str, ...]
    module: str

    @property
    def committed(self) -> Path:
        """The pipeline compiled with the default settings, kept in the repository."""
        return Path(__file__).parents[1] / "compiled" / f"{self.name}.yaml"

    def build(self, options: CompileSettings) -> BaseComponent:
        """The pipeline with the cluster options of `options` applied to its tasks."""
        built: BaseComponent = import_module(self.module).build(options)  # imports kfp, which is slow
        return built


CLOSE = "close"  # the task that follows the steps of every pipeline and ends its MLflow run
TRAINING = Definition(
    "faceforge", ("ingest", "augment", "train", "evaluate", "export", "register"), "pipelines.definition.training"
)
SYNTHESIS = Definition("faceforge-synthesis", ("generate", "check", "publish"), "pipelines.definition.synthesis")
DEFINITIONS = {"training": TRAINING, "synthesis": SYNTHESIS}
