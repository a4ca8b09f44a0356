"""Steps in containers: kfp's DockerRunner, made to run as a cluster runs them, and to be stopped.

A step gets a container of its image under an ordinary user, without capabilities, with a read-only root file system
and a /tmp in memory. It sees the run's folder and the source, under the paths they have here, and one network.
Docker and `podman system service` both serve; DOCKER_HOST says where.
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
"""Label of the containers; its value is the run key."""

USER_FOR_ROOT = 10001
"""Who steps run as when root starts them: as in the images."""

_HANDED_ON = ("MLFLOW_TRACKING_", "MLFLOW_SUPPRESS_")
_SIGNALLED = 128
_HINTS = {9: " (killed; by the kernel, if memory ran out)"}
_ADDRESSES_OF_THE_SAME = ("", "localhost/", "docker.io/library/", "docker.io/")  # podman writes names in full


def check_containers(tracking_uri: str) -> None:
    """Refuse what steps in containers would stumble over.

    Raises:
        FaceForgeError: no container engine answers, or MLflow is a file, which containers cannot share.
    """
    if not tracking_uri.startswith(("http://", "https://")):
        raise FaceForgeError(
            f"steps in containers need an MLflow server, not {tracking_uri}: start one (docs/images.md) and give "
            "--tracking-uri http://HOST:PORT"
        )
    with _engine() as client:
        client.ping()


def docker_runner(folder: RunFolder) -> Any:
    """kfp's runner for the run in `folder`; containers that an earlier attempt has left behind are removed first.

    Raises:
        FaceForgeError: the engine does not answer.
    """
    from docker.types import Mount
    from kfp import local
    from kfp.local import docker_task_handler

    StepContainers(folder.key).remove()
    state = folder.read()
    arguments = state["arguments"]
    user, group = _user()
    # Files are shared with the group: the steps' user may not be the one that runs this.
    os.umask(0o002)
    for path in (folder.root, folder.steps, folder.root / "checkpoints", folder.scratch / "workspace"):
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o775)
    mounts = []
    for name in ("source", "labels"):
        given = Path(arguments.get(name) or "")
        if given.is_absolute():
            mounts.append(Mount(str(given), str(given), type="bind", read_only=True))
    mounts.append(Mount(str(folder.root), str(folder.root), type="bind"))  # last: it may be inside the source
    # kfp's own function takes a container that was gone too soon for one that has succeeded.
    docker_task_handler.run_docker_container = run_container
    return local.DockerRunner(
        user=f"{user}:{group}",
        read_only=True,
        tmpfs={"/tmp": "mode=1777"},  # noqa: S108
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        network=state["network"],
        mounts=mounts,
        environment={name: value for name, value in os.environ.items() if name.startswith(_HANDED_ON)},
        labels={RUN_LABEL: folder.key},
    )


def run_container(client: DockerClient, image: str, command: list[str], volumes: Any, **arguments: Any) -> int:
    """Run a container to its end, print what it says, remove it; its exit code (1: there is no such image)."""
    identity = _find(client, image)
    if not identity:
        print(f"error: image {image} is not on this machine; build it (make images) or pull it")
        return 1
    container = client.containers.run(image=identity, command=command, volumes=volumes, detach=True, **arguments)
    try:
        for line in _lines(container.logs(stream=True, follow=True)):
            print(line)  # kfp indents what steps print, by which it is known (`pipelines.local.console`)
        code = int(container.wait()["StatusCode"])
        if code > _SIGNALLED:
            print(f"error: the container was ended by signal {code - _SIGNALLED}{_HINTS.get(code - _SIGNALLED, '')}")
        return code
    finally:
        container.remove(force=True)


class StepContainers:
    """The containers of one run."""

    def __init__(self, run_key: str) -> None:
        self._key = run_key

    def interrupt(self) -> bool:
        """SIGINT to the steps, so that they save; False when there is none.

        Not to the first process, which is a shell and would not hand it on.
        """
        with self._all() as containers:
            for container in containers:
                container.exec_run(["python3", "-c", "import os; os.kill(-1, 2)"], detach=True)
            return bool(containers)

    def remove(self) -> None:
        """Kill and remove them."""
        from docker.errors import NotFound

        with self._all() as containers:
            for container in containers:
                with suppress(NotFound):  # its step has just ended
                    container.remove(force=True)

    @contextmanager
    def _all(self) -> Iterator[list[Container]]:
        with _engine() as client:
            yield client.containers.list(all=True, filters={"label": f"{RUN_LABEL}={self._key}"})


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """The lines of a stream that comes in pieces, which may end anywhere."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode("utf-8", "replace") for line in whole)
    if rest:
        yield rest.decode("utf-8", "replace")


def _find(client: DockerClient, image: str) -> str:
    """The id of an image that is here, else ''."""
    wanted = {prefix + image for prefix in _ADDRESSES_OF_THE_SAME}
    for candidate in client.images.list():
        if wanted & {*candidate.tags, *(candidate.attrs.get("RepoDigests") or ())}:
            return str(candidate.id)
    return ""


def _user() -> tuple[int, int]:
    return os.getuid() or USER_FOR_ROOT, os.getgid()


@contextmanager
def _engine() -> Iterator[DockerClient]:
    import docker

    where = os.environ.get("DOCKER_HOST", "the usual socket")
    try:
        client = docker.from_env()
    except docker.errors.DockerException as error:
        raise FaceForgeError(
            f"no container engine answers at {where}; start Docker, or podman system service and set DOCKER_HOST"
        ) from error
    try:
        yield client
    except docker.errors.DockerException as error:
        raise FaceForgeError(f"container engine at {where}: {first_line(error)}") from error
    finally:
        client.close()
