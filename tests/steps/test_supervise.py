from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from faceforge.steps import supervise as supervision
from faceforge.steps.supervise import supervise

STEP = """
import os, signal, sys
from pathlib import Path
starts = Path(sys.argv[1]); number = len(starts.read_text()) if starts.exists() else 0
starts.write_text("x" * (number + 1))
ends = sys.argv[2].split(",")
end = int(ends[min(number, len(ends) - 1)])
os.kill(os.getpid(), -end) if end < 0 else sys.exit(end)
"""


def run(folder: Path, ends: str, retries: int = 3) -> tuple[int, int, list[float]]:
    """Exit code, number of starts and pauses of a step that ends with these codes (negative: signals)."""
    pauses: list[float] = []
    code = supervise([sys.executable, "-c", STEP, str(folder / "starts"), ends], retries, pauses.append)
    return code, len((folder / "starts").read_text()), pauses


@pytest.fixture(autouse=True)
def _signals() -> object:
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT)}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.mark.parametrize(
    ("ends", "code", "starts"),
    [
        ("0", 0, 1),
        ("1,0", 0, 2),
        ("-9,-11,0", 0, 3),
        ("1", 1, 4),
        ("-9", 137, 4),
        ("2", 2, 1),  # an error that the user must fix
        ("1,2", 2, 2),
        ("130", 130, 1),
        ("75,75,0", 0, 3),  # a service did not answer
    ],
)
def test_crashes_and_kills_are_retried_and_errors_of_the_user_are_not(
    tmp_path: Path, ends: str, code: int, starts: int
) -> None:
    assert run(tmp_path, ends)[:2] == (code, starts)


@pytest.mark.parametrize(("ends", "retries", "starts"), [("75", 1, 4), ("75,1", 1, 2), ("1", 1, 2), ("75", 0, 1)])
def test_an_outage_is_waited_for_longer_than_crashes_are(tmp_path: Path, ends: str, retries: int, starts: int) -> None:
    assert run(tmp_path, ends, retries)[1] == starts


def test_pauses_grow(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "-9")[2] == [30.0, 60.0, 120.0]
    lines = capfd.readouterr().err.splitlines()
    assert lines[0] == "the step was killed by signal 9 (SIGKILL); retry 1 of 3 in 30 s"
    assert lines[-1] == "error: the step was killed by signal 9 (SIGKILL)"


@pytest.mark.parametrize("text", ["low 0\noom_kill {}\noom_group_kill 0\n", "oom_kill_disable 0\noom_kill {}\n"])
def test_memory_that_ran_out_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], text: str
) -> None:
    events = tmp_path / "memory.events"
    events.write_text(text.format(4))
    monkeypatch.setattr(supervision, "_MEMORY_EVENTS", (tmp_path / "none", events))
    script = f"import os; open({str(events)!r}, 'w').write({text.format(5)!r}); os.kill(os.getpid(), 9)"
    assert supervise([sys.executable, "-c", script], 0) == 137
    assert "memory ran out; compile with a larger --memory" in capfd.readouterr().err


def test_sigterm_reaches_the_step_and_is_not_followed_by_a_retry(tmp_path: Path) -> None:
    module = tmp_path / "step.py"
    module.write_text(
        "import pathlib, signal, sys, time\n"
        "pathlib.Path('started').touch()\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))\n"
        "pathlib.Path('ready').touch()\n"
        "time.sleep(60)\n"
    )
    process = start(tmp_path, KFP_POD_NAME="pod")
    wait_for(tmp_path / "ready")
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 1


def test_outside_a_pod_the_step_runs_in_this_process(tmp_path: Path) -> None:
    (tmp_path / "step.py").write_text("import os, sys\nprint(os.getppid(), sys.argv[1:])\nsys.exit(1)\n")
    process = start(tmp_path, KFP_POD_NAME="")
    output = process.communicate(timeout=60)[0]
    assert output.split(maxsplit=1) == [str(os.getpid()), "['--flag', 'x']\n"]
    assert process.returncode == 1


def start(folder: Path, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "faceforge.steps.supervise", "step", "--flag", "x"],
        cwd=folder,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} has not appeared"
        time.sleep(0.05)
