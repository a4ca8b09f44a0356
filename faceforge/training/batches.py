"""Image indices, latents and other random numbers of each step, as pure functions of the seed and the step's number.

Nothing has to be saved to resume: step k gets the same images and latents whether or not the run was interrupted
before it, on every backend.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SHUFFLE, _LATENTS, _UNIFORMS = 0, 1, 4  # separate streams of one seed; 2 and 3 are `faceforge.data.imageset.stream`'s


class Batches:
    """Random numbers of every step.

    Args:
        images: number of training images.
        batch_size: images per step.
        latent_size: dimensions of a latent.
        seed: seed of everything random.
    """

    def __init__(self, images: int, batch_size: int, latent_size: int, seed: int) -> None:
        self._images, self._batch_size, self._latent_size, self._seed = images, batch_size, latent_size, seed
        self._epoch, self._order = -1, np.zeros(0, np.int64)

    def indices(self, step: int) -> NDArray[np.int64]:
        """Positions (B,) in the training split: shuffled epochs one after the other, cut into batches."""
        positions = np.arange(step * self._batch_size, (step + 1) * self._batch_size)
        epochs, places = np.divmod(positions, self._images)
        return np.concatenate([self._shuffled(int(epoch))[places[epochs == epoch]] for epoch in np.unique(epochs)])

    def latents(self, step: int) -> NDArray[np.float32]:
        """Standard normal latents, float32 (B, Z)."""
        return self._stream(_LATENTS, step).standard_normal((self._batch_size, self._latent_size), np.float32)

    def uniforms(self, step: int, columns: int) -> NDArray[np.float32]:
        """Numbers in [0, 1) for all other randomness of a step, float32 (B, columns)."""
        return self._stream(_UNIFORMS, step).random((self._batch_size, columns), np.float32)

    def seeds(self, step: int) -> NDArray[np.int32]:
        """Seeds for random numbers drawn on the device, int32 (B, 2): the step and twice the row."""
        return np.stack([np.full(self._batch_size, step), np.arange(self._batch_size) * 2], 1).astype(np.int32)

    def _shuffled(self, epoch: int) -> NDArray[np.int64]:
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._stream(_SHUFFLE, epoch).permutation(self._images)
        return self._order

    def _stream(self, purpose: int, number: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(key=[self._seed, purpose], counter=[0, 0, 0, number]))
