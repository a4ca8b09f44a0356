"""Spectral normalisation, applied to the weights before a network is called: Miyato et al. (2018)."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

WARM_UP = 15  # power iterations on the initial weights
_TINY = 1e-8  # a kernel of zeros has no direction and is left unchanged

Tensors = list[Any]


def initial_vectors(weights: Tensors, seed: int) -> Tensors:
    """One unit vector float32 (last axis of the kernel,) for each weight of two or more dimensions, in their order.

    They approximate the kernels' first right singular vectors, by power iteration from random starts.

    Args:
        weights: all trainable weights of a network, with their values.
        seed: seed of the random starts.
    """
    rng = np.random.default_rng(seed)
    vectors = []
    for weight in weights:
        if len(weight.shape) > 1:
            matrix = np.asarray(_matrix(weight))
            vector = rng.standard_normal((matrix.shape[1],), "float32")
            vector /= np.linalg.norm(vector)
            for _ in range(WARM_UP):
                moved = matrix.T @ (matrix @ vector)
                length = np.linalg.norm(moved)
                vector = moved / length if length > _TINY else vector
            vectors.append(ops.convert_to_tensor(vector))
    return vectors


def normalise(weights: Tensors, vectors: Tensors) -> tuple[Tensors, Tensors]:
    """Each kernel W as W / sigma, sigma its largest singular value; vectors after one more power iteration.

        v = W u / |W u|,   u' = W^T v / |W^T v|,   sigma = v^T W u'

    (algorithm 1). W is the kernel as a matrix (all other axes, last axis). u' and v are treated as constants, so the
    gradient of sigma is v u'^T. Weights of one dimension are returned unchanged.

    Args:
        weights: all trainable weights of a network.
        vectors: from `initial_vectors`, or from the last call.

    Returns:
        Weights to call the network with, and the vectors for the next call.
    """
    remaining = iter(vectors)
    normal: Tensors = []
    moved: Tensors = []
    for weight in weights:
        if len(weight.shape) < 2:
            normal.append(weight)
            continue
        matrix = _matrix(weight)
        constant, u = ops.stop_gradient(matrix), ops.stop_gradient(next(remaining))
        v = _unit(ops.matmul(constant, u), 0.0)
        u = _unit(ops.matmul(v, constant), u)
        sigma = ops.sum(v * ops.matmul(matrix, u))
        normal.append(weight / ops.where(sigma > _TINY, sigma, 1.0))
        moved.append(u)
    return normal, moved


def _matrix(kernel: Any) -> Any:
    return ops.reshape(kernel, (-1, kernel.shape[-1]))


def _unit(vector: Any, otherwise: Any) -> Any:
    """The vector scaled to length 1; `otherwise` if its length is zero."""
    length = ops.sqrt(ops.sum(ops.square(vector)))
    return ops.where(length > _TINY, vector / ops.maximum(length, _TINY), otherwise)
