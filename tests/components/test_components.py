from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path

import pytest

from pipelines.definition.definitions import DEFINITIONS

STEPS = tuple(dict.fromkeys(step for definition in DEFINITIONS.values() for step in (*definition.steps, "close")))
SEVERAL_PODS = ("prepare", "merge", "train_worker")  # of ingest and train, when several pods share their work
ROOT = Path(__file__).parents[2]


def source(step: str) -> str:
    return (ROOT / "components" / step / "component.py").read_text()


def test_a_folder_per_step() -> None:
    folders = {path.parent.name for path in (ROOT / "components").glob("*/component.py")}
    assert folders == {*STEPS, *SEVERAL_PODS}


@pytest.mark.parametrize("step", STEPS)
def test_a_component_calls_one_step_and_imports_nothing_of_this_repository_but_the_library(step: str) -> None:
    component = getattr(importlib.import_module(f"components.{step}.component"), step)
    function = ast.parse(inspect.cleandoc(inspect.getsource(component.python_func))).body[0]
    assert isinstance(function, ast.FunctionDef)
    imported = {
        f"{node.module}.{name.name}"
        for node in ast.walk(function)
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }
    step_function = f"faceforge.steps.{step}.run_{step}"
    assert step_function in imported
    shown = {
        name for name in imported if name.startswith(("faceforge.steps.artifacts.", "faceforge.steps.training_page."))
    }
    assert imported - shown <= {"pathlib.Path", "faceforge.steps.tracked.component_tracking", step_function}


@pytest.mark.parametrize("step", STEPS)
def test_annotations_are_evaluated(step: str) -> None:
    assert "from __future__ import annotations" not in source(step)


@pytest.mark.parametrize(
    ("component", "step"), [*zip(STEPS, STEPS, strict=True), ("merge", "ingest"), ("train_worker", "train_worker")]
)
def test_a_component_passes_the_arguments_that_its_step_takes(component: str, step: str) -> None:
    """Binds each component's call to the real signature, so that the two cannot drift apart."""
    (call,) = [
        node
        for node in ast.walk(ast.parse(source(component)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == f"run_{step}"
    ]
    assert not call.args
    function = getattr(importlib.import_module(f"faceforge.steps.{step}"), f"run_{step}")
    inspect.signature(function).bind(**{str(keyword.arg): keyword.value for keyword in call.keywords})


def test_the_component_of_a_share_passes_the_arguments_that_the_step_takes() -> None:
    from faceforge.steps.ingest import run_prepare

    (call,) = [
        node
        for node in ast.walk(ast.parse(source("prepare")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "run_prepare"
    ]
    inspect.signature(run_prepare).bind(**{str(keyword.arg): keyword.value for keyword in call.keywords})


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
