"""The functions of `faceforge.compute.backend` for TensorFlow; see there."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

Pytree = Any


def vjp(function: Callable[..., Any], *primals: Pytree, has_aux: bool = False) -> tuple[Any, ...]:
    """See `faceforge.compute.backend`."""
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(primals)
        output = function(*primals)
    value, aux = output if has_aux else (output, None)

    def pullback(cotangents: Any) -> tuple[Pytree, ...]:
        gradients = tape.gradient(
            value, primals, output_gradients=cotangents, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        return tf.nest.map_structure(tf.convert_to_tensor, gradients)  # gradients of embeddings are IndexedSlices

    return (value, pullback, aux) if has_aux else (value, pullback)


def jit(function: Callable[..., Any], xla: bool = False) -> Callable[..., Any]:
    """See `faceforge.compute.backend`; compiles once per combination of shapes and Python values."""
    return tf.function(function, autograph=False, reduce_retracing=False, jit_compile=xla or None)


def fuse(function: Callable[..., Any]) -> Callable[..., Any]:
    """See `faceforge.compute.backend`; with XLA, which is faster for such arithmetic on CPUs too."""
    return tf.function(function, autograph=False, jit_compile=True)


def accelerate(network: Any) -> Any:
    """See `faceforge.compute.backend`."""
    if accelerators():
        return network
    from faceforge.compute.cpu_layers import with_cpu_layers

    return with_cpu_layers(network)


def fold(
    step: Callable[[Pytree, Pytree], tuple[Pytree, dict[str, Any]]], state: Pytree, steps: Pytree, totals: Sequence[str]
) -> tuple[Pytree, dict[str, Any]]:
    """See `faceforge.compute.backend`; `totals` names the metrics, float32 scalars."""
    count = tf.nest.flatten(steps)[0].shape[0]
    if count == 1:
        return step(state, tf.nest.map_structure(lambda rows: rows[0], steps))

    def body(number: Any, state: Pytree, sums: dict[str, Any]) -> tuple[Any, Pytree, dict[str, Any]]:
        state, metrics = step(state, tf.nest.map_structure(lambda rows: rows[number], steps))
        return number + 1, state, {name: sums[name] + metrics[name] for name in totals}

    start = (tf.constant(0), state, {name: tf.zeros(()) for name in totals})
    _, state, sums = tf.while_loop(
        lambda number, *_: number < count, body, start, parallel_iterations=1, maximum_iterations=count
    )
    return state, sums


def normal(shape: tuple[int, ...], seed: Any) -> Any:
    """See `faceforge.compute.backend`."""
    return tf.random.stateless_normal(shape, seed)


def mean_over_replicas(tree: Pytree) -> Pytree:
    """See `faceforge.compute.backend`."""
    context = tf.distribute.get_replica_context()
    flat = tf.nest.flatten(tree)
    return tf.nest.pack_sequence_as(tree, context.all_reduce(tf.distribute.ReduceOp.MEAN, flat) if flat else flat)


def accelerators() -> list[str]:
    """See `faceforge.compute.backend`."""
    devices = tf.config.list_physical_devices("GPU")
    return [tf.config.experimental.get_device_details(device).get("device_name", "GPU") for device in devices]


def computes_bfloat16() -> bool:
    """See `faceforge.compute.backend`."""
    details = map(tf.config.experimental.get_device_details, tf.config.list_physical_devices("GPU"))
    return all(device.get("compute_capability", (8, 0)) >= (8, 0) for device in details)


def memory() -> int:
    """See `faceforge.compute.backend`; what this process may still allocate."""
    from tensorflow.python.client import device_lib  # the only API that reports it

    limits = [device.memory_limit for device in device_lib.list_local_devices() if device.device_type == "GPU"]
    return min(limits, default=0)


def be_deterministic() -> None:
    """See `faceforge.compute.backend`; sums no longer depend on the order in which threads finish."""
    tf.config.experimental.enable_op_determinism()


def version() -> dict[str, str]:
    """See `faceforge.compute.backend`."""
    return {"tensorflow": tf.__version__}


class Replicas:
    """The devices that train together: all of this machine, and with TF_CONFIG those of all workers.

    Attributes:
        count: number of devices, over all processes.
        processes: number of processes.
        chief: whether this process writes files.
        loops: whether several steps may run in one dispatch.
    """

    def __init__(self) -> None:
        # Grappler's remapping fails on branches that hold gradients: it prints errors and slows the graph down.
        tf.config.optimizer.set_experimental_options({"remapping": False})
        self._strategy: Any = None
        first = 0
        if "TF_CONFIG" in os.environ:
            self._strategy = tf.distribute.MultiWorkerMirroredStrategy()
            resolver = self._strategy.cluster_resolver
            first = resolver.task_id * self._strategy.extended._num_devices_per_worker
        elif len(tf.config.list_logical_devices("GPU")) > 1 or len(tf.config.list_logical_devices("CPU")) > 1:
            kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
            names = [device.name for device in tf.config.list_logical_devices(kind)]
            self._strategy = tf.distribute.MirroredStrategy(names)
        self.count = self._strategy.num_replicas_in_sync if self._strategy else 1
        workers = isinstance(self._strategy, tf.distribute.MultiWorkerMirroredStrategy)
        self.processes = self._strategy.cluster_resolver.cluster_spec().num_tasks("worker") if workers else 1
        self.chief = first == 0
        self._all_reduce_sum = tf.function(lambda value: self._strategy.run(_sum, [value]), autograph=False)
        self.loops = self._strategy is None  # replicas cannot synchronise inside a loop

    def compile(self, function: Callable[..., Any], xla: bool = False) -> Callable[..., Any]:
        """Compiles `function(state, steps, shared)` to run on all devices.

        State and shared come from `replicate`; steps are NumPy arrays (K, B, ...). Each replica gets its part of the
        batch axis, and calls `mean_over_replicas` where results must agree. Several
        replicas run without XLA, since they cannot synchronise inside an XLA computation.
        """
        if self._strategy is None:
            compiled = jit(function, xla)
            return lambda state, steps, shared: compiled(state, _tensors(steps), shared)
        run = tf.function(
            lambda *arguments: self._strategy.run(function, arguments), autograph=False, reduce_retracing=False
        )
        return lambda state, steps, shared: run(state, self._share(steps), shared)

    def replicate(self, tree: Pytree) -> Pytree:
        """The same arrays on every replica."""
        tensors = _tensors(tree)
        if self._strategy is None:
            return tensors
        copy = self._strategy.experimental_distribute_values_from_function
        return tf.nest.map_structure(lambda tensor: copy(lambda _: tensor), tensors)

    def first(self, tree: Pytree) -> Pytree:
        """The first replica's tensors."""
        if self._strategy is None:
            return tree
        return tf.nest.map_structure(lambda value: self._strategy.experimental_local_results(value)[0], tree)

    def agree(self, *numbers: float) -> Sequence[float]:
        """The maximum of each number over all processes; all of them must call this together."""
        if self.processes == 1:
            return numbers
        rows = np.zeros((self.processes, len(numbers)), np.float32)
        rows[self._strategy.cluster_resolver.task_id] = numbers
        each = self.count // self.processes  # all devices of a process contribute the same row
        return [
            float(number) / each for number in np.max(self.first(self._all_reduce_sum(self.replicate(rows))), axis=0)
        ]

    def _share(self, steps: Pytree) -> Pytree:
        def part(rows: Any) -> Any:
            size = rows.shape[1] // self.count

            def of(context: Any) -> Any:
                at = context.replica_id_in_sync_group * size
                return tf.convert_to_tensor(np.ascontiguousarray(rows[:, at : at + size]))

            return self._strategy.experimental_distribute_values_from_function(of)

        return tf.nest.map_structure(part, steps)


def _sum(rows: Any) -> Any:
    # The arguments are not placed on a device yet; their copies (identity) are.
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(rows))


def _tensors(tree: Pytree) -> Pytree:
    return tf.nest.map_structure(tf.convert_to_tensor, tree)
