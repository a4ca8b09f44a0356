"""What the networks of a training state give: samples of the averaged generator, logits, and the values to be kept."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from faceforge.compute import backend
from faceforge.data.pixels import Pixels
from faceforge.models.ranges import from_uint8, to_uint8
from faceforge.models.sampling import draw_latents
from faceforge.models.spec import BATCH_NORM_MOMENTUM, ModelSpec
from faceforge.training import spectral
from faceforge.training.step import State

AT_ONCE = 128  # images
CALIBRATION_IMAGES = 8 * AT_ONCE


class Outputs:
    """Both networks, compiled to be asked rather than trained.

    Args:
        spec: what they were built from.
        generator: of `models.build.build_networks`, for training.
        discriminator: likewise.
        codes: classes of the training images, int32 (N, columns).
        seed: of latents and labels.
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
        self._draw, self._gather, self._judge = map(backend.jit, (self._generate, self._moments, self._score))
        self._calibrated: tuple[Any, list[Any]] | None = None  # the first averaged weight; all batch-norm moments

    def sample(self, state: State, latents: NDArray[np.float32], labels: NDArray[np.int32]) -> Pixels:
        """Samples of the averaged generator, uint8 (N, H, W, C)."""
        moments = self._average_moments(state)
        images = [
            np.asarray(self._draw(state.average, moments, *given))
            for given in _chunks(latents, labels.reshape(len(latents), -1))
        ]
        return to_uint8(np.concatenate(images)[: len(latents)])

    def logits(self, state: State, images: Pixels, labels: NDArray[np.int32]) -> NDArray[np.float32]:
        """The discriminator's logits (N,) of images uint8 (N, H, W, C)."""
        weights, moments = _as_used(state), state.discriminator_statistics
        found = [np.asarray(self._judge(weights, moments, *given)) for given in _chunks(from_uint8(images), labels)]
        return np.concatenate(found)[: len(images), 0]

    def values(self, state: State) -> list[NDArray[Any]]:
        """Values of both networks' variables, in their order, as a bundle keeps them: the generator averaged."""
        values: dict[int, Any] = {}
        for variables, numbers in (
            (self._generator.trainable_variables, state.average),
            (self._generator.non_trainable_variables, self._average_moments(state)),
            (self._discriminator.trainable_variables, _as_used(state)),
            (self._discriminator.non_trainable_variables, state.discriminator_statistics),
        ):
            values |= {id(variable): value for variable, value in zip(variables, numbers, strict=True)}
        return [np.asarray(values[id(v)]) for v in (*self._generator.variables, *self._discriminator.variables)]

    def _average_moments(self, state: State) -> list[Any]:
        """Batch-norm moments of the averaged weights: those gathered in training belong to other weights.

        Each call in training mode leaves `momentum` of the old moments; from zero, and divided by what the zeros
        weigh in the end, they become a mean over batches (Kingma & Ba's bias correction). Labels come from everywhere
        in the set, which may be ordered by class.
        """
        # Several devices' states are lists made anew for every question; the tensors in them are the same.
        if self._calibrated is not None and self._calibrated[0] is state.average[0]:
            return self._calibrated[1]
        moments = [ops.zeros_like(moment) for moment in state.generator_statistics]
        if not moments:
            return moments
        chosen = np.random.default_rng(self._seed).integers(len(self._codes), size=CALIBRATION_IMAGES)
        for start in range(0, CALIBRATION_IMAGES, AT_ONCE):
            latents = draw_latents(self._seed, AT_ONCE, self._spec.latent_size, start)
            labels = self._codes[chosen[start : start + AT_ONCE]]
            moments = self._gather(state.average, moments, *map(ops.convert_to_tensor, (latents, labels)))
        zeros = BATCH_NORM_MOMENTUM ** (CALIBRATION_IMAGES // AT_ONCE)
        moments = [moment / (1.0 - zeros) for moment in moments]
        self._calibrated = state.average[0], moments
        return moments

    def _inputs(self, network: keras.Model, first: Any, labels: Any) -> Any:
        """Everything a trained network takes when labels count in full and nothing is noisy."""
        rows = first.shape[0]
        given = [first, labels] if self._spec.classes else [first]
        extra = {"weights": ops.ones((rows, 1)), "levels": ops.zeros((rows, 1), "int32")}
        given += [extra[tensor.name] for tensor in network.inputs[len(given) :]]
        return given if len(given) > 1 else given[0]

    def _moments(self, weights: list[Any], moments: list[Any], latents: Any, labels: Any) -> list[Any]:
        inputs = self._inputs(self._generator, latents, labels)
        moved: list[Any] = self._generator.stateless_call(weights, moments, inputs, training=True)[1]
        return moved

    def _generate(self, weights: list[Any], moments: list[Any], latents: Any, labels: Any) -> Any:
        inputs = self._inputs(self._generator, latents, labels)
        return self._generator.stateless_call(weights, moments, inputs, training=False)[0]

    def _score(self, weights: list[Any], moments: list[Any], images: Any, labels: Any) -> Any:
        inputs = self._inputs(self._discriminator, images, labels)
        return self._discriminator.stateless_call(weights, moments, inputs, training=False)[0]


def _as_used(state: State) -> list[Any]:
    """The discriminator's weights as its layers use them."""
    return spectral.normalise(state.discriminator, state.vectors)[0] if state.vectors else state.discriminator


def _chunks(*arrays: NDArray[Any]) -> list[list[Any]]:
    """Pieces of equal size, so that one graph serves all; the last is filled up from the beginning."""
    count = len(arrays[0])
    rows = [np.arange(start, start + AT_ONCE) % count for start in range(0, count, AT_ONCE)]
    return [[ops.convert_to_tensor(array[chosen]) for array in arrays] for chosen in rows]
