"""Repeatable writes to one MLflow run: a retry writes the same again and leaves no duplicates."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.tracking.connection import readable
from faceforge.tracking.tags import CHANGED_TAG, DATASET_TAG, KUBEFLOW_RUN_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient

_WHAT = "MLflow"
_TEXT_LIMIT = 5000  # characters of tags and parameter values, below the limit of every MLflow backend
_DIGEST_LIMIT = 36  # characters of MLflow's digest field
_METRIC_BATCH, _PARAM_BATCH = 500, 100  # per request; MLflow's own limits are 1000 and 100


@dataclass(frozen=True)
class DatasetRef:
    """The data behind a run, shown by MLflow as the run's input.

    Attributes:
        name: for example `toyfaces`.
        digest: content digest; MLflow's own field keeps the first 36 characters, a tag keeps all of them.
        source: where the data came from, a path or name.
        profile: counts and other facts that fit in a line of JSON.
        columns: names of the label columns, which are text.
    """

    name: str
    digest: str
    source: str = ""
    profile: Mapping[str, Any] = field(default_factory=dict)
    columns: Sequence[str] = ()


class Point(NamedTuple):
    """Values of several curves at one moment."""

    metrics: Mapping[str, float]
    step: int
    at: int  # milliseconds since 1970


class RunWriter:
    """Writes to the run `run_id`; every method raises `FaceForgeError` when MLflow does not answer."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self._client, self._run_id = client, run_id
        self._last: dict[str, int] = {}  # metric -> last step on record
        self._data = client.get_run(run_id).data  # as the last attempt left it
        self._images: set[str] | None = None

    def metrics(self, metrics: Mapping[str, float]) -> None:
        """Final values; a value that differs from the one on record replaces it."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        changed = {name: float(value) for name, value in metrics.items() if self._data.metrics.get(name) != value}
        self._log([Metric(name, value, now, 0) for name, value in changed.items()])
        self._data.metrics.update(changed)

    def points(self, points: Sequence[Point]) -> None:
        """Points of curves, in order; those that a resumed run repeats are left out."""
        from mlflow.entities import Metric

        with readable(_WHAT):
            new = [
                Metric(name, float(value), point.at, point.step)
                for point in points
                for name, value in point.metrics.items()
                if point.step > self._last_step(name)
            ]
        self._log(new)
        for metric in new:
            self._last[metric.key] = metric.step

    def params(self, params: Mapping[str, Any]) -> None:
        """Parameters. MLflow's are final: a value that differs from an earlier attempt's becomes a tag."""
        from mlflow.entities import Param

        texts = {name: _text(value) for name, value in params.items()}
        new = [Param(name, text) for name, text in texts.items() if name not in self._data.params]
        with readable(_WHAT):
            for at in range(0, len(new), _PARAM_BATCH):
                self._client.log_batch(self._run_id, params=new[at : at + _PARAM_BATCH])
        self._data.params.update({param.key: param.value for param in new})
        changed = {name: text for name, text in texts.items() if self._data.params[name] != text}
        self.tags({f"{CHANGED_TAG}{name}": text for name, text in changed.items()})

    def tags(self, tags: Mapping[str, Any]) -> None:
        """Tags; the last value counts."""
        from mlflow.entities import RunTag

        texts = {name: _text(value) for name, value in tags.items()}
        with readable(_WHAT):
            self._client.log_batch(self._run_id, tags=[RunTag(name, text) for name, text in texts.items()])
        self._data.tags.update(texts)

    def tag(self, name: str) -> str:
        """A tag as it was when this writer was made, or as last written by it; empty = there is none."""
        return str(self._data.tags.get(name, ""))

    def rename(self, name: str) -> None:
        """Names the run; one that Kubeflow manages keeps its name."""
        if KUBEFLOW_RUN_TAG not in self._data.tags:
            with readable(_WHAT):
                self._client.update_run(self._run_id, name=name)

    def dataset(self, dataset: DatasetRef) -> None:
        """The run's input."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        is_path = "/" in dataset.source
        entity = Dataset(
            name=dataset.name,
            digest=dataset.digest[:_DIGEST_LIMIT],
            source_type="local" if is_path else "code",
            source=json.dumps({"uri": dataset.source} if is_path else {"tags": {"source": dataset.source}}),
            profile=json.dumps(dict(dataset.profile)),
            schema=json.dumps({"mlflow_colspec": [{"type": "string", "name": name} for name in dataset.columns]}),
        )
        with readable(_WHAT):
            self._client.log_inputs(
                self._run_id, datasets=[DatasetInput(entity, [InputTag("mlflow.data.context", "training")])]
            )
        self.tags({DATASET_TAG: dataset.digest})

    def image(self, image: NDArray[np.uint8], key: str, step: int) -> None:
        """A uint8 (H, W, C) image for the run's image charts, unless this key and step are on record."""
        prefix = f"images/{key.replace('/', '~')}+step+{step}+"  # MLflow's naming
        with readable(_WHAT):
            known, self._images = self._images, None  # listed again if this fails half way
            if known is None:
                known = {file.path for file in self._client.list_artifacts(self._run_id, "images")}
            # MLflow writes the compressed copy last: where it is, the image is complete.
            if not any(name.startswith(prefix) and name.endswith(".webp") for name in known):
                self._client.log_image(self._run_id, image, key=key, step=step, synchronous=True)
                known.add(f"{prefix}.webp")
            self._images = known

    def image_file(self, image: NDArray[np.uint8], name: str) -> None:
        """A uint8 (H, W, C) image as the artifact `name`."""
        with readable(_WHAT):
            self._client.log_image(self._run_id, image, artifact_file=name)

    def output_model(self, model_id: str) -> None:
        """A logged model as an output of the run, which also shows the versions registered from it."""
        from mlflow.entities import LoggedModelOutput

        with readable(_WHAT):
            outputs = self._client.get_run(self._run_id).outputs
            if not outputs or model_id not in {output.model_id for output in outputs.model_outputs}:
                self._client.log_outputs(self._run_id, [LoggedModelOutput(model_id, step=0)])

    def artifacts(self, path: Path, folder: str) -> None:
        """A file, or everything in a folder, under `folder` of the run's artifacts."""
        send = self._client.log_artifacts if path.is_dir() else self._client.log_artifact
        with readable(_WHAT):
            send(self._run_id, str(path), folder or None)

    def _log(self, metrics: Sequence[Any]) -> None:
        with readable(_WHAT):
            # If an answer gets lost and a batch is sent twice, MLflow stores equal points once.
            for at in range(0, len(metrics), _METRIC_BATCH):
                self._client.log_batch(self._run_id, metrics=metrics[at : at + _METRIC_BATCH])

    def _last_step(self, name: str) -> int:
        if name not in self._last:
            known = self._client.get_metric_history(self._run_id, name) if name in self._data.metrics else []
            self._last[name] = max((point.step for point in known), default=-1)
        return self._last[name]


def _text(value: Any) -> str:
    """A parameter or tag, spelled as settings are."""
    if isinstance(value, list | tuple):
        text = "+".join(str(member) for member in value)
    else:
        text = "none" if value is None else str(value)
    return text if len(text) <= _TEXT_LIMIT else f"{text[: _TEXT_LIMIT - 3]}..."
