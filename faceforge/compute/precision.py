"""Which arithmetic this machine is fast in."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

# What Linux calls the x86 extensions for bfloat16; without them it is emulated, and slower than float32.
_CPU_FLAGS = {"avx512_bf16", "amx_bf16"}


def choose_precision(wanted: str, cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """A Keras dtype policy: `wanted`, or for `auto` the fastest that trains as well on this machine.

    Returns:
        `mixed_bfloat16` with a GPU or a CPU that computes in bfloat16, else `float32`. Weights, penalties' sums, logits
        and moving averages are float32 in both.
    """
    if wanted != "auto":
        return wanted
    if tf.config.list_physical_devices("GPU"):
        return "mixed_bfloat16"
    text = cpuinfo.read_text() if cpuinfo.is_file() else ""
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return "mixed_bfloat16" if _CPU_FLAGS & set(flags.split()) else "float32"
