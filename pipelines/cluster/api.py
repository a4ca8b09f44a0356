"""Calls of the Kubeflow Pipelines API: errors become one line, failed reads are retried, paged listings are joined."""

from __future__ import annotations

import contextlib
import io
import json
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from faceforge.errors import FaceForgeError, first_line
from pipelines.cluster.server import TOKEN

_PAGE_SIZE = 100
RETRY_SECONDS = 0.5
"""Pause before the first retry of a call; doubled for each further one."""

Response = TypeVar("Response")


_BUSY = (408, 429)  # request timeout, too many requests


class UnreachableError(FaceForgeError):
    """The server does not answer, or answers that it is busy or in trouble: a retry may help."""


class LoginPageError(FaceForgeError):
    """Something else than the API has answered, usually a login page with status 200."""


@contextmanager
def api_errors(what: str) -> Iterator[None]:
    """Turns errors of the API client into a `FaceForgeError` of one line that starts with `what`.

    Raises:
        UnreachableError: the network failed, or the server answered with 408, 429 or a status of 500 or more.
        FaceForgeError: any other answer than success.
    """
    import kfp_server_api
    import urllib3

    try:
        yield
    except kfp_server_api.ApiException as error:
        temporary = not error.status or error.status >= 500 or error.status in _BUSY
        kind = UnreachableError if temporary else FaceForgeError
        raise kind(f"{what}: {_reason(error)}") from error
    except (urllib3.exceptions.HTTPError, OSError, TimeoutError) as error:
        raise UnreachableError(f"{what}: {_cause(error)}") from error
    except ValueError as error:
        raise FaceForgeError(f"{what}: {_cause(error)}") from error


@contextmanager
def silenced() -> Iterator[None]:
    """Suppresses the links and warnings that kfp's client prints."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def with_retries(what: str, call: Callable[[], Response], attempts: int = 4) -> Response:
    """The response of `call`, which must be safe to repeat; retried with backoff while the server is unreachable."""
    for attempt in range(attempts):
        try:
            with api_errors(what), silenced():
                return call()
        except UnreachableError:
            if attempt == attempts - 1:
                raise
            time.sleep(RETRY_SECONDS * 2**attempt)
    raise AssertionError("unreachable")


def list_all(what: str, listing: Callable[..., Any], field: str, limit: int = 0, **filters: Any) -> list[Any]:
    """All members of a paged listing of the API, or its first `limit`.

    Args:
        what: names the listing in error messages.
        listing: method of kfp's client that takes `page_token` and `page_size`.
        field: attribute of a page that holds its members.
        limit: 0 = no limit.
        filters: further arguments of `listing`.
    """
    members: list[Any] = []
    token = ""
    while True:
        arguments = {"page_token": token, "page_size": min(_PAGE_SIZE, limit or _PAGE_SIZE), **filters}
        page = with_retries(what, lambda arguments=arguments: listing(**arguments))  # type: ignore[misc]
        members += getattr(page, field) or []
        token = page.next_page_token or ""
        if not token or (limit and len(members) >= limit):
            return members[:limit] if limit else members


def equals(key: str, value: str) -> str:
    """A filter for listings: only members whose `key` equals `value`."""
    predicate: dict[str, Any] = {"operation": "EQUALS", "key": key, "stringValue": value}
    return json.dumps({"predicates": [predicate]})


def _reason(error: Any) -> str:
    """Why the server refused a call, and what the user can do about it."""
    if error.status == 401:
        return f"access denied (401); set {TOKEN} to a valid bearer token"
    if error.status == 403:
        return f"forbidden (403); --namespace must be one that you (or the service account) may use{_detail(error)}"
    if not error.status:
        return _cause(error)
    if error.status in (301, 302, 303, 307, 308):
        return f"redirected ({error.status}), perhaps to a login page; set {TOKEN}, or check the scheme of the endpoint"
    return f"the server answered {error.status} {error.reason}{_detail(error)}"


def _detail(error: Any) -> str:
    """The first line of the server's own message in brackets, if it sent one."""
    try:
        line = first_line(str(json.loads(error.body)["message"]), 200)
    except (TypeError, ValueError, KeyError):
        return ""
    return f" ({line})" if line else ""


def _cause(error: BaseException) -> str:
    """What went wrong in the network; urllib3 wraps the actual error."""
    cause: Any = getattr(error, "reason", None) or error
    cause = getattr(cause, "original_error", None) or cause
    if isinstance(cause, ConnectionRefusedError) or "Connection refused" in str(cause):
        return "connection refused"
    return first_line(" ".join(str(cause).split()) or type(error).__name__)
