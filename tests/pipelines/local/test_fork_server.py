"""Processes that a fork server starts: what they share with each other and with a new interpreter, and how they end."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pipelines.local import fork_server
from pipelines.local.fork_server import ForkServer

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")

# Run as `python -m task CODE`: executes the code. `shared` is a module that the server has imported.
TASK = """
import os, sys, shared
if __name__ == "__main__":
    exec(sys.argv[1])
"""
Run = Callable[..., int]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ForkServer]:
    """A server that imports `shared`, and then `slow` for half a second."""
    (tmp_path / "task.py").write_text(TASK)
    (tmp_path / "shared.py").write_text("import os, tempfile\ntempfile.gettempdir()\nvalue = 0\npid = os.getpid()\n")
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(0.5)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    monkeypatch.setattr(fork_server, "FIRST", ("shared",))
    monkeypatch.setattr(fork_server, "LATER", ("slow", "missing"))
    with ForkServer() as server:
        yield server


@pytest.fixture
def run(server: ForkServer) -> Run:
    def call(code: str, **environment: str) -> int:
        return server.run("task", [code], environment)

    return call


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_output_and_exit_code_are_those_of_a_program(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("print('one'); print('two', file=sys.stderr); print(sys.argv[0]); sys.exit(3)") == 3
    one, two, program = capfd.readouterr().out.splitlines()
    assert (one, two) == ("one", "two")
    assert Path(program).name == "task.py"
    assert run("pass") == 0
    assert run("sys.exit('no images')") == 1
    assert run("raise ValueError('no labels')") == 1
    output = capfd.readouterr().out
    assert "no images\n" in output
    assert output.rstrip().endswith("ValueError: no labels")


def test_processes_share_imported_modules_and_nothing_else(
    run: Run, server: ForkServer, capfd: pytest.CaptureFixture[str]
) -> None:
    change = "shared.value = 1; os.environ['COLOUR'] = 'red'; os.chdir('/'); import this"
    assert run(change, SIZE="3") == 0
    capfd.readouterr()
    look = "print(shared.value, os.environ.get('COLOUR'), os.environ.get('SIZE'), os.getcwd(), 'this' in sys.modules)"
    assert run(look) == 0
    assert capfd.readouterr().out.split() == ["0", "None", "None", os.getcwd(), "False"]
    run("print(shared.pid, os.getpid())")
    run("print(shared.pid, os.getpid())")
    one, two = (line.split() for line in capfd.readouterr().out.splitlines())
    assert one[0] == two[0] != one[1] != two[1]


def test_a_light_process_does_not_wait_for_modules_that_others_need(
    server: ForkServer, capfd: pytest.CaptureFixture[str]
) -> None:
    for light in (True, False, True):
        assert server.run("task", ["print('slow' in sys.modules, shared.value)"], {}, light=light) == 0
    lines = [line for line in capfd.readouterr().out.splitlines() if line.endswith("0")]
    assert lines == ["False 0", "True 0", "False 0"]


def test_the_end_of_the_server_is_the_end_of_all_its_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fork_server, "FIRST", ("json",))
    monkeypatch.setattr(fork_server, "LATER", ("json",))
    with ForkServer():
        (server,) = psutil.Process().children()
        _wait_until(lambda: bool(server.children()))
        (fork,) = server.children()
    assert not server.is_running()
    _wait_until(lambda: not fork.is_running() or fork.status() == psutil.STATUS_ZOMBIE)


def test_temporary_files_go_where_the_environment_of_the_process_says(
    run: Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("import tempfile; print(tempfile.gettempdir())", TMPDIR=str(tmp_path)) == 0
    assert str(tmp_path) in capfd.readouterr().out.split()


def test_a_killed_process_does_not_end_the_server(run: Run) -> None:
    assert run("os.kill(os.getpid(), 9)") == -signal.SIGKILL
    assert run("sys.exit(4)") == 4


def test_threads_and_exit_handlers_end_as_in_an_interpreter(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    code = (
        "import atexit, threading, time; atexit.register(print, 'handler'); "
        "threading.Thread(target=lambda: (time.sleep(0.2), print('thread'))).start(); "
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start(); print('end')"
    )
    assert run(code) == 0
    assert capfd.readouterr().out.split() == ["end", "thread", "handler"]


def test_an_interrupt_reaches_the_step_and_not_the_server(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    def interrupt() -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and "ready" not in capfd.readouterr().out:
            time.sleep(0.05)
        for process in psutil.Process().children(recursive=True):
            process.send_signal(signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    assert run("import time\ntry: print('ready'); time.sleep(30)\nexcept KeyboardInterrupt: sys.exit(130)") == 130
    thread.join()
    assert run("sys.exit(5)") == 5


def test_a_server_that_is_gone_says_so(run: Run, server: ForkServer) -> None:
    (process,) = psutil.Process().children()
    process.kill()
    process.wait()
    assert not server.alive


def test_a_step_finds_tensorflow_imported_and_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "task.py").write_text(TASK.replace(", shared", ""))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    code = (
        "from tensorflow.python.eager import context; tensorflow = context.context(); "
        "print('found', 'faceforge.training.train' in sys.modules, tensorflow._initialized, "
        "tensorflow._physical_devices, len(os.listdir('/proc/self/task')))"
    )
    with ForkServer() as server:
        assert server.run("task", [code], {}) == 0
    assert "found True False None 1\n" in capfd.readouterr().out
