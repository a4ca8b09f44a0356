"""Middleware that checks requests before their bodies are read: API key, origin, concurrency limit, size and speed."""

from __future__ import annotations

import asyncio
import hmac
import time
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from fastapi import HTTPException
from fastapi.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from werkzeug.http import parse_options_header

from faceforge.serving.concurrency import ConcurrencyLimit
from faceforge.serving.error_responses import busy, problem
from faceforge.serving.limits import JSON_BYTES, UPLOAD_BYTES, Limits
from faceforge.serving.metrics import Metrics

KEY_HEADER = "X-API-Key"
OPEN_PATHS = ("/healthz", "/readyz", "/metrics", "/docs", "/openapi.json")  # for everyone, also with an API key
_CHARSETS = ("utf-8", "utf8", "us-ascii", "ascii")
_UPLOADS = "/v1/discriminate"
OPEN_PER_PLACE = 2  # open connections per request in progress: uploads in transit need space on disk
_DRAIN_BYTES, _DRAIN_SECONDS = 64 * 2**20, 5.0


@dataclass(frozen=True)
class Access:
    """Who may use a server, and under which address.

    Attributes:
        api_key: key that clients must send; empty: none.
        origins: web pages that browsers may let use the server, such as `https://example.org`.
        root_path: prefix of all paths behind a reverse proxy, such as `/faces`, whether or not the proxy removes it.
        host: name or address that the server listens on.
    """

    api_key: str = ""
    origins: tuple[str, ...] = ()
    root_path: str = ""
    host: str = "127.0.0.1"


class RequestMiddleware:
    """ASGI middleware: refuses requests early, limits their bodies, and counts responses."""

    def __init__(
        self, app: ASGIApp, access: Access, requests: ConcurrencyLimit, metrics: Metrics, limits: Limits
    ) -> None:
        self._app, self._key, self._requests, self._metrics = app, access.api_key.encode(), requests, metrics
        self._origins, self._root = {origin.encode() for origin in access.origins}, access.root_path
        self._names = {"localhost", access.host.lower(), *(urlsplit(origin).hostname for origin in access.origins)}
        self._timeout, self._most_open, self._open = limits.timeout, OPEN_PER_PLACE * limits.queue, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if self._root and path.startswith(f"{self._root}/"):
            path = path.removeprefix(self._root)
        scope = {**scope, "root_path": self._root, "path": self._root + path}
        began, status = time.monotonic(), 500

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            refusal = self._refusal(scope, path)
            if refusal is not None:
                await _drain(scope, receive)
                await refusal(scope, receive, counted)
                return
            self._open += 1
            try:
                await self._app(scope, self._limited(_most(path), receive), counted)
            finally:
                self._open -= 1
        finally:
            self._metrics.request(path, status, time.monotonic() - began)

    def _refusal(self, scope: Scope, path: str) -> Response | None:
        """The error response if the request is refused before its body is read, else None."""
        if path in OPEN_PATHS:
            return None
        headers = dict(scope["headers"])
        if self._key and not self._has_key(headers):
            return problem(
                401,
                f"missing or wrong API key; send it in the header {KEY_HEADER}, or as Authorization: Bearer KEY",
                **{"WWW-Authenticate": "Bearer"},
            )
        if not self._key and headers.get(b"origin") not in self._origins and _is_cross_site(headers):
            return problem(
                403,
                "requests from web pages of other sites are refused by a server without an API key; "
                "--allow-origin allows a site",
            )
        if not self._key and not self._is_own_name(headers.get(b"host", b"").decode("latin-1")):
            return problem(
                403,
                "the Host header is none of localhost, an IP address and the server's --host; without an API key, "
                "other names of the server need --allow-origin, such as --allow-origin http://gpu-box:8000",
            )
        if (charset := _charset(headers)) not in _CHARSETS:
            return problem(415, f"the charset of the body is {charset[:20]}; only utf-8 is accepted")
        if scope["method"] == "POST" and (self._requests.full or self._open >= self._most_open):
            return busy(self._requests)
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > _most(path):
            return problem(413, _size_advice(_most(path)))
        return None

    def _has_key(self, headers: dict[bytes, bytes]) -> bool:
        """Whether the request has the key, in either header; in the same time for every wrong key."""
        kind, _, token = headers.get(b"authorization", b"").partition(b" ")
        sent = [headers.get(KEY_HEADER.lower().encode(), b""), token.strip() if kind.lower() == b"bearer" else b""]
        return any(hmac.compare_digest(each, self._key) for each in sent)

    def _is_own_name(self, host: str) -> bool:
        """Whether a Host header names this server.

        The owner of a domain can point it at 127.0.0.1 once a browser shows its page ("DNS rebinding"). To the browser,
        page and server then have the same origin; only the Host header still differs. IP addresses cannot be redirected
        this way.
        """
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in self._names or _is_address(name)

    def _limited(self, most: int, receive: Receive) -> Receive:
        """`receive` that raises 413 for bodies that are too large and 408 for those that arrive too slowly."""
        deadline, seen, whole = time.monotonic() + self._timeout, 0, False

        async def limited() -> Message:
            nonlocal seen, whole
            if whole:
                return await receive()  # waits for the client to hang up
            try:
                message = await asyncio.wait_for(receive(), max(deadline - time.monotonic(), 0))
            except TimeoutError:
                raise HTTPException(408, f"the request was not complete after {self._timeout:g} seconds") from None
            seen += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if seen > most:
                raise HTTPException(413, _size_advice(most))
            return message

        return limited


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _charset(headers: dict[bytes, bytes]) -> str:
    """The charset that Content-Type declares, in lower case; `utf-8` without one.

    Form fields are decoded with it on the event loop, and some of Python's codecs (punycode) take quadratic time.
    """
    _, options = parse_options_header(headers.get(b"content-type", b"").decode("latin-1"))
    return options.get("charset", "utf-8").lower()


def _is_cross_site(headers: dict[bytes, bytes]) -> bool:
    """Whether a browser sent the request for a page of another site: any page could use a local server otherwise."""
    if headers.get(b"sec-fetch-site", b"none") in (b"cross-site", b"same-site"):
        return True
    origin = headers.get(b"origin")
    return origin is not None and origin.partition(b"://")[2] != headers.get(b"host", b"")


def _most(path: str) -> int:
    return UPLOAD_BYTES if path == _UPLOADS else JSON_BYTES


def _size_advice(most: int) -> str:
    return f"the request is too large; at most {most // 1024:,} KiB are accepted"


async def _drain(scope: Scope, receive: Receive) -> None:
    """Reads what the client is still sending, so that it receives the response instead of a connection reset."""
    headers: dict[bytes, Any] = dict(scope["headers"])
    if b"expect" in headers:  # the client waits for "100 Continue" before sending
        return
    seen, more = 0, True
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            while more and seen < _DRAIN_BYTES:
                message = await receive()
                seen += len(message.get("body", b""))
                more = message.get("more_body", False)
    except TimeoutError:
        pass
