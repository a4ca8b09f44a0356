"""Training as a process: it is killed and goes on, and the outcome is that of an undisturbed run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SETTINGS = (
    "model.latent_size=8, model.width=4, model.max_width=8, train.kimg=1.6, train.batch_size=8, train.log_points=20,"
    "train.grids=5, train.checkpoints=50"
)


def command(data: Path, out: Path, settings: str = SETTINGS) -> list[str]:
    return [
        sys.executable, "-m", "faceforge.cli", "train", "--data", str(data), "--out", str(out), "--set", settings,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from faceforge.config import resolve
    from faceforge.data.ingest import ingest

    folder = tmp_path_factory.mktemp("data") / "toy"
    ingest("toyfaces", folder, resolve("toy", "ingest.limit=60").ingest)
    return folder


@pytest.fixture(scope="module")
def undisturbed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed")
    subprocess.run(command(data, out), check=True)
    return out


def weights(out: Path) -> list[np.ndarray]:
    from faceforge.models.bundle import Bundle

    bundle = Bundle.load(out / "bundle")
    return [np.asarray(v) for network in (bundle.generator, bundle.discriminator) for v in network.variables]


def stop_after_checkpoints(process: subprocess.Popen[str], out: Path, count: int, number: signal.Signals) -> int:
    """Sends a signal once a checkpoint of step >= `count` is there; the exit code."""
    deadline = time.monotonic() + 120
    while not any(int(path.stem.split("-")[1]) >= count for path in out.glob("checkpoints/step-*.npz")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    return process.wait(timeout=60)


def test_killed_twice_it_ends_with_the_weights_of_an_undisturbed_run(
    data: Path, undisturbed: Path, tmp_path: Path
) -> None:
    for steps in (20, 90):
        process = subprocess.Popen(command(data, tmp_path), text=True, stderr=subprocess.PIPE)
        assert stop_after_checkpoints(process, tmp_path, steps, signal.SIGKILL) == -signal.SIGKILL
    subprocess.run(command(data, tmp_path), check=True)
    for ours, theirs in zip(weights(tmp_path), weights(undisturbed), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    points = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    positions = [point["images_seen"] for point in points]
    assert positions == sorted(set(positions))
    assert len(positions) == 20
    assert len(list((tmp_path / "grids").glob("*.png"))) == 5


def test_ctrl_c_saves_and_says_how_to_go_on(data: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(command(data, tmp_path), text=True, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    assert stop_after_checkpoints(process, tmp_path, 20, signal.SIGINT) == 130
    _, said = process.communicate()
    assert "Traceback" not in said
    assert "go on" in said.splitlines()[-1]
    assert not (tmp_path / "bundle").exists()


def test_what_it_leaves(undisturbed: Path) -> None:
    from faceforge.models.bundle import BundleInfo

    info = BundleInfo.read(undisturbed / "bundle")
    assert info.labels == {"expression": ["glasses", "neutral", "smiling"]} or set(info.labels["expression"]) == {
        "glasses",
        "neutral",
        "smiling",
    }
    assert info.training["images_seen"] == 1600
    first = json.loads((undisturbed / "metrics.jsonl").read_text().splitlines()[0])
    for name in ("loss/generator", "loss/discriminator", "penalty/r1", "throughput/images_per_second"):
        assert np.isfinite(first[name])
    with Image.open(sorted((undisturbed / "grids").glob("*.png"))[-1]) as grid:
        assert grid.size == (12 * 32, 3 * 32)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("train.labels=hair", "has no label column 'hair'"),
        ("train.batch_size=4096", "fewer than one batch of 4096"),
        ("train.kmig=1", "did you mean 'train.kimg'"),
    ],
)
def test_bad_settings_are_one_line(data: Path, tmp_path: Path, settings: str, said: str) -> None:
    found = subprocess.run(
        command(data, tmp_path / "out", settings), capture_output=True, text=True, env={**os.environ, "TERM": "dumb"}
    )
    assert found.returncode == 2
    assert said in found.stderr.strip().splitlines()[-1]
    assert "Traceback" not in found.stderr
    assert not (tmp_path / "out" / "bundle").exists()


def test_unreadable_checkpoints_are_one_line(data: Path, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "step-000000010.npz").write_bytes(b"no archive")
    found = subprocess.run(command(data, tmp_path), capture_output=True, text=True)
    assert found.returncode == 2
    assert "no checkpoint in" in found.stderr.strip().splitlines()[-1]
    assert "Traceback" not in found.stderr
