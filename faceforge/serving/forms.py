"""Limits on multipart forms, which are parsed on the event loop: each part costs time there."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from faceforge.serving.limits import MAX_UPLOADS

_MAX_FIELDS = 8


class FormRoute(APIRoute):
    """A route whose forms may have one file more than `MAX_UPLOADS`, which validation then refuses, and few fields."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, with a request that parses no larger form."""
        handle = super().get_route_handler()

        async def limited(request: Request) -> Response:
            return await handle(_LimitedRequest(request.scope, request.receive))

        return limited


class _LimitedRequest(Request):
    def form(self, **_: Any) -> Any:
        return super().form(max_files=MAX_UPLOADS + 1, max_fields=_MAX_FIELDS)
