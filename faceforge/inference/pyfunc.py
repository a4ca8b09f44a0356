"""The model that `mlflow.pyfunc.load_model("models:/toyfaces@champion")` returns.

Input: a DataFrame with one row per image to draw and a string column per label column or, for an unconditional model,
the column `index` (number of the image in the seed's series). Parameters: `seed`, `truncation`. Output: a DataFrame
with `image` (PNG bytes) and the label columns.
"""

from __future__ import annotations

import io
from importlib import metadata
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

from faceforge.errors import FaceForgeError
from faceforge.inference.generator import Generator, Samples

BUNDLE_ARTIFACT = "bundle"
CODE_FILE = Path(__file__).with_name("served_model.py")

_REQUIRED = ("mlflow", "keras", "numpy", "pandas", "pillow", "pydantic", "h5py")
_ONE_OF = ("tensorflow-cpu", "tensorflow")


class BundleModel(mlflow.pyfunc.PythonModel):
    """Samples the model bundle that is stored among its artifacts."""

    def load_context(self, context: Any) -> None:
        """Loads the networks."""
        self._generator = Generator.load(context.artifacts[BUNDLE_ARTIFACT])

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Draws one image per row; see the module's docstring.

        Raises:
            FaceForgeError: an unknown class, or a missing column or value.
        """
        params = params or {}
        options: dict[str, Any] = {
            "seed": int(params.get("seed", 0)),
            "truncation": float(params.get("truncation", 1.0)),
        }
        vocabularies = self._generator.labels
        for column in vocabularies or ["index"]:
            if column not in model_input or model_input[column].isna().any():
                raise FaceForgeError(f"column {column!r} is missing or has empty values; give one value per image")
        if vocabularies:
            labels = {column: [str(value) for value in model_input[column]] for column in vocabularies}
            samples = self._generator.generate(len(model_input), labels=labels, **options)
        else:
            samples = self._draw_indices([int(value) for value in model_input["index"]], options)
        return pd.DataFrame({"image": [_png(image) for image in samples.images], **samples.labels})

    def _draw_indices(self, indices: list[int], options: dict[str, Any]) -> Samples:
        """Images `indices` of an unconditional model's series; consecutive ones are drawn together."""
        runs = np.split(np.array(indices, np.int64), np.flatnonzero(np.diff(indices) != 1) + 1)
        parts = [self._generator.generate(len(run), start=int(run[0]), **options).images for run in runs if len(run)]
        return Samples(np.concatenate(parts) if parts else self._generator.generate(0).images, {})


def signature(labels: dict[str, list[str]]) -> ModelSignature:
    """The MLflow signature of a model with these label columns."""
    columns = [ColSpec("string", name) for name in labels]
    return ModelSignature(
        inputs=Schema(columns or [ColSpec("long", "index")]),
        outputs=Schema([ColSpec("binary", "image"), *columns]),
        params=ParamSchema([ParamSpec("seed", "long", 0), ParamSpec("truncation", "double", 1.0)]),
    )


def pip_requirements() -> list[str]:
    """The model's requirements apart from FaceForge itself, pinned to the installed versions."""
    versions = {name: _version(name) for name in (*_REQUIRED, *_ONE_OF)}
    backend = [name for name in _ONE_OF if versions[name]][:1]
    return [f"{name}=={versions[name]}" for name in (*_REQUIRED, *backend) if versions[name]]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _png(image: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, "PNG")
    return buffer.getvalue()
