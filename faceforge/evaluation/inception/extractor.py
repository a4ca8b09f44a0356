"""Computes features of images with the FID network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError
from faceforge.evaluation.inception.resize import resize_tf1
from faceforge.evaluation.inception.weights import WeightsFile, find_weights, read_weights

BATCH = 64  # images per batch
FEW = 8  # images in a batch when no more are left
BLOCK = 1024  # rows of features returned at a time
Features = NDArray[np.float32]


class Inception:
    """The FID network, ready to compute.

    Attributes:
        file: the weights.
        precision: of the convolutions, `float32` or `bfloat16`.
        space: prefix of the metrics in its features: `inception` for the published weights only.
    """

    def __init__(
        self, file: WeightsFile, precision: str = "auto", weights: Mapping[str, NDArray[Any]] | None = None
    ) -> None:
        """Builds the network; a second or two.

        Args:
            file: see `find_weights`.
            precision: `float32`, `bfloat16`, or `auto`: bfloat16 if the processor or GPU supports it natively.
            weights: tensors by name; None = those in the file.
        """
        import keras

        from faceforge.compute.backend import jit
        from faceforge.compute.precision import choose_precision
        from faceforge.evaluation.inception.network import SIZE, inception_network, output_matrix

        self.file = file
        self.precision = choose_precision(precision).removeprefix("mixed_")
        self.space = "inception" if file.published else "inception_unverified"
        weights = read_weights(file) if weights is None else weights
        self._to_logits = output_matrix(weights)
        network = inception_network(weights, self.precision)

        def prepare(images: Any) -> Any:
            pixels = keras.ops.cast(images, "float32")
            if pixels.shape[-1] == 1:
                pixels = keras.ops.repeat(pixels, 3, axis=-1)
            return (resize_tf1(pixels, SIZE, keras.ops.take) - 128) / 128

        # Compiled separately, so that another image size compiles a few operations again, not the network.
        self._prepare, self._forward = jit(prepare), jit(lambda pixels: network(pixels, training=False))
        self._size = SIZE

    @classmethod
    def load(cls, where: str = "", precision: str = "auto", cache: Path | None = None) -> Inception:
        """Builds the network from the weights that `find_weights` finds, and raises as it does."""
        return cls(find_weights(where, cache), precision)

    @property
    def identity(self) -> str:
        """SHA-256 of the weights and precision; features of equal identity are comparable."""
        return f"{self.file.sha256}:{self.precision}"

    def features(self, images: NDArray[np.uint8] | Iterable[NDArray[np.uint8]]) -> Features:
        """Features float32 (N, 2048), all >= 0, of images uint8 (N, H, W, C) or N of (H, W, C), C 1 or 3."""
        return np.concatenate([np.empty((0, self._to_logits.shape[0]), np.float32), *self.blocks(images)])

    def blocks(self, images: NDArray[np.uint8] | Iterable[NDArray[np.uint8]]) -> Iterator[Features]:
        """The same in blocks of at most `BLOCK` rows, in order; images may differ in size and are read lazily."""
        done: list[Features] = []
        for batch in _batches(images):
            done.append(self._run(self._stack(batch)))
            if len(done) * BATCH >= BLOCK:
                yield np.concatenate(done)
                done = []
        if done:
            yield np.concatenate(done)

    def logits(self, features: Features) -> Features:
        """Logits without bias, float32 (N, 1008), for the Inception score."""
        return features @ self._to_logits

    def _stack(self, batch: list[NDArray[np.uint8]]) -> NDArray[Any]:
        """Stacks a batch; images of different sizes are resized first."""
        for image in batch:
            if image.ndim != 3 or image.shape[-1] not in (1, 3) or image.dtype != np.uint8:
                raise FaceForgeError(f"an image is {image.dtype} {image.shape}; give uint8 (height, width, 1 or 3)")
        if len({image.shape for image in batch}) == 1:
            return np.stack(batch)
        coloured = (np.repeat(image, 3 // image.shape[-1], axis=-1).astype(np.float32) for image in batch)
        return np.stack([resize_tf1(image, self._size) for image in coloured])

    def _run(self, images: NDArray[Any]) -> Features:
        # Batches are padded to one of two sizes, because every new size is compiled again.
        rows = len(images)
        size = BATCH if rows > FEW else FEW
        filled = np.concatenate([images, np.zeros((size - rows, *images.shape[1:]), images.dtype)])
        return np.asarray(self._forward(self._prepare(filled)))[:rows]


def _batches(images: Iterable[NDArray[np.uint8]]) -> Iterator[list[NDArray[np.uint8]]]:
    batch: list[NDArray[np.uint8]] = []
    for image in images:
        batch.append(image)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
