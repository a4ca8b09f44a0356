"""The same training by TensorFlow and JAX, on one device, several of a process, and those of several processes."""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from faceforge.compute.workers import environment
from faceforge.errors import FaceForgeError
from faceforge.training.checkpoint import load_checkpoint, save_checkpoint
from tests.compute import trainer

# Of how far each array has moved. Sums in another order make 1e-5; one step of ten with another batch, seed, rate or
# penalty makes more than 1e-1.
TOLERANCE = 1e-3
needs_jax = pytest.mark.skipif(not importlib.util.find_spec("jax"), reason="jax is not installed")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Call with a variant: a folder with its `start`, and with `end` and `bundle` after ten steps of TensorFlow."""

    @cache
    def train(variant: str) -> Path:
        folder = tmp_path_factory.mktemp(variant)
        run = trainer.start(variant)
        save_checkpoint(folder / "start", run.checkpoint(), {})
        for _ in range(trainer.STEPS):
            run.advance()
        save_checkpoint(folder / "end", run.checkpoint(), {})
        trainer.write(run, variant, folder / "bundle")
        return folder

    return train


@pytest.fixture
def together(alone: Callable[[str], Path], tmp_path: Path) -> Callable[..., Path]:
    """Call with backend, devices and processes: the same steps by these; the folder that they wrote."""

    def train(backend: str, devices: int, processes: int, *variants: str) -> Path:
        for variant in variants:
            shutil.copytree(alone(variant) / "start", tmp_path / variant / "start")
            shutil.copytree(alone(variant) / "bundle", tmp_path / variant / "theirs")
        variables = os.environ | {
            "KERAS_BACKEND": backend,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices // processes} "
            "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",  # compiles sooner
        }
        hosts = [f"127.0.0.1:{free_port()}" for _ in range(processes)]
        command = [sys.executable, "-m", "tests.compute.trainer", str(tmp_path), str(devices), *variants]
        workers = [
            subprocess.Popen(command, env=variables | (environment(index, hosts) if processes > 1 else {}))
            for index in range(processes)
        ]
        try:
            assert [worker.wait(timeout=900) for worker in workers] == [0] * processes
        finally:
            for worker in workers:
                worker.kill()
        return tmp_path

    return train


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def assert_same_training(ours: Path, theirs: Path) -> None:
    """Two checkpoints after the same steps from the same start."""
    first, one, other = (load_checkpoint(place, {}) for place in (theirs.parent / "start", ours, theirs))
    assert first is not None
    assert one is not None
    assert other is not None
    assert one.step == other.step == trainer.STEPS
    for number, (before, a, b) in enumerate(zip(first.arrays, one.arrays, other.arrays, strict=True)):
        moved = float(np.max(np.abs(b - before), initial=0.0))
        np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE * moved + 1e-9, err_msg=f"array {number}")
    assert not np.array_equal(first.arrays[0], other.arrays[0])


@needs_jax
def test_jax_trains_as_tensorflow_does_and_each_reads_the_others_files(
    alone: Callable[[str], Path], together: Callable[..., Path]
) -> None:
    """TensorFlow cannot be imported there."""
    theirs, ours = alone("compact"), together("jax", 1, 1, "compact") / "compact"
    assert_same_training(ours / "end", theirs / "end")
    drawn = np.load(ours / "images.npz")
    for name, bundle in {"ours": ours / "bundle", "theirs": theirs / "bundle"}.items():
        images = trainer.draw(bundle)
        assert images.std() > 1
        assert np.abs(drawn[name].astype(int) - images.astype(int)).max() <= 1  # of 255: rounded to either side


@needs_jax
def test_two_jax_processes_of_two_devices_each(alone: Callable[[str], Path], together: Callable[..., Path]) -> None:
    theirs = alone("no_batch_norm")
    assert_same_training(together("jax", 4, 2, "no_batch_norm") / "no_batch_norm" / "end", theirs / "end")


def test_devices_share_a_batch_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faceforge.compute.backend.Replicas", lambda: SimpleNamespace(count=3))
    with pytest.raises(
        FaceForgeError, match=r"train\.batch_size = 4 cannot be shared by 3 devices; make it a multiple"
    ):
        trainer.start("dcgan")


def test_two_devices_of_a_tensorflow_process(alone: Callable[[str], Path], together: Callable[..., Path]) -> None:
    theirs = alone("no_batch_norm")
    assert_same_training(together("tensorflow", 2, 1, "no_batch_norm") / "no_batch_norm" / "end", theirs / "end")


def test_two_tensorflow_processes(alone: Callable[[str], Path], together: Callable[..., Path]) -> None:
    theirs = alone("no_batch_norm")
    assert_same_training(together("tensorflow", 2, 2, "no_batch_norm") / "no_batch_norm" / "end", theirs / "end")
