"""Which arithmetic this machine is fast in."""

from __future__ import annotations

from pathlib import Path

from faceforge.compute import backend

# What Linux calls the x86 extensions for bfloat16; without them it is emulated, and slower than float32.
_CPU_FLAGS = {"avx512_bf16", "amx_bf16"}


def choose_precision(wanted: str, cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """A Keras dtype policy: `wanted`, or for `auto` the fastest that trains as well on this machine.

    Returns:
        `mixed_bfloat16` with GPUs or a CPU that compute in bfloat16, else `float32`. Weights, penalties' sums, logits
        and moving averages are float32 in both.
    """
    if wanted != "auto":
        return wanted
    if backend.accelerators():
        return "mixed_bfloat16" if backend.computes_bfloat16() else "float32"
    text = cpuinfo.read_text() if cpuinfo.is_file() else ""
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return "mixed_bfloat16" if _CPU_FLAGS & set(flags.split()) else "float32"


def use_xla(wanted: str) -> bool:
    """Whether TensorFlow compiles by XLA: `on`, `off`, or for `auto` on GPUs only, since it is slower on CPUs."""
    return wanted == "on" or (wanted == "auto" and bool(backend.accelerators()))


def peak_flops(precision: str) -> float:
    """What the first GPU could do per second in bfloat16, as its maker says; 0 where that is not known.

    Args:
        precision: the dtype policy in use; float32 runs in one of several formats, so that there is no one peak.
    """
    names = backend.accelerators()
    if precision != "mixed_bfloat16" or not names:
        return 0.0
    return next((peak * 1e12 for part, peak in _PEAKS.items() if part in names[0].upper()), 0.0)


# Dense bfloat16 TFLOP/s from the data sheets, the longest matching names first.
_PEAKS = {
    **{"GH200": 989, "H200": 989, "H100 PCIE": 756, "H100": 989, "A100": 312},
    **{"L40S": 362, "L40": 181, "A10G": 70, "L4": 121},
}
