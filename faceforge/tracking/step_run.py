"""What a pipeline step logs: its own MLflow run, and the headline on its parent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from faceforge.tracking.run_writer import DatasetRef, Point, RunWriter
from faceforge.tracking.tags import MLFLOW_NOTE_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient


LOSSES = ("loss/generator", "loss/discriminator")  # curves that the parent shows


class StepRun:
    """The nested run of one step and the parent above it; opened by `faceforge.tracking.runs.step_run`.

    Every call may be repeated by a retry without leaving duplicates, and raises `FaceForgeError` when MLflow does not
    answer.

    Attributes:
        run_id: the step's own run.
        parent_id: the pipeline's run.
        experiment_id: experiment of both.
        run_key: identifies the pipeline run across retries.
    """

    def __init__(self, client: MlflowClient, run_id: str, parent_id: str, experiment_id: str, run_key: str) -> None:
        self.run_id, self.parent_id, self.experiment_id, self.run_key = run_id, parent_id, experiment_id, run_key
        self._own, self._parent = RunWriter(client, run_id), RunWriter(client, parent_id)

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        """Final values of the step's metrics; a later value replaces an earlier one."""
        self._own.metrics(metrics)

    def log_points(self, points: Sequence[Point]) -> None:
        """Points of curves, in order; those of an earlier attempt are left out. The parent gets the losses too."""
        self._own.points(points)
        losses = [point._replace(metrics={k: v for k, v in point.metrics.items() if k in LOSSES}) for point in points]
        self._parent.points(losses)

    def tag(self, name: str) -> str:
        """A tag of the step's run as it was when the step began or was last set here; empty = there is none."""
        return self._own.tag(name)

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Parameters of the step. MLflow's are final: a value that differs from an earlier attempt's becomes a tag."""
        self._own.params(params)

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Tags of the step's run."""
        self._own.tags(tags)

    def log_image(self, image: NDArray[np.uint8], key: str, step: int) -> None:
        """A uint8 (H, W, C) image in the image charts of the step and its parent, unless it was logged before."""
        self._own.image(image, key, step)
        self._parent.image(image, key, step)

    def output_model(self, model_id: str) -> None:
        """Lists a model that the step has logged on the parent's page too, with the version registered from it."""
        self._parent.output_model(model_id)

    def rename_parent(self, name: str) -> None:
        """Names the parent, unless Kubeflow created it."""
        self._parent.rename(name)

    def describe(self, markdown: str) -> None:
        """The description on top of the pages of the step's run and its parent."""
        for writer in (self._own, self._parent):
            writer.tags({MLFLOW_NOTE_TAG: markdown})

    def log_artifacts(self, path: Path, folder: str = "") -> None:
        """A file, or everything in a folder, under `folder` of the run's artifacts."""
        self._own.artifacts(Path(path), folder)

    def headline(
        self,
        *,
        metrics: Mapping[str, float] | None = None,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
        dataset: DatasetRef | None = None,
        images: Mapping[str, NDArray[np.uint8]] | None = None,
        artifacts: Sequence[Path] = (),
    ) -> None:
        """Logs the key results of the pipeline run to the parent run; the data set is also logged to the step's run.

        Args:
            metrics: final values.
            params: parameters.
            tags: tags.
            dataset: the run's input.
            images: name -> uint8 (H, W, C), stored as `name.png`.
            artifacts: files to store.
        """
        self._parent.metrics(metrics or {})
        self._parent.params(params or {})
        self._parent.tags(tags or {})
        if dataset is not None:
            self._parent.dataset(dataset)
            self._own.dataset(dataset)
        for name, image in (images or {}).items():
            self._parent.image_file(image, f"{name}.png")
        for path in artifacts:
            self._parent.artifacts(Path(path), "")
