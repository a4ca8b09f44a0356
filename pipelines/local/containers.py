"""Runs steps in containers with kfp's DockerRunner, restricted as on a cluster, and stops them.

The container of a step runs as an ordinary user without capabilities, with a read-only root file system and /tmp in
memory. It sees the run's folder and the source under the same paths as the host, and one network. Docker and
`podman system service` both work; DOCKER_HOST is their address.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceforge.errors import FaceForgeError, first_line

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

    from pipelines.local.run_folder import RunFolder

RUN_LABEL = "faceforge.run_key"
"""Container label with the run key as its value."""

USER_FOR_ROOT = 10001
"""User id of steps when root starts the run; the images use the same."""

_FORWARDED = ("MLFLOW_TRACKING_", "MLFLOW_SUPPRESS_")
_SIGNAL_OFFSET = 128
_SIGNAL_HINTS = {9: " (SIGKILL; the kernel sends it when memory runs out)"}
_REGISTRY_PREFIXES = ("", "localhost/", "docker.io/library/", "docker.io/")  # podman stores qualified names


def check_containers(tracking_uri: str) -> None:
    """Checks what steps in containers need.

    Raises:
        FaceForgeError: no container engine answers, or the tracking URI is a file, which containers cannot share.
    """
    if not tracking_uri.startswith(("http://", "https://")):
        raise FaceForgeError(
            f"steps in containers need an MLflow server, not {tracking_uri}: start one (docs/images.md) and give "
            "--tracking-uri http://HOST:PORT"
        )
    with _engine() as client:
        client.ping()


def docker_runner(folder: RunFolder) -> Any:
    """kfp's runner for the run in `folder`; removes containers of an earlier attempt first.

    Raises:
        FaceForgeError: the container engine does not answer.
    """
    from docker.types import Mount
    from kfp import local
    from kfp.local import docker_task_handler

    StepContainers(folder.key).remove()
    state = folder.read()
    arguments = state["arguments"]
    user, group = _user()
    # The group may write, because steps may run as another user than this process.
    os.umask(0o002)
    for path in (folder.root, folder.steps, folder.root / "checkpoints", folder.scratch / "workspace"):
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o775)
    mounts = []
    for name in ("source", "labels"):
        path = Path(arguments.get(name) or "")
        if path.is_absolute():
            mounts.append(Mount(str(path), str(path), type="bind", read_only=True))
    mounts.append(Mount(str(folder.root), str(folder.root), type="bind"))  # last, because it may lie inside the source
    # kfp's own function counts a container that vanished as a success.
    docker_task_handler.run_docker_container = run_container
    return local.DockerRunner(
        user=f"{user}:{group}",
        read_only=True,
        tmpfs={"/tmp": "mode=1777"},  # noqa: S108
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        network=state["network"],
        mounts=mounts,
        environment={name: value for name, value in os.environ.items() if name.startswith(_FORWARDED)},
        labels={RUN_LABEL: folder.key},
    )


def run_container(client: DockerClient, image: str, command: list[str], volumes: Any, **arguments: Any) -> int:
    """Runs a container, prints its output and removes it; returns its exit code (1 if the image does not exist)."""
    image_id = _find_image(client, image)
    if not image_id:
        print(f"error: image {image} is not on this machine; build it (make images) or pull it")
        return 1
    container = client.containers.run(image=image_id, command=command, volumes=volumes, detach=True, **arguments)
    try:
        for line in _lines(container.logs(stream=True, follow=True)):
            print(line)  # kfp indents it, by which `pipelines.local.console` recognises output of steps
        code = int(container.wait()["StatusCode"])
        if code > _SIGNAL_OFFSET:
            number = code - _SIGNAL_OFFSET
            print(f"error: the container was terminated by signal {number}{_SIGNAL_HINTS.get(number, '')}")
        return code
    finally:
        container.remove(force=True)


class StepContainers:
    """The containers of one run."""

    def __init__(self, run_key: str) -> None:
        self._key = run_key

    def interrupt(self) -> bool:
        """Sends SIGINT to the steps so that they save their state; returns False if no container runs.

        The signal goes to all processes: the first one is a shell, which does not forward it.
        """
        with self._all() as containers:
            for container in containers:
                container.exec_run(["python3", "-c", "import os; os.kill(-1, 2)"], detach=True)
            return bool(containers)

    def remove(self) -> None:
        """Kills and removes the containers."""
        from docker.errors import NotFound

        with self._all() as containers:
            for container in containers:
                with suppress(NotFound):  # the step has just ended
                    container.remove(force=True)

    @contextmanager
    def _all(self) -> Iterator[list[Container]]:
        with _engine() as client:
            yield client.containers.list(all=True, filters={"label": f"{RUN_LABEL}={self._key}"})


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Lines of a byte stream whose chunks may end anywhere."""
    incomplete = b""
    for chunk in chunks:
        *complete, incomplete = (incomplete + chunk).split(b"\n")
        yield from (line.decode("utf-8", "replace") for line in complete)
    if incomplete:
        yield incomplete.decode("utf-8", "replace")


def _find_image(client: DockerClient, image: str) -> str:
    """Id of a local image; '' if there is none of this name."""
    names = {prefix + image for prefix in _REGISTRY_PREFIXES}
    for candidate in client.images.list():
        if names & {*candidate.tags, *(candidate.attrs.get("RepoDigests") or ())}:
            return str(candidate.id)
    return ""


def _user() -> tuple[int, int]:
    return os.getuid() or USER_FOR_ROOT, os.getgid()


@contextmanager
def _engine() -> Iterator[DockerClient]:
    import docker

    address = os.environ.get("DOCKER_HOST", "the default socket")
    try:
        client = docker.from_env()
    except docker.errors.DockerException as error:
        raise FaceForgeError(
            f"no container engine answers at {address}; start Docker, or podman system service and set DOCKER_HOST"
        ) from error
    try:
        yield client
    except docker.errors.DockerException as error:
        raise FaceForgeError(f"container engine at {address}: {first_line(error)}") from error
    finally:
        client.close()
