"""The pipelines of the project, by name; each is built by the function `build` of a module of its own."""

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
        name: its name in Kubeflow and of its compiled file.
        steps: names of its steps in the order in which they run.
        module: module with its function `build`.
    """

    name: str
    steps: tuple[str, ...]
    module: str

    @property
    def committed(self) -> Path:
        """Path of the pipeline compiled with default settings, in the repository."""
        return Path(__file__).parents[1] / "compiled" / f"{self.name}.yaml"

    def build(self, options: CompileSettings) -> BaseComponent:
        """Builds the pipeline with these cluster options; imports kfp, which is slow."""
        component: BaseComponent = import_module(self.module).build(options)
        return component


CLOSE = "close"  # the last task of every pipeline; it ends the MLflow run
TRAINING = Definition(
    "faceforge", ("ingest", "augment", "train", "evaluate", "export", "register"), "pipelines.definition.training"
)
SYNTHESIS = Definition("faceforge-synthesis", ("generate", "check", "publish"), "pipelines.definition.synthesis")
TUNING = Definition(
    "faceforge-tuning", ("ingest", "split", "search", "choose", "repeat", "select"), "pipelines.definition.tuning"
)
DEFINITIONS = {"training": TRAINING, "synthesis": SYNTHESIS, "tuning": TUNING}
