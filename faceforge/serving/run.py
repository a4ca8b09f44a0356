"""The server process: opens the port, serves, and shuts down after the last open request."""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
from contextlib import closing
from dataclasses import replace

import uvicorn

from faceforge.errors import FaceForgeError
from faceforge.serving.app import create_app
from faceforge.serving.concurrency import ConcurrencyLimit
from faceforge.serving.connections import RepeatFilter, connection_limit, limited_protocol
from faceforge.serving.limits import Limits
from faceforge.serving.loading import resolve_source
from faceforge.serving.middleware import Access

_GRACE_SECONDS = 5


def serve(
    source: str,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    tracking_uri: str = "",
    access: Access | None = None,
    limits: Limits | None = None,
    poll: float = 10.0,
) -> None:
    """Serves a model until SIGTERM or Ctrl-C, then finishes open requests and returns.

    Args:
        source: folder, `FILE.onnx`, `models:/NAME@ALIAS` (reloaded when the alias moves), `NAME` for its champion, or
            `models:/NAME/VERSION`.
        host: address to listen on.
        port: port to listen on; 0 = any free one, which is printed.
        tracking_uri: MLflow server of the registry; empty: the default of `Generator.load`.
        access: API key, allowed origins and prefix of paths.
        limits: queue length, batch size and time limit.
        poll: seconds between checks of the alias.

    Raises:
        FaceForgeError: the port is taken, or the model cannot be loaded.
    """
    limits, access = limits or Limits(), replace(access or Access(), host=host)
    _checked(source, tracking_uri)
    failures: list[Exception] = []

    def stop(error: Exception) -> None:
        failures.append(error)
        server.should_exit = True

    app = create_app(source, limits, tracking_uri=tracking_uri, poll=poll, on_failure=stop, access=access)
    config = uvicorn.Config(
        app,
        http=limited_protocol(connection_limit(), limits.timeout),
        log_level="info",
        access_log=False,
        timeout_graceful_shutdown=int(limits.timeout) + _GRACE_SECONDS,
        server_header=False,
    )
    server = uvicorn.Server(config)
    for name in ("asyncio", "uvicorn.error"):
        logging.getLogger(name).addFilter(RepeatFilter())
    with closing(_listen(host, port)) as listener:
        address = f"[{host}]" if ":" in host else host
        print(f"listening on http://{address}:{listener.getsockname()[1]}, documentation at /docs", flush=True)
        # uvicorn raises the signal again after a clean shutdown; by default that would kill the process with an error.
        signal.signal(signal.SIGTERM, lambda *_: None)
        server.run(sockets=[listener])
    _leave(app.state.requests, limits.timeout)
    if failures and isinstance(failures[0], ImportError):
        raise _not_installed(source, failures[0])
    if failures:
        raise failures[0]


def _checked(source: str, tracking_uri: str) -> None:
    """Refuses a model that does not exist before the port is open and uvicorn writes its log."""
    try:
        resolve_source(source, tracking_uri)
    except ImportError as error:
        raise _not_installed(source, error) from error


def _not_installed(source: str, error: ImportError) -> FaceForgeError:
    return FaceForgeError(f"{source} needs {error.name}, which is not installed; pip install '.[cpu]' in a checkout")


def _leave(requests: ConcurrencyLimit, seconds: float) -> None:
    """Ends the process if a request's thread does not end in time; Python would wait for it without limit."""
    end = time.monotonic() + min(seconds, _GRACE_SECONDS)
    while requests.running and time.monotonic() < end:
        time.sleep(0.05)
    if requests.running:
        logging.getLogger("uvicorn.error").warning("%d requests did not end in time", requests.running)
        logging.shutdown()
        os._exit(0)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)  # from here on clients wait for the model instead of being refused
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or error
        raise FaceForgeError(
            f"cannot listen on {host} port {port}: {reason}; choose another with --host or --port"
        ) from None
    return listener
