"""Where a step is tracked in MLflow, and its run held open while the step works."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from faceforge.errors import TRY_LATER, guarded
from faceforge.steps.volume import require_writable
from faceforge.tracking.tags import PIPELINE_JOB_TAG

if TYPE_CHECKING:
    from faceforge.tracking.runs import StepRun


@dataclass(frozen=True)
class Tracking:
    """Where and under what name a step is tracked.

    Attributes:
        uri: MLflow; None = MLFLOW_TRACKING_URI, else `sqlite:///mlflow.db`.
        experiment: name.
        run_key: identifies the pipeline run that the step belongs to; the same on a retry.
        tags: for the parent run.
        alone: the step is not part of a pipeline run, so that the parent ends with it.
    """

    uri: str | None
    experiment: str
    run_key: str
    tags: Mapping[str, str] = field(default_factory=dict)
    alone: bool = False

    def work_folder(self, checkpoint_root: str, name: str) -> Path | None:
        """Folder `name` of this run on the volume `checkpoint_root`, which outlives a pod.

        None without a volume, and for a bucket (`s3://...`), which holds checkpoints only.

        Raises:
            FaceForgeError: the volume is not writable.
        """
        if not checkpoint_root or "://" in checkpoint_root:
            return None
        require_writable(Path(checkpoint_root), Path(checkpoint_root) / self.run_key)
        return Path(checkpoint_root) / self.run_key / name

    def checkpoints(self, checkpoint_root: str) -> str | None:
        """Folder or address of this run's checkpoints under `checkpoint_root`; None if that is ''."""
        return f"{checkpoint_root.rstrip('/')}/{self.run_key}/checkpoints" if checkpoint_root else None


@contextmanager
def component_tracking(tracking_uri: str, experiment: str, run_key: str, job: str) -> Iterator[Tracking]:
    """Where a Kubeflow component's step is tracked; an error that the user can mend ends it with one line.

    A service that does not answer ends it with the exit code `TRY_LATER`, after which `supervise` starts it again.

    Args:
        tracking_uri: MLflow; '' = MLFLOW_TRACKING_URI.
        experiment: name.
        run_key: '' = `job`, which all steps of a run share.
        job: id that Kubeflow Pipelines gave the run.
    """
    with guarded(unavailable=TRY_LATER):
        yield Tracking(tracking_uri or None, experiment, run_key or job, {PIPELINE_JOB_TAG: job})


@contextmanager
def tracked(step: str, tracking: Tracking, system_metrics: bool = False) -> Iterator[StepRun]:
    """The step's MLflow run, open for the body."""
    from faceforge.tracking.runs import connect, finish_parent, step_run

    connect(tracking.uri)
    with step_run(step, run_key=tracking.run_key, experiment=tracking.experiment, system_metrics=system_metrics) as run:
        run.headline(tags=tracking.tags)
        yield run
    if tracking.alone:
        finish_parent(tracking.run_key, "FINISHED", tracking.experiment)


@contextmanager
def maybe_tracked(step: str, tracking: Tracking | None, system_metrics: bool = False) -> Iterator[StepRun | None]:
    """As `tracked`; None where `tracking` is None."""
    if tracking is None:
        yield None
        return
    with tracked(step, tracking, system_metrics) as run:
        yield run
