from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from faceforge.errors import FaceForgeError
from pipelines.local.containers import RUN_LABEL, StepContainers, _lines, check_containers, docker_runner, run_container
from pipelines.local.run_folder import RunFolder, create

with_engine = pytest.mark.skipif(
    os.environ.get("FACEFORGE_TEST_CONTAINERS") != "1",
    reason="needs a container engine and the images: make images, then FACEFORGE_TEST_CONTAINERS=1",
)


def test_what_a_step_says_is_read_by_lines_however_it_comes() -> None:
    said = "zwölf\nfaces · 12 %\n\nno end".encode()
    pieces = [said[start : start + 5] for start in range(0, len(said), 5)]
    assert list(_lines(pieces)) == ["zwölf", "faces · 12 %", "", "no end"]


def test_containers_cannot_share_a_file_as_mlflow() -> None:
    with pytest.raises(FaceForgeError, match="need an MLflow server, not sqlite:///mlflow.db"):
        check_containers("sqlite:///mlflow.db")


def test_no_engine_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'none.sock'}")
    with pytest.raises(FaceForgeError, match="no container engine answers at unix://.*podman system service") as caught:
        check_containers("http://127.0.0.1:5000")
    assert "\n" not in str(caught.value)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = create(tmp_path / "runs", "digest")
    source = tmp_path / "source"
    source.mkdir()
    made.update(network="none", arguments={"source": str(source), "labels": ""})
    return made


@pytest.fixture
def client(folder: RunFolder) -> Iterator[Any]:
    import docker

    with closing(docker.from_env()) as client:
        yield client
        StepContainers(folder.key).remove()


@pytest.fixture
def arguments(folder: RunFolder) -> Iterator[dict[str, Any]]:
    before = os.umask(0o022)
    yield dict(docker_runner(folder).container_run_args)
    os.umask(before)


@with_engine
def test_a_step_is_an_ordinary_user_who_can_write_to_its_run_only(
    client: Any, arguments: dict[str, Any], folder: RunFolder, capfd: pytest.CaptureFixture[str]
) -> None:
    foreign = folder.root.parents[1] / "source" / "x"
    code = (
        "import os, pathlib\n"
        "print('user', os.getuid())\n"
        "print([l for l in open('/proc/self/status') if l.startswith('CapEff')])\n"
        f"for name in ('/opt/x', {str(foreign)!r}, '/tmp/x', {str(folder.steps / 'x')!r}):\n"
        "    try:\n        pathlib.Path(name).touch(); print('wrote', name)\n"
        "    except OSError as error:\n        print('could not', name)\n"
    )
    assert run_container(client, "faceforge-core:latest", ["python3", "-c", code], {}, **arguments) == 0
    said = capfd.readouterr().out
    assert "user 0" not in said
    assert "CapEff:\\t0000000000000000" in said
    assert "could not /opt/x" in said
    assert f"could not {foreign}" in said
    assert "wrote /tmp/x" in said
    assert (folder.steps / "x").is_file()


@with_engine
def test_exit_codes_and_missing_images(
    client: Any, arguments: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_container(client, "faceforge-core:latest", ["sh", "-c", "echo é; exit 3"], {}, **arguments) == 3
    assert run_container(client, "faceforge-core:latest", ["sh", "-c", "kill -9 $$; exit 137"], {}, **arguments) == 137
    assert run_container(client, "nobody/has:this", ["true"], {}, **arguments) == 1
    said = capfd.readouterr().out
    assert "é\n" in said
    assert "error: the container was ended by signal 9" in said
    assert "image nobody/has:this is not on this machine" in said


@with_engine
@pytest.mark.parametrize("ending", ["interrupt", "remove"])
def test_a_step_is_asked_to_stop_or_killed(
    client: Any, arguments: dict[str, Any], folder: RunFolder, ending: str
) -> None:
    saved = folder.steps / "saved"
    code = f"import time, pathlib\ntry:\n    time.sleep(60)\nfinally:\n    pathlib.Path({str(saved)!r}).touch()"
    command = ["sh", "-c", f'python3 -c "{code}"; exit 9']
    codes: list[int] = []

    def step() -> None:
        with suppress(Exception):  # removed under its feet
            codes.append(run_container(client, "faceforge-core:latest", command, {}, **arguments))

    thread = threading.Thread(target=step)
    thread.start()
    deadline = time.monotonic() + 60
    containers = StepContainers(folder.key)
    while time.monotonic() < deadline and not client.containers.list(filters={"label": f"{RUN_LABEL}={folder.key}"}):
        time.sleep(0.2)
    time.sleep(2)
    getattr(containers, ending)()
    thread.join(60)
    assert not thread.is_alive()
    assert not client.containers.list(all=True, filters={"label": f"{RUN_LABEL}={folder.key}"})
    assert saved.exists() == (ending == "interrupt")
    if ending == "interrupt":
        assert codes == [9]
        assert not containers.interrupt()  # nothing left to ask
