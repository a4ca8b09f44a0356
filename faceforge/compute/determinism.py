"""Bit-equal results from the networks of a process."""

from __future__ import annotations


def be_deterministic() -> None:
    """The same inputs give the same bits, on the same machine, from now on in this process.

    TensorFlow adds up gradients in the order in which its threads finish, unless told otherwise.
    """
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
