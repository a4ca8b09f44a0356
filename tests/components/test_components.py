from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path

import pytest

from pipelines.definition.definitions import SYNTHESIS, TRAINING

STEPS = (*TRAINING.steps, *SYNTHESIS.steps, "close")
ROOT = Path(__file__).parents[2]


def source(step: str) -> str:
    return (ROOT / "components" / step / "component.py").read_text()


def test_a_folder_per_step() -> None:
    folders = {path.parent.name for path in (ROOT / "components").glob("*/component.py")}
    assert folders == {*STEPS, "prepare", "merge"}  # those two stand in for ingest where several pods share its work


@pytest.mark.parametrize("step", STEPS)
def test_a_component_wraps_one_function_and_needs_nothing_of_this_repository_but_the_library(step: str) -> None:
    component = getattr(importlib.import_module(f"components.{step}.component"), step)
    function = ast.parse(inspect.cleandoc(inspect.getsource(component.python_func))).body[0]
    assert isinstance(function, ast.FunctionDef)
    imported = {
        (node.module or "") + "." + name.name
        for node in ast.walk(function)
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }
    assert "faceforge.steps.steps" in imported
    assert imported <= {"pathlib.Path", "faceforge.steps.steps"}
    calls = {
        node.func.attr
        for node in ast.walk(function)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "steps"
    }
    assert calls == {"guarded", "Tracking", step}


@pytest.mark.parametrize("step", STEPS)
def test_annotations_are_evaluated(step: str) -> None:
    assert "from __future__ import annotations" not in source(step)


@pytest.mark.parametrize("step", STEPS)
def test_the_wrapper_passes_what_the_step_takes(step: str) -> None:
    """Binds each component's call to the real signature, so that the two cannot drift apart."""
    steps = pytest.importorskip("faceforge.steps.steps")
    function = ast.parse(source(step))
    (call,) = [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == step
        and isinstance(node.func.value, ast.Name)
    ]
    assert not call.keywords
    inspect.signature(getattr(steps, step)).bind(*call.args)
    inspect.signature(steps.Tracking).bind("uri", "experiment", "key", {})


def test_the_library_does_not_import_what_is_above_it() -> None:
    above = {"kfp", "kubernetes", "components", "pipelines"}
    for path in (ROOT / "faceforge").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom) and not node.level
                else []
            )
            assert not {name.split(".")[0] for name in names} & above, path
