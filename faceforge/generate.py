"""Sampling from a trained model, in two lines.

>>> generator = Generator.load("models:/faceforge@champion")      # or a bundle's folder
>>> samples = generator.generate(num_images=16, label="smiling", seed=1)
>>> samples.images.shape, samples.labels["expression"][0]
((16, 32, 32, 3), 'smiling')
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError
from faceforge.models.sampling import draw_latents

if TYPE_CHECKING:
    from faceforge.models.bundle import Bundle

DEFAULT_IMAGES = 16


@dataclass(frozen=True)
class Samples:
    """Generated images and what they are meant to show.

    Attributes:
        images: uint8 (N, H, W, C).
        labels: label column -> N classes; empty for an unconditional model.
    """

    images: NDArray[np.uint8]
    labels: dict[str, list[str]]

    def __len__(self) -> int:
        return len(self.images)


class Generator:
    """A loaded model that draws images.

    Attributes:
        bundle: the model.
        labels: its label columns and their classes; empty = unconditional.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle, self.labels = bundle, bundle.info.labels

    @staticmethod
    def load(source: str | Path, tracking_uri: str = "") -> Generator:
        """The model of a bundle folder or of the registry.

        Args:
            source: folder, or `models:/NAME@ALIAS`, `models:/NAME/VERSION`.
            tracking_uri: where the registry is; empty: what MLflow has been told, else MLFLOW_TRACKING_URI, else
                `sqlite:///mlflow.db`.

        Raises:
            FaceForgeError: no such model, or an unreadable one.
        """
        from faceforge.models.bundle import Bundle

        if not str(source).startswith("models:"):
            return Generator(Bundle.load(Path(source)))
        from tempfile import TemporaryDirectory

        from faceforge.tracking.connection import connect, current_uri
        from faceforge.tracking.versions import download_bundle

        connect(tracking_uri or current_uri(), create=False)
        with TemporaryDirectory() as folder:
            return Generator(Bundle.load(download_bundle(str(source), Path(folder))))

    def generate(
        self,
        num_images: int | None = None,
        *,
        label: str | None = None,
        labels: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
        attributes: Mapping[str, str] | None = None,
        seed: int = 0,
        truncation: float = 1.0,
        start: int = 0,
    ) -> Samples:
        """Draws images; the i-th depends on the seed, on `start + i` and on its labels, not on how many are drawn.

        Args:
            num_images: how many; unset: as many as `labels`, else 16.
            label: the class of all images, for a model of one label column.
            labels: one class per image, for a model of one label column; or column -> one class per image.
            attributes: column -> class, for all images.
            seed: of the latents.
            truncation: 0..1, scales the latents: below 1 typical faces, less variety.
            start: continue a series: skip so many images.

        Columns that are left open take all combinations of their classes in turn.

        Raises:
            FaceForgeError: an unknown column or class, or a number out of range.
        """
        wanted = self._wanted(label, labels, attributes)
        lengths = {len(classes) for classes in wanted.values() if not isinstance(classes, str)}
        if num_images is not None:
            lengths.add(num_images)
        if len(lengths) > 1:
            raise FaceForgeError(f"the numbers of images and labels differ: {sorted(lengths)}")
        count = lengths.pop() if lengths else DEFAULT_IMAGES
        if count < 0 or start < 0 or not 0 <= seed < 2**63:
            raise FaceForgeError(f"num_images={count}, start={start}, seed={seed}: none of them may be negative")
        if not 0 <= truncation <= 1:
            raise FaceForgeError(f"truncation={truncation}: must be between 0 and 1")
        indices = self._indices(wanted, count, start)
        latents = draw_latents(seed, count, self.bundle.info.spec.latent_size, start) * np.float32(truncation)
        names = {
            column: [classes[index] for index in indices[:, position]]
            for position, (column, classes) in enumerate(self.labels.items())
        }
        return Samples(self.bundle.generate(latents, indices), names)

    def _wanted(self, label: str | None, labels: Any, attributes: Mapping[str, str] | None) -> dict[str, Any]:
        """Column -> the class of all images, or a list with one class per image."""
        wanted: dict[str, Any] = dict(attributes or {})
        if isinstance(labels, Mapping):
            wanted.update({column: list(classes) for column, classes in labels.items()})
        elif labels is not None:
            wanted[self._only_column()] = [labels] if isinstance(labels, str) else list(labels)
        if label is not None:
            wanted[self._only_column()] = label
        for column in wanted:
            if column not in self.labels:
                raise FaceForgeError(f"the model has no label column {column!r}; it has {_listed(self.labels)}")
        return wanted

    def _only_column(self) -> str:
        if len(self.labels) != 1:
            raise FaceForgeError(
                f"the model has the label columns {_listed(self.labels)}; say which: attributes={{column: class}}"
                if self.labels
                else "the model is unconditional: it takes no labels"
            )
        return next(iter(self.labels))

    def _indices(self, wanted: Mapping[str, Any], count: int, start: int) -> NDArray[np.int32]:
        """Class indices, int32 (count, columns)."""
        open_columns = [column for column in self.labels if column not in wanted]
        period = math.prod(len(self.labels[column]) for column in open_columns)
        turn = np.array([(start + row) % period for row in range(count)], dtype=object)  # may exceed 64 bits
        chosen: dict[str, Any] = {}
        for column in reversed(open_columns):  # the last column turns fastest
            chosen[column] = turn % len(self.labels[column])
            turn = turn // len(self.labels[column])
        for column, classes in wanted.items():
            known = {name: index for index, name in enumerate(self.labels[column])}
            asked = [classes] if isinstance(classes, str) else classes
            for name in asked:
                if name not in known:
                    raise FaceForgeError(_unknown(name, column, self.labels[column]))
            one = [known[name] for name in asked]
            chosen[column] = one * count if isinstance(classes, str) else one
        table = [np.asarray(chosen[column], dtype=np.int32).reshape(count) for column in self.labels]
        return np.stack(table, axis=1) if table else np.zeros((count, 0), np.int32)


def _listed(names: Mapping[str, Any] | Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _unknown(name: object, column: str, classes: Sequence[str]) -> str:
    close = get_close_matches(str(name), classes, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{column} = {name!r} is not a class of the model; classes: {_listed(classes[:50])}{hint}"
