"""Errors as JSON responses: `{"detail": ...}`, one line that says what was wrong and what is expected."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from faceforge.errors import FaceForgeError
from faceforge.serving.batching import TooSlowError
from faceforge.serving.concurrency import BusyError, ConcurrencyLimit
from faceforge.serving.uploads import RefusedError


def problem(status: int, detail: str, **headers: str) -> Response:
    """A JSON error response; ASCII only, so that text from a request cannot break it."""
    return Response(json.dumps({"detail": detail}), status, headers, "application/json")


def busy(requests: ConcurrencyLimit) -> Response:
    """The 429 response, with `Retry-After`."""
    seconds = requests.retry_after
    return problem(429, f"too many requests; try again in {seconds} s", **{"Retry-After": str(seconds)})


def add_error_handlers(app: FastAPI, requests: ConcurrencyLimit) -> None:
    """Registers handlers that turn every error caused by a request into a `Problem` with a 4xx or 503 status."""

    def handle(kind: type[Exception], respond: Callable[[Any], Response]) -> None:
        async def handler(_: Request, error: Exception) -> Response:
            return respond(error)

        app.add_exception_handler(kind, handler)

    handle(FaceForgeError, lambda error: problem(422, str(error)))
    handle(RequestValidationError, lambda error: problem(422, _first(error)))
    handle(RefusedError, lambda error: problem(error.status, str(error)))
    handle(HTTPException, lambda error: problem(error.status_code, str(error.detail), **(error.headers or {})))
    handle(BusyError, lambda _: busy(requests))
    handle(
        TooSlowError,
        lambda _: problem(
            503, "the time limit of the request was exceeded; request fewer images", **{"Retry-After": "5"}
        ),
    )


def _first(error: RequestValidationError) -> str:
    """The first validation error in one line; values from the request are not repeated."""
    first = error.errors()[0]
    if first["type"] == "model_attributes_type":
        return "expected a JSON object with Content-Type: application/json"
    place = next((str(part)[:100] for part in first["loc"] if part not in ("body", "query", "header")), "")
    return f"{place}: {first['msg']}" if place else str(first["msg"])
