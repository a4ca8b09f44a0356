"""The few things that `keras.ops` lacks, by the backend that Keras runs on: TensorFlow, or JAX with KERAS_BACKEND=jax.

Each of `compute.tensorflow` and `compute.jax` has the same functions; nothing else in the package differentiates,
compiles or talks to several devices.

    vjp(function, *primals, has_aux=False)    value, pullback [, aux]: cotangents -> gradients of the primals; the
                                              pullback may be called twice, what nobody reads is not computed
    jit(function, xla)                        compiles a pure function of tensors
    fuse(function)                            arithmetic on many arrays, within a compiled function, as one loop
    fold(step, state, steps, totals)          the state after `step` for each row of `steps`, and its metrics summed up
    normal(shape, seed)                       standard normal numbers that depend on `seed`, int32 (2,), alone
    mean_over_replicas(tree)                  inside a function that `Replicas` runs on several devices
    accelerators()                            names of the GPUs in sight
    computes_bfloat16()                       whether all of them do: NVIDIA's do from compute capability 8.0
    be_deterministic()                        the same inputs give the same bits on the same machine, from now on
    memory()                                  bytes that a GPU has
    Replicas()                                the devices that train together; made before anything is computed
    version()                                 of the backend, for records
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras

from faceforge.errors import FaceForgeError

if TYPE_CHECKING or keras.backend.backend() == "tensorflow":
    from faceforge.compute.tensorflow import (
        Replicas,
        accelerators,
        be_deterministic,
        computes_bfloat16,
        fold,
        fuse,
        jit,
        mean_over_replicas,
        memory,
        normal,
        version,
        vjp,
    )
elif keras.backend.backend() == "jax":
    from faceforge.compute.jax import (
        Replicas,
        accelerators,
        be_deterministic,
        computes_bfloat16,
        fold,
        fuse,
        jit,
        mean_over_replicas,
        memory,
        normal,
        version,
        vjp,
    )
else:
    raise FaceForgeError(f"KERAS_BACKEND={keras.backend.backend()} cannot train; set it to tensorflow or jax")

__all__ = [
    "Replicas",
    "accelerators",
    "be_deterministic",
    "computes_bfloat16",
    "fold",
    "fuse",
    "jit",
    "mean_over_replicas",
    "memory",
    "normal",
    "version",
    "vjp",
]
