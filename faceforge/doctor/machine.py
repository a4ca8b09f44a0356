"""Checks of this machine: packages, GPU, shared memory, disk."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from faceforge.doctor.finding import Finding

_GIB = 2**30
_SHOWN = ("mlflow", "keras", "tensorflow", "tensorflow-cpu", "kfp")
_COUNT_GPUS = "import tensorflow as tf; print('GPUs', len(tf.config.list_physical_devices('GPU')))"


def packages() -> Finding:
    """Whether Python and the installed packages are the versions that FaceForge asks for."""
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    from faceforge.tracking.revision import code_revision

    wrong = []
    python = metadata.metadata("faceforge")["Requires-Python"]
    if platform.python_version() not in SpecifierSet(python):
        wrong.append(f"Python {platform.python_version()} (needs {python})")
    for text in metadata.requires("faceforge") or []:
        requirement = Requirement(text)
        needed = requirement.marker is None or requirement.marker.evaluate({"extra": "core"})
        version = _version(requirement.name)
        if version and version not in requirement.specifier:
            wrong.append(f"{requirement.name} {version} (needs {requirement.specifier})")
        elif not version and needed:
            wrong.append(f"{requirement.name} is missing")
    if wrong:
        return Finding(
            "packages", "problem", ", ".join(dict.fromkeys(wrong)), "install the locked packages: make setup"
        )
    shown = [f"{name} {version}" for name in _SHOWN if (version := _version(name))]
    revision = f" ({code_revision()[:12]})" if code_revision() else ""
    told = [f"FaceForge {_version('faceforge')}{revision}", f"Python {platform.python_version()}", *shown]
    return Finding("packages", "ok", " · ".join(told))


def gpu() -> Finding:
    """Whether there is a GPU, and TensorFlow sees it (which takes it some ten seconds)."""
    listing = _output("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
    if listing is None:
        return Finding("GPU", "skipped", "no NVIDIA GPU here; training uses the CPU")
    gpus = [line.strip() for line in listing.splitlines() if line.strip()]
    if not gpus:
        return Finding("GPU", "problem", "nvidia-smi lists no GPU", "check the driver: nvidia-smi")
    told = "; ".join(gpus)
    if _version("tensorflow-cpu"):
        return Finding("GPU", "problem", f"{told}: TensorFlow is the build for CPUs", "make setup LOCK=gpu")
    if not _version("tensorflow"):
        return Finding("GPU", "skipped", f"{told}; TensorFlow is not installed")
    seen = (_output(sys.executable, "-P", "-c", _COUNT_GPUS) or "").rpartition("GPUs ")[2].strip()
    if seen != str(len(gpus)):
        return Finding(
            "GPU",
            "problem",
            f"{told}: TensorFlow sees {seen or 'none'} of {len(gpus)}",
            "install the CUDA libraries (make setup LOCK=gpu) and a driver that suits them; see CUDA_VISIBLE_DEVICES",
        )
    return Finding("GPU", "ok", told)


def shared_memory(folder: Path = Path("/dev/shm")) -> Finding:  # noqa: S108
    """Whether /dev/shm suffices: too little shows as bus errors in the middle of training."""
    check = "/dev/shm"  # noqa: S108
    if not folder.is_dir():
        return Finding(check, "skipped", f"no {folder} on this system")
    size = shutil.disk_usage(folder).total
    if size < _GIB // 4:
        remedy = "on a cluster: faceforge pipeline compile --shm-size 2Gi; in Docker: --shm-size 2g"
        return Finding(check, "warning", f"only {size / 2**20:,.0f} MiB", remedy)
    return Finding(check, "ok", f"{size / _GIB:,.1f} GiB")


def disk(folder: Path = Path()) -> Finding:
    """Whether the working folder and the folder of temporary files can be written to and have room."""
    places = {path.resolve(): shutil.disk_usage(path).free for path in (folder, Path(tempfile.gettempdir()))}
    told = " · ".join(f"{path}: {free / _GIB:,.0f} GiB free" for path, free in places.items())
    locked = [str(path) for path in places if not os.access(path, os.W_OK)]
    if locked:
        return Finding("disk", "problem", f"{', '.join(locked)} is read-only", "work in another folder, or set TMPDIR")
    least = min(places.values())
    if least < 5 * _GIB:
        return Finding(
            "disk", "problem" if least < _GIB else "warning", told, "make room, or set TMPDIR to another disk"
        )
    return Finding("disk", "ok", told)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _output(*command: str) -> str | None:
    """What a program prints; None = there is no such program."""
    if shutil.which(command[0]) is None:
        return None
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False).stdout  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ""
