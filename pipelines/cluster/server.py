"""Reaching a Kubeflow Pipelines server, or saying in one line why it cannot be reached."""

from __future__ import annotations

import contextlib
import io
import os
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from faceforge.errors import FaceForgeError

if TYPE_CHECKING:
    from kfp import Client

ENDPOINT = "KF_PIPELINES_ENDPOINT"
UI_ENDPOINT = "KF_PIPELINES_UI_ENDPOINT"
TOKEN = "KF_PIPELINES_TOKEN"  # noqa: S105  (the name of a variable)
TOKEN_PATH = "KF_PIPELINES_SA_TOKEN_PATH"  # noqa: S105
_IN_CLUSTER_TOKEN = Path("/var/run/secrets/kubeflow/pipelines/token")
_ANSWER_SECONDS = 10
_PAGE = 100
PAUSE_SECONDS = 0.5
"""Before a call is repeated the first time; twice as long each time after."""

Answer = TypeVar("Answer")


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

    @property
    def address(self) -> str:
        """The endpoint in full.

        Raises:
            FaceForgeError: none is set, or it is no http(s) address.
        """
        endpoint = self.endpoint or os.environ.get(ENDPOINT, "")
        if not endpoint:
            raise FaceForgeError(
                f"no Kubeflow Pipelines endpoint: set {ENDPOINT} (for example http://localhost:8888) or give "
                "--endpoint; to run on this machine instead: make run"
            )
        endpoint = (endpoint if "://" in endpoint else f"https://{endpoint}").rstrip("/")
        if not endpoint.startswith(("http://", "https://")):
            raise FaceForgeError(f"{ENDPOINT} {endpoint!r} is not an http(s) address")
        return endpoint

    def page(self, kind: str, identifier: str) -> str:
        """Address of a page of the UI: `kind` is `runs` or `recurringrun`."""
        ui = os.environ.get(UI_ENDPOINT, "").rstrip("/") or self.address
        return f"{ui}/#/{kind}/details/{identifier}"


def connect(server: Server) -> Client:
    """A client of a server that is known to answer.

    Raises:
        FaceForgeError: no endpoint is set, nothing answers there, or it refuses us.
    """
    endpoint, token = server.address, os.environ.get(TOKEN, "")
    _knock(endpoint, token)
    with readable(f"Kubeflow Pipelines at {endpoint}"), quiet():
        from kfp import Client
        from kfp.client import ServiceAccountTokenVolumeCredentials

        # Without a path the credentials are those of TOKEN_PATH or of the volume that Kubeflow mounts.
        credentials = ServiceAccountTokenVolumeCredentials(path=None) if not token and _mounted_token() else None
        return Client(
            host=endpoint,
            existing_token=token or None,
            namespace=server.namespace or "kubeflow",
            credentials=credentials,
        )


@contextmanager
def readable(what: str) -> Iterator[None]:
    """API errors as one line that starts with `what`; those of the network are `UnreachableError`."""
    import kfp_server_api
    import urllib3

    try:
        yield
    except kfp_server_api.ApiException as error:
        kind = UnreachableError if not error.status or error.status >= 500 else FaceForgeError
        raise kind(f"{what}: {_reason(error)}") from error
    except (urllib3.exceptions.HTTPError, OSError, TimeoutError) as error:
        raise UnreachableError(f"{what}: {_first_line(error)}") from error
    except ValueError as error:
        raise FaceForgeError(f"{what}: {_first_line(error)}") from error


class UnreachableError(FaceForgeError):
    """The server does not answer, or answers that it is in trouble: trying again may help."""


@contextmanager
def quiet() -> Iterator[None]:
    """kfp's client prints links and warns about itself."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def patiently(what: str, call: Callable[[], Answer], tries: int = 4) -> Answer:
    """The answer of a call that may be repeated without harm, through a short absence of the server."""
    for attempt in range(tries):
        try:
            with readable(what), quiet():
                return call()
        except UnreachableError:
            if attempt == tries - 1:
                raise
            time.sleep(PAUSE_SECONDS * 2**attempt)
    raise AssertionError("unreachable")


def all_pages(what: str, listing: Callable[..., Any], field: str, limit: int = 0, **wanted: Any) -> list[Any]:
    """Everything that a paged listing of the API holds, or its first `limit` members."""
    found: list[Any] = []
    token = ""
    while True:
        size = min(_PAGE, limit) if limit else _PAGE
        at = token
        page = patiently(what, lambda at=at, size=size: listing(page_token=at, page_size=size, **wanted))  # type: ignore[misc]
        found += getattr(page, field) or []
        token = page.next_page_token or ""
        if not token or (limit and len(found) >= limit):
            return found[:limit] if limit else found


def _reason(error: Any) -> str:
    """What the server says, and what to do about it."""
    if error.status == 401:
        return f"access denied (401); set {TOKEN} to a valid bearer token"
    if error.status == 403:
        return f"forbidden (403); --namespace must be one that you (or the service account) may use{_detail(error)}"
    if not error.status:
        return _first_line(error)
    return f"the server answered {error.status} {error.reason}{_detail(error)}"


def _detail(error: Any) -> str:
    """The server's own words, if it has said something."""
    import json

    try:
        text = str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return ""
    line = (text.strip().splitlines() or [""])[0][:200]
    return f" ({line})" if line else ""


def _first_line(error: BaseException) -> str:
    cause = getattr(error, "reason", None)  # of urllib3's "max retries exceeded"
    return (str(cause or error).strip().splitlines() or [type(error).__name__])[0][:300].strip()


def _mounted_token() -> bool:
    return _IN_CLUSTER_TOKEN.is_file() or bool(os.environ.get(TOKEN_PATH))


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
            if not token and _mounted_token():  # kfp's client presents it; we do not
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
