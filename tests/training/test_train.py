"""Training as a process: it is killed and resumed, and the result equals that of an uninterrupted run."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from faceforge.errors import FaceForgeError
from faceforge.files import exclusive_lock
from tests.training.forks import Command, forks, kill_when

SIZES = "model.latent_size=8, model.width=4, model.max_width=8, train.batch_size=8, train.log_points=20, train.grids=5"
# All that has a state of its own (penalties have none): moving strength, vectors, noise, dropout, the best so far.
SETTINGS = (
    f"{SIZES}, train.kimg=0.8, train.checkpoints=50, train.gamma=0, train.diffaugment=flip+noise,"
    "train.diffaugment_target=0.3, train.spectral_norm=true, train.label_dropout=0.2, train.label_ramp=0.5,"
    "train.beta2_final=0.99"
)
STEPS = 100

Training = Callable[..., Command]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from faceforge.config import resolve
    from faceforge.data.ingest.build import build_image_set

    folder = tmp_path_factory.mktemp("data") / "toy"
    build_image_set("toyfaces", folder, resolve("toy", "ingest.limit=60").ingest)
    return folder


def arguments(data: Path, out: Path, settings: str = SETTINGS) -> list[str]:
    return ["train", "--data", str(data), "--out", str(out), "--set", settings]


@pytest.fixture(scope="module")
def training(data: Path) -> Iterator[Training]:
    """Starts `faceforge train` into a folder, by settings."""
    with forks() as fork:
        yield lambda out, settings=SETTINGS: fork(arguments(data, out, settings), out.with_name(f"{out.name}.log"))


@pytest.fixture(scope="module")
def uninterrupted(training: Training, tmp_path_factory: pytest.TempPathFactory) -> tuple[Command, Path]:
    """A run that may still be running: there are two cores."""
    out = tmp_path_factory.mktemp("uninterrupted") / "out"
    return training(out), out


def weights(out: Path) -> list[np.ndarray]:
    from faceforge.models.bundle import Bundle

    bundle = Bundle.load(out / "bundle")
    assert bundle.discriminator is not None
    return [np.asarray(v.value) for network in (bundle.generator, bundle.discriminator) for v in network.variables]


def record(out: Path) -> dict[str, Any]:
    from faceforge.models.bundle import BundleInfo

    return BundleInfo.read(out / "bundle").training


def points(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def saved(out: Path) -> int:
    """The newest checkpoint's step."""
    return max((int(path.stem.split("-")[1]) for path in out.glob("checkpoints/step-*.npz")), default=0)


def reached(out: Path, step: int) -> bool:
    return saved(out) >= step


def test_a_run_killed_ten_times_ends_with_the_weights_of_an_uninterrupted_one(
    training: Training, uninterrupted: tuple[Command, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    rng = np.random.default_rng(11)
    for step in sorted(rng.integers(0, STEPS - 10, 10)):
        command = training(out)
        kill_when(partial(reached, out, step), command.pid, signal.SIGKILL, delay=rng.uniform(0, 0.2))
        assert command.wait() == -signal.SIGKILL
    last = training(out)
    assert last.wait() == 0, last.said
    theirs = uninterrupted[1]
    assert uninterrupted[0].wait() == 0, uninterrupted[0].said
    for ours, other in zip(weights(out), weights(theirs), strict=True):
        np.testing.assert_array_equal(ours, other)
    assert record(out)["best_score"] == record(theirs)["best_score"]
    positions = [point["images_seen"] for point in points(out)]
    assert positions == [point["images_seen"] for point in points(theirs)] == sorted(set(positions))
    checks = [[p["images_seen"] for p in points(o) if "holdout/sliced_wasserstein" in p] for o in (out, theirs)]
    assert checks[0] == checks[1] == [160, 320, 480, 640, 800]
    strengths = [point["diffaugment/strength"] for point in points(theirs)]
    assert len(set(strengths)) > 5
    for folder in ("grids", "checkpoints"):
        assert sorted(p.name for p in (out / folder).iterdir()) == sorted(p.name for p in (theirs / folder).iterdir())


def test_files_of_a_finished_run(uninterrupted: tuple[Command, Path]) -> None:
    from faceforge.models.bundle import BundleInfo

    command, out = uninterrupted
    if not (out / "bundle").exists():
        assert command.wait() == 0
    info = BundleInfo.read(out / "bundle")
    assert set(info.labels["expression"]) == {"glasses", "neutral", "smiling"}
    assert info.training["images_seen"] == 800
    assert len(points(out)) == 20
    for name in ("loss/generator", "loss/discriminator", "samples/variety", "throughput/images_per_second"):
        assert np.isfinite(points(out)[1][name])
    grids = sorted((out / "grids").glob("*.png"))
    assert len(grids) == 5
    for picture, rows in ((grids[-1], 3), (out / "interpolations.png", 6)):
        with Image.open(picture) as grid:
            assert grid.size == (12 * 32, rows * 32)


def test_ctrl_c_saves_and_reports_how_to_continue(data: Path, tmp_path: Path) -> None:
    """A process from the command line, with nothing prepared; its checkpoints but the last are written by the clock."""
    settings = f"{SIZES}, train.checkpoints=1, train.checkpoint_minutes=0.001"
    process = subprocess.Popen(
        [sys.executable, "-m", "faceforge.cli.main", *arguments(data, tmp_path, settings)],
        text=True,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    kill_when(lambda: saved(tmp_path) > 0, process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert f"stopped after {saved(tmp_path) * 8:,} images; run the same command to continue" in said.splitlines()[-1]
    assert not (tmp_path / "bundle").exists()


def test_losses_that_stay_infinite_end_the_run_after_three_rollbacks(training: Training, tmp_path: Path) -> None:
    """From a checkpoint whose weights are finite but lead nowhere."""
    out = tmp_path / "out"
    settings = f"{SIZES}, train.kimg=1.6, train.checkpoints=50"
    command = training(out, settings)
    kill_when(lambda: saved(out) > 0, command.pid, signal.SIGKILL)
    command.wait()
    newest = max((out / "checkpoints").glob("step-*.npz"))
    with np.load(newest) as archive:
        arrays = dict(archive)
    bad = {name: array * np.float32(1e12) for name, array in arrays.items() if array.dtype == np.float32}
    np.savez(newest, **arrays | bad)
    command = training(out, settings)
    assert command.wait() == 2, command.said
    assert "3 rollbacks with a lower learning rate did not help" in command.said.splitlines()[-1]
    assert command.said.count("back to the last checkpoint, with half the learning rate") == 3
    assert "Traceback" not in command.said
    assert not (out / "bundle").exists()
    assert max((out / "checkpoints").glob("step-*.npz")) == newest  # nothing bad was kept
    last = points(out)[-3:]
    assert all(math.isfinite(value) for point in last for value in point.values())
    assert [point["skipped"] for point in last] == [1, 1, 1]
    assert "loss/generator" not in last[-1]
    before, after = (last[n]["schedule/learning_rate"] for n in (0, -1))
    assert after == pytest.approx(before / 4, rel=0.1)


def test_a_store_that_fails_sometimes_does_not_end_the_run(training: Training, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = training(out, f"{SIZES}, train.kimg=1.6, train.checkpoints=50")
    kill_when(lambda: saved(out) > 0, command.pid, signal.SIGSTOP)
    place = out / "checkpoints"
    place.rename(tmp_path / "gone")
    place.write_text("no folder")
    os.kill(command.pid, signal.SIGCONT)
    assert command.wait() == 0, command.said
    assert "checkpoints cannot be written to" in command.said
    assert (out / "bundle").is_dir()


def test_patience_stops_a_run_that_no_longer_improves(training: Training, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = training(out, f"{SIZES}, train.kimg=16, train.grids=200, train.patience=2")
    assert command.wait() == 0, command.said
    scores = [p["holdout/sliced_wasserstein"] for p in points(out) if "holdout/sliced_wasserstein" in p]
    assert record(out)["images_seen"] < 16_000
    bests = np.minimum.accumulate(scores)
    assert min(scores) in scores[:-2]
    assert list(bests[-2:]) == [min(scores)] * 2
    assert all(point["penalty/r1"] > 0 for point in points(out) if "penalty/r1" in point)


def test_minutes_are_a_budget(training: Training, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = training(out, f"{SIZES}, train.minutes=0.05, train.diffaugment=noise, train.diffaugment_target=0.3")
    assert command.wait() == 0, command.said
    found = record(out)
    assert 3 <= found["seconds"] < 60
    assert found["steps"] > 0
    assert found["steps"] % 16 == 0
    last = points(out)[-1]
    assert last["images_seen"] == found["images_seen"]
    assert np.isfinite(last["holdout/sliced_wasserstein"])


def test_training_starts_from_a_bundle_with_other_labels(
    training: Training, tmp_path: Path, make_bundle: Callable[[Path, dict[str, list[str]], int], Path]
) -> None:
    from faceforge.models.bundle import Bundle

    theirs = {"hat": ["no", "yes"], "expression": ["smiling", "frowning", "glasses"]}
    source = make_bundle(tmp_path / "source", theirs, 3)
    out = tmp_path / "out"
    command = training(out, f"{SIZES}, train.kimg=0.008, train.learning_rate=1e-9, train.init_from={source}")
    assert command.wait() == 0, command.said
    assert "labels new to it: expression=neutral" in command.said
    ours, start = Bundle.load(out / "bundle"), Bundle.load(source)
    classes = ours.info.labels["expression"]
    assert ours.discriminator is not None
    assert start.discriminator is not None
    for network, given in ((ours.generator, start.generator), (ours.discriminator, start.discriminator)):
        rows, known = ({v.path: np.asarray(v.value) for v in each.variables} for each in (network, given))
        hats = known["embedding_0/embeddings"].mean(axis=0)  # of the column that the new networks do not have
        for label in ("smiling", "glasses"):
            row = rows["embedding_0/embeddings"][classes.index(label)]
            expected = known["embedding_1/embeddings"][theirs["expression"].index(label)] + hats
            np.testing.assert_allclose(row, expected, atol=1e-6)
        convolutions = [path for path in rows if path.startswith("conv") and path.endswith("kernel")]
        assert convolutions
        for path in convolutions:
            np.testing.assert_allclose(rows[path], known[path], atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("train.labels=hair", "has no label column 'hair'"),
        ("train.batch_size=4096", "fewer than one batch of 4096"),
        ("train.kmig=1", "did you mean 'train.kimg'"),
        ("train.init_from=nowhere", "nowhere"),
    ],
)
def test_bad_settings_are_reported_in_one_line(training: Training, tmp_path: Path, settings: str, said: str) -> None:
    command = training(tmp_path / "out", settings)
    assert command.wait() == 2
    assert said in command.said.strip().splitlines()[-1]
    assert "Traceback" not in command.said
    assert not (tmp_path / "out" / "bundle").exists()


def test_unreadable_checkpoints_are_reported_in_one_line(training: Training, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "checkpoints").mkdir(parents=True)
    (out / "checkpoints" / "step-000000010.npz").write_bytes(b"no archive")
    command = training(out)
    assert command.wait() == 2
    assert "no checkpoint in" in command.said.strip().splitlines()[-1]
    assert "Traceback" not in command.said


def test_a_second_training_into_the_same_folder_is_refused(data: Path, tmp_path: Path) -> None:
    from faceforge.config import resolve
    from faceforge.training.train import train_bundle

    config = resolve("toy", SETTINGS)
    with exclusive_lock(tmp_path), pytest.raises(FaceForgeError, match=f"another training is writing to {tmp_path}"):
        train_bundle(data, tmp_path, config)
    assert list(tmp_path.iterdir()) == []
