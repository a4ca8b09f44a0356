"""What a pipeline step writes about itself; every call may be repeated by a retry without leaving duplicates."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import first_line
from faceforge.tracking.connection import readable
from faceforge.tracking.tags import CHANGED_TAG, DATASET_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient

_WHAT = "MLflow"
_TEXT_LIMIT = 5000  # of tags and parameter values, below every backend's own
_DIGEST_LIMIT = 36  # MLflow's
_PENDING_LIMIT = 20_000


@dataclass(frozen=True)
class DatasetRef:
    """The data behind a run, as MLflow shows it under "inputs".

    Attributes:
        name: what people call it, for example `toyfaces`.
        digest: content digest; MLflow's own field keeps the first 36 characters, a tag all of them.
        source: where it came from, a path or name.
        profile: counts and other facts that fit in a line of JSON.
    """

    name: str
    digest: str
    source: str = ""
    profile: Mapping[str, Any] = field(default_factory=dict)


class Point(NamedTuple):
    """Where curves are at one moment."""

    metrics: Mapping[str, float]
    step: int
    at: int  # milliseconds since 1970


class StepRun:
    """The nested run of one step and the parent above it; made by `faceforge.tracking.runs.step_run`.

    Attributes:
        run_id: the step's own run.
        parent_id: the pipeline's run.
        experiment_id: where both are.
        run_key: what identifies the pipeline run across retries.
    """

    def __init__(self, client: MlflowClient, run_id: str, parent_id: str, experiment_id: str, run_key: str) -> None:
        self.run_id, self.parent_id, self.experiment_id, self.run_key = run_id, parent_id, experiment_id, run_key
        self._client = client
        self._own, self._parent = _Writer(client, run_id), _Writer(client, parent_id)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Numbers of the step.

        Args:
            metrics: name -> value.
            step: position on a curve; points at or before the last one an earlier attempt has logged are left
                out, since a resumed step repeats them. None: a final number, which replaces an earlier one.

        An MLflow that does not answer does not stop the step here: curve points wait for the next call, at the
        latest for `flush`.
        """
        self._own.metrics(metrics, step)

    def log_points(self, points: Sequence[Point]) -> None:
        """Points of curves, in order; as `log_metrics`, but for those who try again themselves.

        Raises:
            FaceForgeError: MLflow does not answer. The same points may be given again: each is kept once.
        """
        self._own.points(points)

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
        """A uint8 (H, W, C) image in the run's image charts, unless this key and step are there already."""
        self._own.image(image, key, step)

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
        """What the whole pipeline run is known by; goes to the parent, the data set to the step too.

        Args:
            metrics: final numbers.
            params: parameters.
            tags: tags.
            dataset: the run's input.
            images: name -> uint8 (H, W, C), kept as `name.png`.
            artifacts: files to keep.
        """
        self._parent.metrics(metrics or {}, None)
        self._parent.params(params or {})
        self._parent.tags(tags or {})
        if dataset is not None:
            self._parent.dataset(dataset)
            self._own.dataset(dataset)
        for name, image in (images or {}).items():
            with readable(_WHAT):
                self._client.log_image(self.parent_id, image, artifact_file=f"{name}.png")
        for path in artifacts:
            self._parent.artifacts(Path(path), "")

    def flush(self) -> None:
        """Sends the curve points that wait.

        Raises:
            FaceForgeError: MLflow does not answer.
        """
        self._own.flush()


class _Writer:
    """Repeatable writes to one run."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self._client, self._run_id = client, run_id
        self._last: dict[str, int] = {}  # metric -> last step on record
        self._pending: list[Any] = []
        self._data = client.get_run(run_id).data  # as the last attempt left it
        self._images: set[str] | None = None

    def metrics(self, metrics: Mapping[str, float], step: int | None) -> None:
        from mlflow.entities import Metric
        from mlflow.exceptions import MlflowException

        now = int(time.time() * 1000)
        try:
            wanted = {name: float(value) for name, value in metrics.items() if self._is_new(name, float(value), step)}
        except MlflowException as error:  # cannot ask what is there: rather twice than never
            self._complain(error)
            wanted = {name: float(value) for name, value in metrics.items()}
        self._pending += [Metric(name, value, now, step or 0) for name, value in wanted.items()]
        for name, value in wanted.items():
            if step is None:
                self._data.metrics[name] = value
            else:
                self._last[name] = step
        try:
            self._send()
        except MlflowException as error:
            self._complain(error)

    def points(self, points: Sequence[Point]) -> None:
        from mlflow.entities import Metric

        with readable(_WHAT):
            new = [
                Metric(name, float(value), point.at, point.step)
                for point in points
                for name, value in point.metrics.items()
                if self._is_new(name, float(value), point.step)
            ]
            for at in range(0, len(new), 500):  # equal points are one to MLflow, should an answer get lost
                self._client.log_batch(self._run_id, metrics=new[at : at + 500])
        for metric in new:
            self._last[metric.key] = metric.step

    def flush(self) -> None:
        with readable(f"{_WHAT} (the last {len(self._pending)} metric points are not saved)"):
            self._send()

    def params(self, params: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        texts = {name: _text(value) for name, value in params.items()}
        new = [Param(name, text) for name, text in texts.items() if name not in self._data.params]
        with readable(_WHAT):
            for at in range(0, len(new), 100):
                self._client.log_batch(self._run_id, params=new[at : at + 100])
        self._data.params.update({param.key: param.value for param in new})
        changed = {name: text for name, text in texts.items() if self._data.params[name] != text}
        self.tags({f"{CHANGED_TAG}{name}": text for name, text in changed.items()})

    def tags(self, tags: Mapping[str, Any]) -> None:
        from mlflow.entities import RunTag

        with readable(_WHAT):
            self._client.log_batch(self._run_id, tags=[RunTag(name, _text(value)) for name, value in tags.items()])
        self._data.tags.update({name: _text(value) for name, value in tags.items()})

    def tag(self, name: str) -> str:
        return str(self._data.tags.get(name, ""))

    def dataset(self, dataset: DatasetRef) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        is_path = "/" in dataset.source
        entity = Dataset(
            name=dataset.name,
            digest=dataset.digest[:_DIGEST_LIMIT],
            source_type="local" if is_path else "code",
            source=json.dumps({"uri": dataset.source} if is_path else {"tags": {"source": dataset.source}}),
            profile=json.dumps(dict(dataset.profile)),
        )
        with readable(_WHAT):
            self._client.log_inputs(
                self._run_id, datasets=[DatasetInput(entity, [InputTag("mlflow.data.context", "training")])]
            )
        self.tags({DATASET_TAG: dataset.digest})

    def image(self, image: NDArray[np.uint8], key: str, step: int) -> None:
        prefix = f"images/{key.replace('/', '~')}+step+{step}+"  # MLflow's naming
        with readable(_WHAT):
            known, self._images = self._images, None  # asked again, should this fail in the middle
            if known is None:
                known = {file.path for file in self._client.list_artifacts(self._run_id, "images")}
            # The compressed copy is written last, so it tells that both are there.
            if not any(name.startswith(prefix) and name.endswith(".webp") for name in known):
                self._client.log_image(self._run_id, image, key=key, step=step, synchronous=True)
                known.add(f"{prefix}.webp")
            self._images = known

    def artifacts(self, path: Path, folder: str) -> None:
        send = self._client.log_artifacts if path.is_dir() else self._client.log_artifact
        with readable(_WHAT):
            send(self._run_id, str(path), folder or None)

    def _is_new(self, name: str, value: float, step: int | None) -> bool:
        if step is None:
            return self._data.metrics.get(name) != value
        if name not in self._last:
            known = self._client.get_metric_history(self._run_id, name) if name in self._data.metrics else []
            self._last[name] = max((point.step for point in known), default=-1)
        return step > self._last[name]

    def _send(self) -> None:
        while self._pending:
            self._client.log_batch(self._run_id, metrics=self._pending[:500])
            del self._pending[:500]

    def _complain(self, error: Exception) -> None:
        del self._pending[_PENDING_LIMIT:]
        reason = first_line(error, 200)
        print(f"warning: MLflow does not answer, {len(self._pending)} points wait ({reason})", file=sys.stderr)


def _text(value: Any) -> str:
    """A parameter or tag in the spelling that settings use."""
    if isinstance(value, list | tuple):
        text = "+".join(str(member) for member in value)
    else:
        text = "none" if value is None else str(value)
    return text if len(text) <= _TEXT_LIMIT else f"{text[: _TEXT_LIMIT - 3]}..."
