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
    """Checks that Python and the installed packages have the versions that FaceForge requires."""
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
    message = [f"FaceForge {_version('faceforge')}{revision}", f"Python {platform.python_version()}", *shown]
    return Finding("packages", "ok", " · ".join(message))


def gpu() -> Finding:
    """Checks that TensorFlow sees the machine's GPUs, if it has any (takes about ten seconds)."""
    listing = _output("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
    if listing is None:
        return Finding("GPU", "skipped", "no NVIDIA GPU; training uses the CPU")
    gpus = [line.strip() for line in listing.splitlines() if line.strip()]
    if not gpus:
        return Finding("GPU", "problem", "nvidia-smi lists no GPU", "check the driver: nvidia-smi")
    message = "; ".join(gpus)
    if _version("tensorflow-cpu"):
        return Finding("GPU", "problem", f"{message}: TensorFlow is the build for CPUs", "make setup LOCK=gpu")
    if not _version("tensorflow"):
        return Finding("GPU", "skipped", f"{message}; TensorFlow is not installed")
    seen = (_output(sys.executable, "-P", "-c", _COUNT_GPUS) or "").rpartition("GPUs ")[2].strip()
    if seen != str(len(gpus)):
        return Finding(
            "GPU",
            "problem",
            f"{message}: TensorFlow sees {seen or 'none'} of {len(gpus)}",
            "install the CUDA libraries (make setup LOCK=gpu) and a matching driver; see CUDA_VISIBLE_DEVICES",
        )
    return Finding("GPU", "ok", message)


def shared_memory(folder: Path = Path("/dev/shm")) -> Finding:  # noqa: S108
    """Checks the size of /dev/shm: too small a one causes bus errors in the middle of training."""
    check = "/dev/shm"  # noqa: S108
    if not folder.is_dir():
        return Finding(check, "skipped", f"no {folder} on this system")
    size = shutil.disk_usage(folder).total
    if size < _GIB // 4:
        remedy = "on a cluster: faceforge pipeline compile --shm-size 2Gi; in Docker: --shm-size 2g"
        return Finding(check, "warning", f"only {size / 2**20:,.0f} MiB", remedy)
    return Finding(check, "ok", f"{size / _GIB:,.1f} GiB")


def disk(folder: Path = Path()) -> Finding:
    """Checks that the working folder and the temporary folder are writable and have free space."""
    places = {path.resolve(): shutil.disk_usage(path).free for path in (folder, Path(tempfile.gettempdir()))}
    message = " · ".join(f"{path}: {free / _GIB:,.0f} GiB free" for path, free in places.items())
    read_only = [str(path) for path in places if not os.access(path, os.W_OK)]
    if read_only:
        return Finding("disk", "problem", f"{', '.join(read_only)} is read-only", "use another folder or TMPDIR")
    least = min(places.values())
    if least < 5 * _GIB:
        return Finding(
            "disk", "problem" if least < _GIB else "warning", message, "free some space, or set TMPDIR to another disk"
        )
    return Finding("disk", "ok", message)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _output(*command: str) -> str | None:
    """Output of a program; None = it is not installed."""
    if shutil.which(command[0]) is None:
        return None
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False).stdout  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ""
