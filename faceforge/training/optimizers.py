"""Optimizers as pure functions of lists of tensors, so that a training state consists of arrays only."""

from __future__ import annotations

from typing import Any

from keras import ops

Tensors = list[Any]


def slots(optimizer: str) -> int:
    """Number of state arrays per parameter, each of the parameter's shape."""
    return {"adam": 2, "rmsprop": 1}[optimizer]


def update(
    optimizer: str, parameters: Tensors, gradients: Tensors, state: list[Tensors], hyper: dict[str, Any]
) -> tuple[Tensors, list[Tensors]]:
    """One update: new parameters and state. `hyper` has float32 scalars learning_rate, beta1, beta2, time (from 1)."""
    return (
        adam(parameters, gradients, state, hyper)
        if optimizer == "adam"
        else rmsprop(parameters, gradients, state, hyper)
    )


def adam(
    parameters: Tensors, gradients: Tensors, state: list[Tensors], hyper: dict[str, Any], epsilon: float = 1e-8
) -> tuple[Tensors, list[Tensors]]:
    """Kingma & Ba (2015), algorithm 1, with bias correction."""
    beta1, beta2, time = hyper["beta1"], hyper["beta2"], hyper["time"]
    step = hyper["learning_rate"] * ops.sqrt(1.0 - ops.power(beta2, time)) / (1.0 - ops.power(beta1, time))
    # Bias correction is folded into the step size, so epsilon is scaled to keep the form equal to the paper's.
    floor = epsilon * ops.sqrt(1.0 - ops.power(beta2, time))
    means = [beta1 * m + (1.0 - beta1) * g for m, g in zip(state[0], gradients, strict=True)]
    squares = [beta2 * v + (1.0 - beta2) * ops.square(g) for v, g in zip(state[1], gradients, strict=True)]
    moved = [p - step * m / (ops.sqrt(v) + floor) for p, m, v in zip(parameters, means, squares, strict=True)]
    return moved, [means, squares]


def rmsprop(
    parameters: Tensors, gradients: Tensors, state: list[Tensors], hyper: dict[str, Any], epsilon: float = 1e-7
) -> tuple[Tensors, list[Tensors]]:
    """Tieleman & Hinton (2012), lecture 6.5; rho is `beta2`."""
    rho = hyper["beta2"]
    squares = [rho * v + (1.0 - rho) * ops.square(g) for v, g in zip(state[0], gradients, strict=True)]
    moved = [
        p - hyper["learning_rate"] * g / (ops.sqrt(v) + epsilon)
        for p, g, v in zip(parameters, gradients, squares, strict=True)
    ]
    return moved, [squares]
