"""The functions of `faceforge.compute.backend` for JAX; see there."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

Pytree = Any
_AXIS = "replicas"


def vjp(function: Callable[..., Any], *primals: Pytree, has_aux: bool = False) -> tuple[Any, ...]:
    """See `faceforge.compute.backend`."""
    return jax.vjp(function, *primals, has_aux=has_aux)  # type: ignore[call-overload]


def jit(function: Callable[..., Any], xla: bool = True) -> Callable[..., Any]:
    """See `faceforge.compute.backend`; JAX always compiles with XLA."""
    return jax.jit(function)


def fuse(function: Callable[..., Any]) -> Callable[..., Any]:
    """See `faceforge.compute.backend`; XLA fuses by itself."""
    return function


def accelerate(network: Any) -> Any:
    """See `faceforge.compute.backend`; there are no such layers for JAX."""
    return network


def fold(
    step: Callable[[Pytree, Pytree], tuple[Pytree, dict[str, Any]]], state: Pytree, steps: Pytree, totals: Sequence[str]
) -> tuple[Pytree, dict[str, Any]]:
    """See `faceforge.compute.backend`; `totals` names the metrics, float32 scalars."""
    if jax.tree.leaves(steps)[0].shape[0] == 1:
        return step(state, jax.tree.map(lambda rows: rows[0], steps))

    def body(carry: Pytree, row: Pytree) -> tuple[Pytree, None]:
        state, sums = carry
        state, metrics = step(state, row)
        return (state, {name: sums[name] + metrics[name] for name in totals}), None

    (state, sums), _ = lax.scan(body, (state, {name: jnp.zeros(()) for name in totals}), steps)
    return state, sums


def normal(shape: tuple[int, ...], seed: Any) -> Any:
    """See `faceforge.compute.backend`."""
    return jax.random.normal(jax.random.fold_in(jax.random.key(seed[0]), seed[1]), shape)


def mean_over_replicas(tree: Pytree) -> Pytree:
    """See `faceforge.compute.backend`."""
    return lax.pmean(tree, _AXIS)


def accelerators() -> list[str]:
    """See `faceforge.compute.backend`."""
    return [device.device_kind for device in jax.local_devices() if device.platform != "cpu"]


def computes_bfloat16() -> bool:
    """See `faceforge.compute.backend`."""
    devices = [device for device in jax.local_devices() if device.platform != "cpu"]
    return all(float(getattr(device, "compute_capability", "8.0")) >= 8 for device in devices)


def memory() -> int:
    """See `faceforge.compute.backend`."""
    limits = [device.memory_stats()["bytes_limit"] for device in jax.local_devices() if device.platform != "cpu"]
    return min(limits, default=0)


def be_deterministic() -> None:
    """See `faceforge.compute.backend`; nothing to do, since XLA adds in a fixed order on CPUs."""


def version() -> dict[str, str]:
    """See `faceforge.compute.backend`."""
    return {"jax": jax.__version__}


class Replicas:
    """The devices that train together: all of this machine, and with JAX_COORDINATOR_ADDRESS those of all machines.

    Attributes:
        count: number of devices, over all processes.
        processes: number of processes.
        chief: whether this process writes files.
        loops: whether several steps may run in one dispatch.
    """

    def __init__(self) -> None:
        if "JAX_COORDINATOR_ADDRESS" in os.environ and not jax.distributed.is_initialized():
            jax.distributed.initialize(
                num_processes=int(os.environ["JAX_NUM_PROCESSES"]), process_id=int(os.environ["JAX_PROCESS_ID"])
            )
        self.count = jax.device_count()
        self.processes = jax.process_count()
        self.chief = jax.process_index() == 0
        self.loops = jax.default_backend() != "cpu"  # on CPUs XLA runs convolutions inside a loop on one core only
        self._mesh = Mesh(np.array(jax.devices()), (_AXIS,))
        self._everywhere = NamedSharding(self._mesh, PartitionSpec())
        self._split = NamedSharding(self._mesh, PartitionSpec(None, _AXIS))

    def compile(self, function: Callable[..., Any], xla: bool = True) -> Callable[..., Any]:
        """Compiles `function(state, steps, shared)` to run on all devices.

        State and shared come from `replicate`; steps are NumPy arrays (K, B, ...). Each replica gets its part of the
        batch axis, and calls `mean_over_replicas` where results must agree.
        """
        if self.count == 1:
            return jax.jit(function)
        everywhere, split = PartitionSpec(), PartitionSpec(None, _AXIS)
        run = jax.jit(
            jax.shard_map(
                function,
                mesh=self._mesh,
                in_specs=(everywhere, split, everywhere),
                out_specs=everywhere,
                check_vma=False,
            )
        )
        return lambda state, steps, shared: run(
            state, jax.tree.map(partial(_spread, sharding=self._split), steps), shared
        )

    def replicate(self, tree: Pytree) -> Pytree:
        """The same arrays on every replica."""
        if self.count == 1:
            return jax.tree.map(jnp.asarray, tree)
        return jax.tree.map(lambda array: _spread(np.asarray(array), self._everywhere), tree)

    def first(self, tree: Pytree) -> Pytree:
        """The first replica's arrays."""
        return tree if self.count == 1 else jax.tree.map(lambda array: array.addressable_data(0), tree)

    def agree(self, *numbers: float) -> Sequence[float]:
        """The maximum of each number over all processes; all of them must call this together."""
        if self.processes == 1:
            return numbers
        return [float(number) for number in multihost_utils.process_allgather(np.array(numbers, np.float32)).max(0)]


def _spread(array: Any, sharding: NamedSharding) -> Any:
    """Distributes an array that every process holds whole: each device gets its part."""
    return jax.make_array_from_callback(array.shape, sharding, lambda part: array[part])
