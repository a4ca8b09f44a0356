"""Processes that train one model together; that a lost worker makes all of them start again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from faceforge.compute.rendezvous import Rendezvous
from faceforge.config import resolve
from faceforge.data.ingest.build import build_image_set
from faceforge.errors import FaceForgeError
from faceforge.models.bundle import BundleInfo

SETTINGS = (
    "model.latent_size=8, model.width=4, model.max_width=8, train.batch_size=8, train.kimg=0.2, train.log_points=20, "
    "train.grids=5"
)
CHIEF = """
from faceforge.steps.train import run_train as run
more = {"work": root / "work", "out": root / "bundle", "tracking": None}
"""
WORKER = """
from faceforge.steps.tracked import Tracking
from faceforge.steps.train_worker import run_train_worker as run
more = {"worker": 1, "tracking": Tracking(None, "e", "k")}
"""


def start(root: Path, program: str) -> subprocess.Popen[str]:
    program = f"from pathlib import Path\nroot = Path({str(root)!r})\n{program}"
    env = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen([sys.executable, "-c", program], env=env, stderr=subprocess.PIPE, text=True)


def start_training(root: Path, role: str) -> subprocess.Popen[str]:
    common = f'data=root / "data", preset="toy", settings={SETTINGS!r}, checkpoints=str(root / "kept"), workers=2'
    return start(root, f"{role}\nrun({common}, **more)")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    build_image_set("toyfaces", tmp_path / "data", resolve("toy", "ingest.limit=200").ingest)
    return tmp_path


def test_two_workers_train_one_model(root: Path) -> None:
    workers = [start_training(root, role) for role in (CHIEF, WORKER)]
    said = [worker.communicate(timeout=900)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], said
    assert "worker 0 of 2: " in said[0]
    training = BundleInfo.read(root / "bundle").training
    assert (training["images_seen"], training["devices"]) == (200, 2)


def test_a_worker_is_killed_when_another_has_started_again(tmp_path: Path) -> None:
    program = """
import time
from faceforge.steps import workers
workers._LOOK_SECONDS = 0.1
with workers.training_together(str(root), 1, 2) as meeting:
    (root / "start").write_text(meeting.start)
    time.sleep(600)  # as TensorFlow does without an end
"""
    waiting = start(tmp_path, program)
    Rendezvous(str(tmp_path / "workers"), 0, 2, "models:/toyfaces/3").join(patience=120)
    with pytest.raises(FaceForgeError):  # the first worker starts again, and the second has to come as well
        Rendezvous(str(tmp_path / "workers"), 0, 2).join(patience=1)
    said = waiting.communicate(timeout=120)[1]
    assert waiting.returncode == -signal.SIGKILL
    assert "worker 0 has started again, and so must this one" in said
    assert (tmp_path / "start").read_text() == "models:/toyfaces/3"


def test_one_machine_waits_for_nobody(root: Path) -> None:
    from faceforge.steps.workers import training_together

    with training_together(None, 0, 1, "models:/toyfaces/3") as meeting:
        assert (meeting.needed, meeting.start) == (True, "models:/toyfaces/3")
    assert "TF_CONFIG" not in os.environ
