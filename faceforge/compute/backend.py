"""The few things that `keras.ops` lacks: differentiate and compile. TensorFlow's implementation.

Another backend needs the same three functions; nothing else in the package differentiates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

Pytree = Any


def vjp(function: Callable[..., Any], *primals: Pytree) -> tuple[Any, Callable[..., tuple[Pytree, ...]]]:
    """`function(*primals)` and its pullback: cotangents shaped like the output -> gradients shaped like `primals`.

    The pullback may be called several times; under `jit`, gradients that nobody reads are not computed.
    """
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(primals)
        output = function(*primals)

    def pullback(cotangents: Any) -> tuple[Pytree, ...]:
        return tape.gradient(
            output, primals, output_gradients=cotangents, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )

    return output, pullback


def grad(function: Callable[..., Any], *primals: Pytree) -> Pytree:
    """Gradients of a scalar function with respect to its primals, shaped like them (a tuple if several)."""
    output, pullback = vjp(function, *primals)
    gradients = pullback(tf.ones_like(output))
    return gradients[0] if len(primals) == 1 else gradients


def value_and_grad(function: Callable[[Pytree], Any], primal: Pytree) -> tuple[Any, Pytree]:
    """The value of a scalar function and its gradient."""
    output, pullback = vjp(function, primal)
    return output, pullback(tf.ones_like(output))[0]


def jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles a pure function of tensors; one compilation per set of shapes and Python values."""
    return tf.function(function, autograph=False, reduce_retracing=False)
