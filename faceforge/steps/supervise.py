"""Runs a step of a pod in a child process, and again if it crashes: `python -m faceforge.steps.supervise MODULE`.

Kubeflow's stock configuration retries pods that were deleted or evicted, but not those whose process has crashed or was
killed. So the compiled pipeline runs each step's module under this parent: after a crash, a fresh process in the same
container continues from the last checkpoint. The same happens if MLflow or a store does not answer. Errors of the user
(exit code 2) are final. Outside a pod the module runs in this process.
"""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from faceforge.errors import EXIT_CODE, INTERRUPTED, TRY_LATER

RETRIES = "FACEFORGE_STEP_RETRIES"
"""Environment variable: how often a step that has died is started again."""
POD = "KFP_POD_NAME"
"""Set by Kubeflow in the pods of steps."""
_DEFAULT_RETRIES = 3
_FIRST_PAUSE_SECONDS = 30.0  # doubled for each further retry: three retries span an outage of 3.5 minutes
# As in local runs: fewer lines of libraries in the log; MLflow's address inside a cluster helps nobody outside it.
_QUIET = {"MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true", "TF_CPP_MIN_LOG_LEVEL": "2"}
_MEMORY_EVENTS = (
    Path("/sys/fs/cgroup/memory.events"),  # cgroup v2: a line `oom_kill N`
    Path("/sys/fs/cgroup/memory/memory.oom_control"),  # cgroup v1: the same line
)


def supervise(command: list[str], retries: int, pause: Callable[[float], None] = time.sleep) -> int:
    """Runs a command until it succeeds, fails for good, or has been started again `retries` times.

    SIGTERM and SIGINT are passed on to the command, which is not started again after them.

    Args:
        command: program and arguments.
        retries: how often to start it again; if a service does not answer, at least three times. 0 = never.
        pause: waits for the given number of seconds.

    Returns:
        its exit code; 128 + N after signal N.
    """
    child: subprocess.Popen[bytes] | None = None
    stopping = False

    def stop(signum: int, frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True
        if child is not None:
            child.send_signal(signum)

    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, stop)
    attempt = 0
    while True:
        kills = _out_of_memory_kills()
        child = subprocess.Popen(command)  # noqa: S603
        code = child.wait()
        if stopping or code in (0, EXIT_CODE, INTERRUPTED):
            break
        out_of_memory = _out_of_memory_kills() > kills
        problem = _describe(code, out_of_memory)
        # A service is away for some minutes when it is moved, however few retries crashes get.
        allowed = max(retries, _DEFAULT_RETRIES) if retries and code == TRY_LATER else retries
        if attempt >= allowed:
            if code < 0:  # after an exception, the traceback is the reason
                print(f"error: {problem}", file=sys.stderr, flush=True)
            break
        seconds = _FIRST_PAUSE_SECONDS * 2**attempt
        attempt += 1
        print(f"{problem}; retry {attempt} of {allowed} in {seconds:.0f} s", file=sys.stderr, flush=True)
        pause(seconds)
        if stopping:
            break
    return code if code >= 0 else 128 - code


def _describe(code: int, out_of_memory: bool) -> str:
    if out_of_memory:
        return "the step was killed because memory ran out; compile with a larger --memory, or lower train.batch_size"
    if code == TRY_LATER:
        return "a service that the step needs does not answer"
    if code < 0:
        return f"the step was killed by signal {-code} ({signal.Signals(-code).name})"
    return f"the step ended with exit code {code}"


def _out_of_memory_kills() -> int:
    """How many processes of this container the kernel has killed for want of memory; 0 if unknown."""
    for path in _MEMORY_EVENTS:
        if path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                name, _, count = line.partition(" ")
                if name == "oom_kill":
                    return int(count)
    return 0


def main() -> None:
    """Runs the module named by the first argument with the arguments that follow."""
    if not os.environ.get(POD):
        sys.argv = sys.argv[1:]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        return
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    retries = int(os.environ.get(RETRIES) or _DEFAULT_RETRIES)
    raise SystemExit(supervise([sys.executable, "-m", *sys.argv[1:]], retries))


if __name__ == "__main__":
    main()
