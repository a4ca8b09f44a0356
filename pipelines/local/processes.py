"""Runs steps as processes with kfp's SubprocessRunner: on Linux as forks of a warm process."""

from __future__ import annotations

import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.local.fork_server import ForkServer

_FORKS = sys.platform == "linux"  # the system libraries of macOS do not survive a fork
# The shell script by which kfp starts a component, with single blanks: it writes the component's source, its first
# argument, to a file and runs a module with it. Scripts that do anything else are left to kfp.
_SCRIPT = re.compile(
    r'program_path=\$\(mktemp -d\) printf "%s" "\$0" > FILE _KFP_RUNTIME=true \S+ -m (?P<call>[\w. -]+) FILE "\$@"'
    .replace("FILE", re.escape('"$program_path/ephemeral_component.py"'))
)  # fmt: skip
_LIGHT = ("ingest", "augment", "close")  # components that need neither TensorFlow nor JAX, and start at once
_ARGUMENTS = 4  # index in the command: after sh, -ec, the script and the source


@contextmanager
def process_runner() -> Iterator[Any]:
    """kfp's runner for steps as processes; within the block, steps are forks where the platform allows it."""
    if not _FORKS:
        from kfp import local

        yield local.SubprocessRunner(use_venv=False)
        return
    with ForkServer() as server:  # imports while this process imports kfp
        from kfp import local
        from kfp.local import subprocess_task_handler

        run_interpreter = subprocess_task_handler.run_local_subprocess

        def run_step(full_command: list[str], env_vars: dict[str, str] | None = None) -> int:
            call = component_call(full_command)
            if call is None or not server.alive:
                return run_interpreter(full_command=full_command, env_vars=env_vars)
            return _run(server, *call, env_vars or {})

        subprocess_task_handler.run_local_subprocess = run_step
        try:
            yield local.SubprocessRunner(use_venv=False)
        finally:
            subprocess_task_handler.run_local_subprocess = run_interpreter


def component_call(full_command: list[str]) -> tuple[list[str], str, list[str]] | None:
    """What kfp's shell command for a component does.

    Returns:
        module and its first arguments, source of the component, and arguments that follow the path of the file with
        this source; None if the command does anything else, such as installing packages.
    """
    if full_command[:2] != ["sh", "-ec"] or len(full_command) < _ARGUMENTS:
        return None
    script = _SCRIPT.fullmatch(" ".join(full_command[2].split()))
    return (script["call"].split(), full_command[3], full_command[_ARGUMENTS:]) if script else None


def _run(server: ForkServer, call: list[str], source: str, arguments: list[str], variables: dict[str, str]) -> int:
    program = Path(tempfile.mkdtemp()) / "ephemeral_component.py"
    program.write_text(source, encoding="utf-8")
    code = server.run(
        call[0],
        [*call[1:], str(program), *arguments],
        {**os.environ, **variables, "_KFP_RUNTIME": "true"},
        light=arguments[arguments.index("--function_to_execute") + 1] in _LIGHT,
    )
    if code < 0:
        hint = "; the kernel sends it when memory runs out" if -code == signal.SIGKILL else ""
        print(f"error: the step was killed by signal {-code} ({signal.Signals(-code).name}{hint})")
    return code
