"""Failures as clients see them: `{"detail": ...}`, one line that says what would be right."""

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
from faceforge.serving.concurrency import Admission, BusyError
from faceforge.serving.uploads import RefusedError


def problem(status: int, detail: str, **headers: str) -> Response:
    """An error as JSON; plain ASCII, so that no text from a request can break it."""
    return Response(json.dumps({"detail": detail}), status, headers, "application/json")


def busy(admission: Admission) -> Response:
    """Answer to a request for which there is no room."""
    seconds = admission.retry_after
    return problem(429, f"too many requests at the moment; try again in {seconds} s", **{"Retry-After": str(seconds)})


def tell_failures(app: FastAPI, admission: Admission) -> None:
    """Every failure that is the request's own is a `Problem` with a 4xx status."""

    def answer(kind: type[Exception], tell: Callable[[Any], Response]) -> None:
        async def handler(_: Request, error: Exception) -> Response:
            return tell(error)

        app.add_exception_handler(kind, handler)

    answer(FaceForgeError, lambda error: problem(422, str(error)))
    answer(RequestValidationError, lambda error: problem(422, _first(error)))
    answer(RefusedError, lambda error: problem(error.status, str(error)))
    answer(HTTPException, lambda error: problem(error.status_code, str(error.detail), **(error.headers or {})))
    answer(BusyError, lambda _: busy(admission))
    answer(TooSlowError, lambda _: problem(503, "no time left for this request; ask for less", **{"Retry-After": "5"}))


def _first(error: RequestValidationError) -> str:
    """The first fault of a request, in one line; what was sent is not repeated."""
    fault = error.errors()[0]
    if fault["type"] == "model_attributes_type":
        return "a JSON object is expected, with Content-Type: application/json"
    place = next((str(part)[:100] for part in fault["loc"] if part not in ("body", "query", "header")), "")
    return f"{place}: {fault['msg']}" if place else str(fault["msg"])
