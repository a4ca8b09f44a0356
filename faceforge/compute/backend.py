"""What `keras.ops` lacks, for the backend that Keras runs on: TensorFlow, or JAX with KERAS_BACKEND=jax.

`compute.tensorflow` and `compute.jax` define the same functions, and this module is one of them. Nothing else in the
package differentiates, compiles or addresses several devices.

    vjp(function, *primals, has_aux=False)    value and pullback [, aux]; the pullback maps cotangents to gradients of
                                              the primals and may be called twice. Unused results are not computed.
    jit(function, xla)                        compiles a pure function of tensors
    fuse(function)                            compiles arithmetic on many arrays into one loop; for use inside `jit`
    accelerate(network)                       the same network, of layers that train faster where there are such
    fold(step, state, steps, totals)          applies `step` for each row of `steps`: the last state, and the sums of
                                              the metrics named in `totals`
    normal(shape, seed)                       standard normal numbers that depend only on `seed`, int32 (2,)
    mean_over_replicas(tree)                  the mean over devices, inside a function that `Replicas` runs
    accelerators()                            names of the visible GPUs
    computes_bfloat16()                       whether all GPUs compute in bfloat16 (NVIDIA: compute capability >= 8.0)
    be_deterministic()                        from now on the same inputs give the same bits on the same machine
    memory()                                  bytes of memory of the smallest GPU; 0 without one
    Replicas()                                the devices that train together; create it before computing anything
    version()                                 the backend's name and version
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras

from faceforge.errors import FaceForgeError

if TYPE_CHECKING or keras.backend.backend() == "tensorflow":
    from faceforge.compute.tensorflow import *  # noqa: F403
elif keras.backend.backend() == "jax":
    from faceforge.compute.jax import *  # noqa: F403
else:
    raise FaceForgeError(f"KERAS_BACKEND={keras.backend.backend()} cannot train; set it to tensorflow or jax")
