from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp.local import subprocess_task_handler

from pipelines.definition.definitions import DEFINITIONS
from pipelines.local.processes import component_call, process_runner


def commands() -> list[list[str]]:
    """The commands of all components of all pipelines."""
    found: list[list[str]] = []
    for definition in DEFINITIONS.values():
        spec: dict[str, Any] = next(iter(yaml.safe_load_all(definition.committed.read_text())))
        for executor in spec["deploymentSpec"]["executors"].values():
            container = executor["container"]
            found.append([*container["command"], *container["args"]])
    return found


def test_the_commands_of_all_components_are_understood() -> None:
    for command in commands():
        call = component_call(command)
        assert call is not None, command[2]
        module, source, arguments = call
        assert module == ["faceforge.steps.supervise", "kfp.dsl.executor_main", "--component_module_path"]
        assert f"def {arguments[arguments.index('--function_to_execute') + 1]}(" in source


@pytest.mark.parametrize("change", [("program_path", "pip install x; program_path"), ("-m ", "-X dev -m ")])
def test_another_command_is_left_to_kfp(change: tuple[str, str]) -> None:
    shell, option, script, *rest = commands()[0]
    assert component_call([shell, option, script.replace(*change, 1), *rest]) is None
    assert component_call(["python3", "-m", "kfp.dsl.executor_main"]) is None


def test_kfp_starts_interpreters_where_there_is_no_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    before = subprocess_task_handler.run_local_subprocess
    monkeypatch.setattr("pipelines.local.processes._FORKS", False)
    with process_runner():
        assert subprocess_task_handler.run_local_subprocess is before


def test_a_step_runs_in_an_interpreter_when_the_server_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pipelines.local.processes.ForkServer.alive", False)
    before = subprocess_task_handler.run_local_subprocess
    with process_runner():
        assert subprocess_task_handler.run_local_subprocess is not before
        shell, option, script, *_ = commands()[0]
        script = script.replace("faceforge.steps.supervise kfp.dsl.executor_main", "platform")
        assert subprocess_task_handler.run_local_subprocess([shell, option, script, "source"]) == 0
    assert "Linux" in capsys.readouterr().out
    assert subprocess_task_handler.run_local_subprocess is before
