"""Trains the classifiers that are compared: the network of the domain metrics, compiled once and trained many times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceforge.data.pixels import Pixels, map_ordered
from faceforge.evaluation.domain_classifier import WEIGHT_DECAY, classifier_network, network_outputs
from faceforge.progress import Progress
from faceforge.usefulness.jitter import jitter_batch
from faceforge.usefulness.methods import REAL, Phase, Pool

BATCH = 64


class Trainer:
    """Trains one architecture on images of a pool.

    Args:
        pool: the images.
        steps: of each training, over all its phases.
        flip: whether images are mirrored at random.
    """

    def __init__(self, pool: Pool, steps: int, flip: bool) -> None:
        import keras

        from faceforge.compute import backend

        backend.be_deterministic()
        self._pool, self._steps, self._flip = pool, steps, flip
        self._network = self._fresh_network(0)
        # The offset is an input so that all methods share one compiled function.
        offset = keras.Input((pool.classes,), name="offset")
        logits = keras.layers.Add(dtype="float32", name="adjusted")([self._network.outputs[1], offset])
        self._model = keras.Model([self._network.inputs[0], offset], logits, name="usefulness")
        self._optimizer = keras.optimizers.AdamW(1e-3, weight_decay=WEIGHT_DECAY)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self._model.compile(optimizer=self._optimizer, loss=loss, jit_compile=False)
        self._optimizer.build(self._model.trainable_variables)
        counts = np.bincount(pool.codes[pool.origin == REAL], minlength=pool.classes)
        self._log_frequencies = np.log(np.maximum(counts, 0.5) / counts.sum()).astype(np.float32)

    def train(self, phases: Sequence[Phase], seed: int, progress: Progress, note: str = "") -> None:
        """Trains from fresh weights; the same seed gives the same weights and the same order of random numbers.

        Args:
            phases: in order.
            seed: of weights, batches and jitter.
            progress: counts the steps.
            note: shown beside the progress.
        """
        self._network.set_weights(self._fresh_network(seed).get_weights())
        for variable in self._optimizer.variables:
            variable.assign(np.zeros(variable.shape, variable.dtype))
        for number, phase in enumerate(phases):
            self._run(phase, np.random.default_rng([seed, number]), progress, note)

    def logits(self, images: Pixels) -> NDArray[np.float32]:
        """Logits (N, classes) of images uint8 (N, S, S, C), by the classifier trained last."""
        return network_outputs(self._network, images)[1]

    def _run(self, phase: Phase, rng: np.random.Generator, progress: Progress, note: str) -> None:
        steps = max(round(self._steps * phase.share), 1)
        rows = rng.choice(len(self._pool.codes), (steps, BATCH), p=phase.probability)
        seeds = rng.integers(0, 2**63, steps)
        frequencies = self._log_frequencies if phase.adjusted else np.zeros_like(self._log_frequencies)
        offset = np.tile(frequencies, (BATCH, 1))
        batches = map_ordered(lambda step: self._batch(rows[step], seeds[step], phase.jitter), range(steps))
        for step, images in enumerate(batches):
            self._optimizer.learning_rate.assign(phase.learning_rate * (1 + math.cos(math.pi * step / steps)) / 2)
            self._model.train_on_batch([images, offset], self._pool.codes[rows[step]])
            progress.advance(1, note=note)

    def _batch(self, rows: NDArray[np.integer], seed: int, jittered: bool) -> Pixels:
        images, rng = self._pool.images[rows], np.random.default_rng(seed)
        if self._flip:
            mirrored = rng.random(len(rows)) < 0.5
            images[mirrored] = images[mirrored][:, :, ::-1]
        return jitter_batch(images, rng) if jittered else images

    def _fresh_network(self, seed: int) -> Any:
        _, size, _, channels = self._pool.images.shape
        return classifier_network(size, channels, [self._pool.classes], 64, seed)
