from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from faceforge.config import Config, resolve
from faceforge.errors import FaceForgeError
from pipelines.definition.parameters import RunParameters
from pipelines.local.run import PipelineFailedError, run_local
from pipelines.local.run_folder import RunFolder

Lines = tuple[list[str], Callable[[str], None]]


def calls(control: Path) -> list[tuple[str, dict[str, str]]]:
    return [tuple(json.loads(line)) for line in (control / "calls.txt").read_text().splitlines()]


def steps_called(control: Path) -> list[str]:
    return [call[0] for call in calls(control)]


def test_all_steps_run_in_order_and_their_outputs_reach_the_user(
    simulated_steps: Path, tmp_path: Path, lines: Lines
) -> None:
    shown, show = lines
    folder = run_local(RunParameters(settings="train.kimg=2"), runs=tmp_path / "runs", show=show)

    assert steps_called(simulated_steps) == ["ingest", "augment", "train", "evaluate", "export", "register"]
    arguments = dict(calls(simulated_steps))
    names = ("preset", "settings", "checkpoints", "run_key")
    assert [arguments["train"][name] for name in names] == [
        "toy", "train.kimg=2", str(folder.root / "checkpoints"), folder.key,
    ]  # fmt: skip
    assert "/ingest/data" in arguments["evaluate"]["data"], "evaluation needs what ingest wrote, not the augmented set"
    assert folder.read()["status"] == "succeeded"
    assert folder.result()["version"] == "7"
    assert (folder.root / "samples.png").read_text() == "picture"
    text = "\n".join(shown)
    assert "[3/6] train" in text
    assert "train 10/10 images" in text
    assert "domain/frechet 1.0" in text
    assert "models:/toyfaces/7" in text
    assert "promote" in text


def test_the_console_is_quiet_and_the_log_is_complete(simulated_steps: Path, tmp_path: Path, lines: Lines) -> None:
    shown, show = lines
    folder = run_local(RunParameters(), runs=tmp_path / "runs", show=show)
    text, log = "\n".join(shown), folder.log.read_text()
    for noise in ("KFP Executor", "executor_input", "chatter of a library", "Streamed logs", "\x1b["):
        assert noise not in text
    assert not [line for line in shown if "uri=" in line or "outputs" in line]
    assert len(shown) < 35
    assert "chatter of a library" in log
    assert "Got executor_input" in log


def test_a_failed_step_is_one_line_and_the_next_run_continues(
    simulated_steps: Path, tmp_path: Path, lines: Lines
) -> None:
    shown, show = lines
    (simulated_steps / "fail-evaluate").write_text("the holdout has 3 images; at least 128 are needed")
    with pytest.raises(PipelineFailedError) as failure:
        run_local(RunParameters(), runs=tmp_path / "runs", show=show)
    assert str(failure.value).startswith(
        "step evaluate failed: the holdout has 3 images; at least 128 are needed (log:"
    )
    assert "\n" not in str(failure.value)
    assert "already done" not in "\n".join(shown)
    (first,) = (tmp_path / "runs").iterdir()
    assert RunFolder(first).read()["status"] == "failed"

    (simulated_steps / "fail-evaluate").unlink()
    (simulated_steps / "calls.txt").unlink()
    folder = run_local(RunParameters(), runs=tmp_path / "runs", show=show)
    assert folder.root == first
    assert steps_called(simulated_steps) == ["evaluate", "export", "register"]
    assert "[3/6] train · already done" in shown
    assert not list(folder.steps.glob("*/evaluate/*.partial*"))


def test_a_bug_shows_its_last_line_only(simulated_steps: Path, tmp_path: Path, lines: Lines) -> None:
    shown, show = lines
    (simulated_steps / "crash-augment").write_text("unexpected")
    with pytest.raises(PipelineFailedError, match="step augment failed: RuntimeError: unexpected"):
        run_local(RunParameters(), runs=tmp_path / "runs", show=show)
    assert "Traceback" not in "\n".join(shown)
    (folder,) = (tmp_path / "runs").iterdir()
    assert "Traceback" in RunFolder(folder).log.read_text()


def test_other_parameters_or_fresh_start_another_run(simulated_steps: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    (simulated_steps / "fail-ingest").write_text("no")
    for arguments in ({"settings": f"train.kimg={resolve('toy').train.kimg}"}, {}, {"settings": "train.kimg=7"}):
        with pytest.raises(PipelineFailedError):
            run_local(RunParameters(**arguments), runs=runs)
    # The first setting is what the preset says anyway: the first two are the same run.
    assert len(list(runs.iterdir())) == 2
    with pytest.raises(PipelineFailedError):
        run_local(RunParameters(), runs=runs, fresh=True)
    assert len(list(runs.iterdir())) == 3


def test_a_finished_run_is_not_continued(simulated_steps: Path, tmp_path: Path) -> None:
    first = run_local(RunParameters(), runs=tmp_path / "runs")
    second = run_local(RunParameters(), runs=tmp_path / "runs")
    assert first.key != second.key
    assert steps_called(simulated_steps).count("train") == 2


def test_the_same_run_is_refused_while_it_goes_on(simulated_steps: Path, tmp_path: Path) -> None:
    (simulated_steps / "fail-ingest").write_text("no")
    with pytest.raises(PipelineFailedError):
        run_local(RunParameters(), runs=tmp_path / "runs")
    (root,) = (tmp_path / "runs").iterdir()
    with RunFolder(root).lock(), pytest.raises(FaceForgeError, match="going on already"):
        run_local(RunParameters(), runs=tmp_path / "runs")


def test_steps_see_the_environment_as_the_checks_have_left_it(
    simulated_steps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()

    def check(parameters: RunParameters) -> tuple[RunParameters, Config]:
        monkeypatch.setenv("FACEFORGE_STANDIN", str(other))  # the worker was started before
        return parameters, resolve(parameters.preset, parameters.settings)

    monkeypatch.setattr("pipelines.local.run.check_locally", check)
    run_local(RunParameters(), runs=tmp_path / "runs")
    assert set(steps_called(other)) >= {"ingest", "train"}
    assert not (simulated_steps / "calls.txt").exists()


def test_temporary_folders_are_removed(simulated_steps: Path, tmp_path: Path) -> None:
    folder = run_local(RunParameters(), runs=tmp_path / "runs")
    assert not folder.scratch.exists()
    assert {path.name for path in folder.steps.iterdir()} <= {path.name for path in folder.steps.glob("faceforge-*")}


# Signals: the run lives in a process of its own here, started the way a shell starts it.

PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
import pipelines.local.run
import pipelines.local.worker_process
from conftest import unchecked
pipelines.local.run.check_locally = unchecked
pipelines.local.run._finish_parent = lambda *_: None
pipelines.local.worker_process.GRACE_SECONDS = {grace}
from pipelines.cli.pipeline import pipeline
pipeline(["run", "--runs", {runs!r}])
"""


class Started:
    """`faceforge pipeline run` with simulated steps, blocked in train."""

    def __init__(self, control: Path, runs: Path, grace: float = 20.0, mode: str = "") -> None:
        (control / "block-train").write_text(mode)
        for stale in control.glob("training-*"):
            stale.unlink()
        program = PROGRAM.format(tests=str(Path(__file__).parents[1]), runs=str(runs), grace=grace)
        self.process = subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        deadline = time.monotonic() + 60
        while not (found := list(control.glob("training-*"))):
            assert time.monotonic() < deadline, "train did not start"
            assert self.process.poll() is None, self.process.communicate()[0]
            time.sleep(0.05)
        self.step = psutil.Process(int(found[0].name.removeprefix("training-")))
        ancestors = self.step.parents()  # that which waits for the step, the fork server, the worker
        self.worker = ancestors[2 if sys.platform == "linux" else 1]

    def end(self) -> tuple[int, str]:
        output, _ = self.process.communicate(timeout=60)
        return self.process.returncode, output


def assert_gone(process: psutil.Process) -> None:
    deadline = time.monotonic() + 10
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, f"{process} is still alive"
        time.sleep(0.05)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_lets_the_step_save_and_the_run_can_be_continued(
    simulated_steps: Path, tmp_path: Path, number: int, code: int
) -> None:
    runs = tmp_path / "runs"
    started = Started(simulated_steps, runs)
    started.process.send_signal(number)
    ended, output = started.end()
    assert ended == code, output
    assert output.splitlines()[-1] == "error: stopped; the same command continues this run"
    assert_gone(started.step)
    (root,) = runs.iterdir()
    saved = int((root / "checkpoints" / "count.txt").read_text())
    assert saved > 0
    assert not RunFolder(root).scratch.exists()

    (simulated_steps / "block-train").unlink()
    (simulated_steps / "calls.txt").unlink()
    folder = run_local(RunParameters(), runs=runs)
    assert folder.root == root
    assert steps_called(simulated_steps)[0] == "train"
    assert f"train goes on from {saved}" in folder.log.read_text()


def test_a_step_that_does_not_stop_is_killed(simulated_steps: Path, tmp_path: Path) -> None:
    started = Started(simulated_steps, tmp_path / "runs", grace=1.0, mode="stubborn")
    started.process.send_signal(signal.SIGINT)
    assert started.end()[0] == 130
    assert_gone(started.step)
    assert_gone(started.worker)


def test_nothing_survives_a_killed_runner(simulated_steps: Path, tmp_path: Path) -> None:
    started = Started(simulated_steps, tmp_path / "runs")
    os.kill(started.process.pid, signal.SIGKILL)
    started.process.wait(timeout=10)
    assert_gone(started.step)
    assert_gone(started.worker)


@pytest.mark.parametrize("problem", ["refused", "killed"])
def test_nothing_survives_a_run_that_does_not_start(simulated_steps: Path, tmp_path: Path, problem: str) -> None:
    code = (
        "import os, psutil, time, pipelines.local.run as local\n"
        "from faceforge.errors import FaceForgeError\n"
        "from pipelines.definition.parameters import RunParameters\n"
        "def check(parameters):\n"
        "    started = psutil.Process().children()\n"
        "    while len(started) < 2: time.sleep(0.05); started = psutil.Process().children(recursive=True)\n"
        "    print(*(process.pid for process in started), flush=True)\n"
        f"    if {problem == 'killed'}: os.kill(os.getpid(), 9)\n"
        "    raise FaceForgeError('no such folder')\n"
        "local.check_locally = check\n"
        f"try: local.run_local(RunParameters(), runs={str(tmp_path / 'runs')!r})\n"
        "except FaceForgeError as error: print(error)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, timeout=60)
    started, *message = found.stdout.splitlines()
    assert message == ([] if problem == "killed" else ["no such folder"])
    for number in started.split():
        with suppress(psutil.NoSuchProcess):
            assert_gone(psutil.Process(int(number)))
    assert not (tmp_path / "runs").exists()


def test_a_signal_before_a_step_has_begun_ends_the_run_at_once(simulated_steps: Path, tmp_path: Path) -> None:
    program = PROGRAM.format(tests=str(Path(__file__).parents[1]), runs=str(tmp_path / "runs"), grace=60)
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, bufsize=1)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("run ")  # the worker has yet to compile the pipeline
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert not (simulated_steps / "calls.txt").exists()


def test_a_killed_step_fails_the_run_and_is_run_again(simulated_steps: Path, tmp_path: Path) -> None:
    started = Started(simulated_steps, tmp_path / "runs")
    started.step.kill()
    code, output = started.end()
    assert code == 2
    assert "step train failed: the step was killed by signal 9 (SIGKILL" in output
    (simulated_steps / "block-train").unlink()
    assert run_local(RunParameters(), runs=tmp_path / "runs").read()["status"] == "succeeded"


def test_a_finished_run_does_not_wait_for_a_tracking_server_that_is_gone(
    simulated_steps: Path, tmp_path: Path, lines: Lines
) -> None:
    import mlflow

    shown, show = lines
    before = time.monotonic()
    mlflow.set_tracking_uri("http://127.0.0.1:9")
    try:
        folder = run_local(RunParameters(), runs=tmp_path / "runs", show=show)
    finally:
        mlflow.set_tracking_uri("")
    assert folder.read()["status"] == "succeeded"
    assert any(line.startswith("MLflow run") and "not shown: MLflow: nothing listens there" in line for line in shown)
    assert time.monotonic() - before < 60
