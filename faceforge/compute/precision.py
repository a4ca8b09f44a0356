"""The number format to compute in on this machine, and the peak rate of its GPU."""

from __future__ import annotations

from pathlib import Path

from faceforge.compute import backend

# Linux' names of the x86 extensions for bfloat16. Without them bfloat16 is emulated and slower than float32.
_CPU_FLAGS = {"avx512_bf16", "amx_bf16"}


def choose_precision(setting: str, cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The Keras dtype policy for a `train.precision` setting; `auto` picks the faster one that trains as well.

    Returns:
        For `auto`, `mixed_bfloat16` where the GPUs or the CPU compute in bfloat16, else `float32`; any other setting
        unchanged. Weights, sums of penalties, logits and moving averages are float32 under both policies.
    """
    if setting != "auto":
        return setting
    if backend.accelerators():
        return "mixed_bfloat16" if backend.computes_bfloat16() else "float32"
    text = cpuinfo.read_text() if cpuinfo.is_file() else ""
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return "mixed_bfloat16" if _CPU_FLAGS & set(flags.split()) else "float32"


def use_xla(setting: str) -> bool:
    """Whether TensorFlow compiles with XLA under a `train.xla` setting; `auto` is GPUs only (XLA is slower on CPUs)."""
    return setting == "on" or (setting == "auto" and bool(backend.accelerators()))


def peak_flops(precision: str) -> float:
    """Peak floating-point operations per second of the first GPU in bfloat16, from its data sheet; 0 if unknown.

    Args:
        precision: the dtype policy in use. float32 has no single peak, because GPUs run it in several formats.
    """
    names = backend.accelerators()
    if precision != "mixed_bfloat16" or not names:
        return 0.0
    return next((peak * 1e12 for part, peak in _PEAKS.items() if part in names[0].upper()), 0.0)


# Dense bfloat16 TFLOP/s from the data sheets, longest names first.
_PEAKS = {
    **{"GH200": 989, "H200": 989, "H100 PCIE": 756, "H100": 989, "A100": 312},
    **{"L40S": 362, "L40": 181, "A10G": 70, "L4": 121},
}
