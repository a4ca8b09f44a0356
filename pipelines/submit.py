"""Sending the compiled pipeline to a Kubeflow Pipelines server, and following the run to its end."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceforge.errors import FaceForgeError
from pipelines.parameters import RunParameters, SynthesisParameters

if TYPE_CHECKING:
    from kfp import Client

ENDPOINT = "KF_PIPELINES_ENDPOINT"
TOKEN = "KF_PIPELINES_TOKEN"  # noqa: S105  (the name of a variable)
_IN_CLUSTER_TOKEN = Path("/var/run/secrets/kubeflow/pipelines/token")
TERMINAL = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")
_PATIENCE = 5  # polls in a row that may fail before we give up: API servers restart
_ANSWER_SECONDS = 10


class RunNotSucceededError(FaceForgeError):
    """A submitted run has ended otherwise than well."""


@dataclass(frozen=True)
class Server:
    """Where to submit, and as whom.

    Attributes:
        endpoint: address of the KFP API; '' = the environment's KF_PIPELINES_ENDPOINT.
        namespace: profile namespace in multi-user installations.
        service_account: Kubernetes account the pods run as; '' = the namespace's default.
    """

    endpoint: str = ""
    namespace: str = ""
    service_account: str = ""


def submit(
    package: Path,
    parameters: RunParameters | SynthesisParameters,
    server: Server,
    *,
    caching: bool | None = None,
    run_key: str = "",
) -> str:
    """Start a run of the compiled `package` and return its id.

    Args:
        package: written by `pipelines.compile`.
        parameters: already validated; the server itself accepts anything.
        server: where to.
        caching: override of the cluster's cache; None leaves what was compiled.
        run_key: identifies the run in MLflow and names its checkpoints; '' makes a new one.

    Raises:
        FaceForgeError: no endpoint, no answer, access denied, or the package cannot be read.
    """
    if not package.is_file():
        raise FaceForgeError(f"compiled pipeline {package} does not exist; write it with: faceforge pipeline compile")
    client = connect(server)
    key = run_key or f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    # checkpoint_root is left to the package, which knows whether it mounts a volume.
    arguments = {**parameters.model_dump(), "run_key": key}
    with _readable("submission"), _quiet():
        started = client.create_run_from_pipeline_package(
            str(package),
            arguments=arguments,
            run_name=f"{parameters.title} {key}",
            experiment_name=parameters.experiment,
            namespace=server.namespace or None,
            service_account=server.service_account or None,
            enable_caching=caching,
        )
    return str(started.run_id)


def watch(
    run_id: str, server: Server, *, every: float = 10.0, timeout: float = 0.0, show: Callable[[str], None] = print
) -> None:
    """Follow a run to its end; returns when it has succeeded.

    Args:
        run_id: from `submit`.
        server: where it runs.
        every: seconds between looks.
        timeout: seconds after which to stop watching (the run goes on); 0 = none.
        show: takes a line per change of state.

    Raises:
        RunNotSucceededError: it failed, was cancelled or skipped.
        FaceForgeError: the server does not answer any more, or time is up.
    """
    client = connect(server)
    started, seen, failures = time.monotonic(), "", 0
    while True:
        try:
            with _readable("polling"):
                run = client.get_run(run_id)
            failures = 0
        except FaceForgeError:
            failures += 1
            if failures >= _PATIENCE:
                raise
        else:
            state = str(run.state or "PENDING")
            if state != seen:
                show(f"{run_id} · {state.lower()} · {time.monotonic() - started:,.0f} s")
                seen = state
            if state in TERMINAL:
                _conclude(run_id, state, run)
                return
        if timeout and time.monotonic() - started > timeout:
            raise FaceForgeError(
                f"run {run_id} is still {seen.lower()} after {timeout:,.0f} s; it goes on in the cluster"
            )
        time.sleep(every)


def connect(server: Server) -> Client:
    """A client of a server that is known to answer.

    Raises:
        FaceForgeError: no endpoint is set, nothing answers there, or it refuses us.
    """
    endpoint = server.endpoint or os.environ.get(ENDPOINT, "")
    if not endpoint:
        raise FaceForgeError(
            f"no Kubeflow Pipelines endpoint: set {ENDPOINT} (for example http://localhost:8888) or give --endpoint; "
            "to run on this machine instead: make run"
        )
    endpoint = (endpoint if "://" in endpoint else f"https://{endpoint}").rstrip("/")
    if not endpoint.startswith(("http://", "https://")):
        raise FaceForgeError(f"{ENDPOINT} {endpoint!r} is not an http(s) address")
    token = os.environ.get(TOKEN, "")
    _knock(endpoint, token)
    with _readable(f"Kubeflow Pipelines at {endpoint}"), _quiet():
        from kfp import Client
        from kfp.client import ServiceAccountTokenVolumeCredentials

        in_cluster = not token and (_IN_CLUSTER_TOKEN.is_file() or bool(os.environ.get("KF_PIPELINES_SA_TOKEN_PATH")))
        return Client(
            host=endpoint,
            existing_token=token or None,
            namespace=server.namespace or "kubeflow",
            credentials=ServiceAccountTokenVolumeCredentials(path=None) if in_cluster else None,
        )


def _knock(endpoint: str, token: str) -> None:
    """Ask for the server's health: kfp's own client would retry a dead one for half a minute, with tracebacks."""
    request = urllib.request.Request(f"{endpoint}/apis/v2beta1/healthz")  # noqa: S310  (checked by the caller)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS):  # noqa: S310
            return
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            if _IN_CLUSTER_TOKEN.is_file():  # kfp's client presents it; we do not
                return
            why = f"access denied ({error.code}); set {TOKEN} to a bearer token"
        else:
            why = f"answers {error.code} {error.reason}"
    except urllib.error.URLError as error:
        reason = error.reason
        why = "connection refused" if isinstance(reason, ConnectionRefusedError) else str(reason)
    except (OSError, ValueError) as error:
        why = str(error) or type(error).__name__
    raise FaceForgeError(f"Kubeflow Pipelines at {endpoint}: {why}; check {ENDPOINT} and the port-forward")


def _conclude(run_id: str, state: str, run: Any) -> None:
    if state == "SUCCEEDED":
        return
    message = str(getattr(getattr(run, "error", None), "message", "") or "").strip().splitlines()
    why = f": {message[0]}" if message else ""
    raise RunNotSucceededError(f"run {run_id} ended {state}{why}; see its page in the Kubeflow Pipelines UI")


@contextmanager
def _readable(what: str) -> Iterator[None]:
    """API errors as one line."""
    import kfp_server_api
    import urllib3

    try:
        yield
    except kfp_server_api.ApiException as error:
        reason = f"{error.status} {error.reason}" if error.status else str(error).splitlines()[0]
        raise FaceForgeError(f"{what}: the server answered {reason}") from error
    except (urllib3.exceptions.HTTPError, OSError, TimeoutError, ValueError) as error:
        raise FaceForgeError(f"{what}: {(str(error).splitlines() or [type(error).__name__])[0][:300]}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """kfp's client prints links and warns about itself."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
