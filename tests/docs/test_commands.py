"""Every command and every Python block of README.md and docs/ runs, in order, or is marked with the reason why not."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.docs import world
from tests.docs.pages import MARKS, PAGES, ROOT, Command, blocks, commands, unknown
from tests.docs.quick import SMALLER, StepsHere, calls, parse, recorders, run

DATA = "docs/data.md"
"""The page with a working folder of its own."""

PYTHON_SMALLER = {
    "gen.stream(100_000, batch=1000": "gen.stream(20, batch=10",
    "samples.show()": "samples._repr_png_()",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working and home folder of all pages but `DATA`: photographs in several forms."""
    folder = tmp_path_factory.mktemp("home")
    world.write_home(folder)
    return folder


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working folder of `DATA`: images in every layout."""
    folder = tmp_path_factory.mktemp("sources")
    world.write_sources(folder)
    return folder


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Programs that record their arguments."""
    return recorders(tmp_path_factory.mktemp("programs") / "venv")


@pytest.fixture(scope="module", autouse=True)
def _steps_in_this_process() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.local.run.WorkerProcess", StepsHere())
        patch.setattr("pipelines.local.run._finish_parent", lambda *_: None)
        yield


@pytest.mark.parametrize("page", PAGES)
def test_every_code_block_is_accounted_for(page: str) -> None:
    assert not unknown(page), "make it a list of commands or ```python, or list it in tests/docs/commands.toml"


def test_every_mark_is_needed() -> None:
    every = [command for page in PAGES for command in commands(page)]
    for mark in [*MARKS["not_run"], *MARKS["may_fail"]]:
        assert any(re.search(mark["command"], command.text) for command in every), mark
    for page, beginnings in MARKS["listings"].items():
        for text in beginnings:
            assert any(block.text.startswith(text) for block in blocks(page)), (page, text)


@pytest.mark.parametrize("page", PAGES)
def test_commands_that_are_not_run_exist_with_their_options(page: str, venv: Path, home: Path) -> None:
    marked = [command for command in commands(page) if command.reason and command.reason != "a synopsis"]
    for command in marked:
        if re.match(r"(make (?!setup|clean|locks|checkov|images|cluster)|([A-Z_]+=\S+ )*faceforge )", command.text):
            for call in calls(_without_background(command.text), venv, home):
                if call.program == "faceforge" and "..." not in call.arguments:
                    parse(call.arguments)
        elif found := re.match(r"k8s/workers.sh [\w-]+ \d+ (.*)", command.text):
            parse(["train", *(option for option in shlex.split(found[1]) if option != "--dry-run")])
        elif found := re.match(r"python (\S+\.py)(.*)", command.text):
            script = (ROOT / found[1]).read_text()
            for option in re.findall(r"(?<!\S)--[a-z0-9-]+", found[2].partition("#")[0]):
                assert f'"{option}"' in script, f"{command}: {found[1]} has no option {option}"


# README first: it fills the registry that the other pages use.
@pytest.mark.parametrize("page", [page for page in PAGES if not all(command.reason for command in commands(page))])
def test_the_commands_of_a_page_run(page: str, venv: Path, home: Path, sources: Path) -> None:
    place = sources if page == DATA else home
    with _in(place), _served(home, page) as port:
        for command in commands(page):
            if not command.reason:
                _run(command, venv, place, port)
                _prepare_next(command, place)


@pytest.mark.parametrize("page", [page for page in PAGES if any(b.language == "python" for b in blocks(page))])
def test_the_python_of_a_page_runs(page: str, home: Path, sources: Path) -> None:
    names = _python_names()
    with _in(sources if page == DATA else home):
        for block in blocks(page):
            if block.language == "python":
                text = block.text
                for long, short in PYTHON_SMALLER.items():
                    text = text.replace(long, short)
                exec(compile(text, f"{page}:{block.line}", "exec"), names)


def _run(command: Command, venv: Path, place: Path, port: int) -> None:
    text = command.text
    for long, short in SMALLER.items():
        text = text.replace(long, short)
    if text.startswith("curl "):
        text = text.replace("curl localhost:8000", f"curl --fail-with-body -sS 127.0.0.1:{port}", 1)
        done = subprocess.run(["bash", "-ec", text], cwd=place, capture_output=True, text=True)
        allowed = "cannot rate images" in done.stdout  # as docs/serving.md says of registered models
        assert done.returncode == 0 or allowed, f"{command}\n{done.stdout}{done.stderr}"
        return
    started = calls(text, venv, place)
    assert started, f"{command} starts nothing"
    for call in started:
        assert call.program == "faceforge", f"{command}: run {call.program} or mark the command in commands.toml"
        result = run(call)
        allowed = any(
            re.search(mark["command"], command.text) and mark["message"] in result.output for mark in MARKS["may_fail"]
        )
        assert result.exit_code == 0 or allowed, f"{command}\n{result.output}"


def _prepare_next(command: Command, place: Path) -> None:
    """What a page assumes without making it."""
    if command.page == DATA and (place / "work" / "photos").is_dir():
        world.reuse(place / "work" / "photos", place / "DIR")
    elif command.text == "make run" and not (place / "generator.onnx").exists():
        (steps,) = place.glob("runs/*/steps")
        shutil.copyfile(steps / "exported" / "generator.onnx", place / "generator.onnx")
        world.reuse(steps / "model", place / "work" / "model")  # as faceforge train writes it, evaluated beside
        shutil.copyfile(steps / "report" / "report.json", place / "work" / "model" / "report.json")


def _python_names() -> dict[str, Any]:
    """Names that the Python examples take for granted."""
    import datasets  # type: ignore[import-untyped]
    import pandas

    from faceforge.data.imageset.reader import ImageSet

    real = world.noise(40)
    return {
        "pandas": pandas,
        "datasets": datasets,
        "ImageSet": ImageSet,
        "images": real,
        "real_images": real,
        "their_labels": ["neutral", "smiling"] * 20,
    }


@contextmanager
def _in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def _served(home: Path, page: str) -> Iterator[int]:
    """The port of a server with the champion, for docs/serving.md; 0 for other pages."""
    if page != "docs/serving.md":
        yield 0
        return
    import uvicorn

    from faceforge.serving.app import create_app
    from faceforge.serving.limits import Limits

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    failures: list[Exception] = []
    app = create_app(
        "models:/toyfaces@champion",
        Limits(),
        tracking_uri=f"sqlite:///{home}/mlflow.db",
        poll=60,
        on_failure=failures.append,
    )
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    for _ in range(3000):
        assert not failures, failures
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz"):
            break
        time.sleep(0.1)
    try:
        yield port
    finally:
        server.should_exit = True
        thread.join(30)


def _without_background(text: str) -> str:
    return text.removesuffix("&").strip()
