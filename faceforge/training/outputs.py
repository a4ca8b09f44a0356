"""Samples, logits and final weights of the networks in a training state."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from faceforge.compute import backend
from faceforge.data.pixels import Pixels
from faceforge.models.ranges import from_uint8, tensor_to_uint8
from faceforge.models.sampling import draw_latents
from faceforge.models.spec import BATCH_NORM_MOMENTUM, ModelSpec
from faceforge.training import spectral
from faceforge.training.state import State

CHUNK = 128  # images
CALIBRATION_IMAGES = 8 * CHUNK


class Outputs:
    """Both networks, compiled for inference.

    Args:
        spec: architecture and sizes.
        generator: from `models.build.build_networks`, as it is trained.
        discriminator: the same.
        codes: class codes of the training images, int32 (N, columns).
        seed: seed of the latents and labels that batch-norm moments are computed from.
    """

    def __init__(
        self,
        spec: ModelSpec,
        generator: keras.Model,
        discriminator: keras.Model,
        codes: NDArray[np.int32],
        seed: int,
    ) -> None:
        self._spec, self._generator, self._discriminator = spec, generator, discriminator
        self._codes, self._seed = codes, seed
        self._jit_generate, self._jit_moments, self._jit_score = map(
            backend.jit, (self._generate, self._moments, self._score)
        )
        self._calibrated: tuple[Any, list[Any]] | None = None  # the first averaged weight, and all batch-norm moments

    def sample(self, state: State, latents: NDArray[np.float32], labels: NDArray[np.int32]) -> Pixels:
        """Samples of the averaged generator, uint8 (N, H, W, C)."""
        moments = self._average_moments(state)
        images = [
            np.asarray(self._jit_generate(state.average, moments, *chunk))
            for chunk in _chunks(latents, labels.reshape(len(latents), -1))
        ]
        return np.concatenate(images)[: len(latents)]

    def logits(self, state: State, images: Pixels, labels: NDArray[np.int32]) -> NDArray[np.float32]:
        """The discriminator's logits (N,) of images uint8 (N, H, W, C)."""
        weights, moments = _effective_weights(state), state.discriminator_statistics
        logits = [
            np.asarray(self._jit_score(weights, moments, *chunk)) for chunk in _chunks(from_uint8(images), labels)
        ]
        return np.concatenate(logits)[: len(images), 0]

    def values(self, state: State) -> list[NDArray[Any]]:
        """Values of both networks' variables for a bundle, in their order; the generator's are the moving average."""
        values: dict[int, Any] = {}
        for variables, numbers in (
            (self._generator.trainable_variables, state.average),
            (self._generator.non_trainable_variables, self._average_moments(state)),
            (self._discriminator.trainable_variables, _effective_weights(state)),
            (self._discriminator.non_trainable_variables, state.discriminator_statistics),
        ):
            values |= {id(variable): value for variable, value in zip(variables, numbers, strict=True)}
        return [np.asarray(values[id(v)]) for v in (*self._generator.variables, *self._discriminator.variables)]

    def _average_moments(self, state: State) -> list[Any]:
        """Batch-norm moments for the averaged weights; those from training belong to the unaveraged ones.

        Each call in training mode keeps `momentum` of the old moments. Starting at zero and divided by one minus the
        zeros' final weight, they become a mean over batches (Kingma & Ba's bias correction). Labels are drawn from the
        whole set, because it may be ordered by class.
        """
        # With several devices the state's lists are new objects on every call, but the tensors in them stay the same.
        if self._calibrated is not None and self._calibrated[0] is state.average[0]:
            return self._calibrated[1]
        moments = [ops.zeros_like(moment) for moment in state.generator_statistics]
        if not moments:
            return moments
        chosen = np.random.default_rng(self._seed).integers(len(self._codes), size=CALIBRATION_IMAGES)
        for start in range(0, CALIBRATION_IMAGES, CHUNK):
            latents = draw_latents(self._seed, CHUNK, self._spec.latent_size, start)
            labels = self._codes[chosen[start : start + CHUNK]]
            moments = self._jit_moments(state.average, moments, *map(ops.convert_to_tensor, (latents, labels)))
        zeros = BATCH_NORM_MOMENTUM ** (CALIBRATION_IMAGES // CHUNK)
        moments = [moment / (1.0 - zeros) for moment in moments]
        self._calibrated = state.average[0], moments
        return moments

    def _inputs(self, network: keras.Model, first: Any, labels: Any) -> Any:
        """All inputs of a trained network, with label weights of 1 and noise level 0."""
        rows = first.shape[0]
        inputs = [first, labels] if self._spec.classes else [first]
        extra = {"weights": ops.ones((rows, 1)), "levels": ops.zeros((rows, 1), "int32")}
        inputs += [extra[tensor.name] for tensor in network.inputs[len(inputs) :]]
        return inputs if len(inputs) > 1 else inputs[0]

    def _moments(self, weights: list[Any], moments: list[Any], latents: Any, labels: Any) -> list[Any]:
        inputs = self._inputs(self._generator, latents, labels)
        updated: list[Any] = self._generator.stateless_call(weights, moments, inputs, training=True)[1]
        return updated

    def _generate(self, weights: list[Any], moments: list[Any], latents: Any, labels: Any) -> Any:
        inputs = self._inputs(self._generator, latents, labels)
        return tensor_to_uint8(self._generator.stateless_call(weights, moments, inputs, training=False)[0])

    def _score(self, weights: list[Any], moments: list[Any], images: Any, labels: Any) -> Any:
        inputs = self._inputs(self._discriminator, images, labels)
        return self._discriminator.stateless_call(weights, moments, inputs, training=False)[0]


def _effective_weights(state: State) -> list[Any]:
    """The discriminator's weights, after spectral normalisation where the recipe has it."""
    return spectral.normalise(state.discriminator, state.vectors)[0] if state.vectors else state.discriminator


def _chunks(*arrays: NDArray[Any]) -> list[list[Any]]:
    """Chunks of equal size, so that they share one graph; the last is filled up from the start."""
    count = len(arrays[0])
    rows = [np.arange(start, start + CHUNK) % count for start in range(0, count, CHUNK)]
    return [[ops.convert_to_tensor(array[chosen]) for array in arrays] for chosen in rows]
