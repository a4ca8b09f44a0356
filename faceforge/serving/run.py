"""The server process: opens the port, serves, and shuts down after the last open request."""

from __future__ import annotations

import signal
import socket
from contextlib import closing

import uvicorn

from faceforge.errors import FaceForgeError
from faceforge.serving.app import create_app
from faceforge.serving.limits import Limits


def serve(
    source: str,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    tracking_uri: str = "",
    api_key: str = "",
    limits: Limits | None = None,
    poll: float = 10.0,
) -> None:
    """Serves a model until SIGTERM or Ctrl-C, then finishes open requests and returns.

    Args:
        source: folder, `FILE.onnx`, `models:/NAME@ALIAS` (reloaded when the alias moves) or `models:/NAME/VERSION`.
        host: address to listen on.
        port: port to listen on; 0 = any free one, which is printed.
        tracking_uri: MLflow server of the registry; empty: the default of `Generator.load`.
        api_key: key that clients must send; empty: none.
        limits: queue length, batch size and time limit.
        poll: seconds between checks of the alias.

    Raises:
        FaceForgeError: the port is taken, or the model cannot be loaded.
    """
    limits = limits or Limits()
    failures: list[Exception] = []

    def stop(error: Exception) -> None:
        failures.append(error)
        server.should_exit = True

    app = create_app(source, limits, tracking_uri=tracking_uri, api_key=api_key, poll=poll, on_failure=stop)
    config = uvicorn.Config(
        app, log_level="info", access_log=False, timeout_graceful_shutdown=int(limits.timeout) + 5, server_header=False
    )
    server = uvicorn.Server(config)
    with closing(_listen(host, port)) as listener:
        address = f"[{host}]" if ":" in host else host
        print(f"listening on http://{address}:{listener.getsockname()[1]}, documentation at /docs", flush=True)
        # uvicorn raises the signal again after a clean shutdown; by default that would kill the process with an error.
        signal.signal(signal.SIGTERM, lambda *_: None)
        server.run(sockets=[listener])
    if failures and isinstance(failures[0], ImportError):
        raise FaceForgeError(f"{source} needs {failures[0].name}, which is not installed; pip install faceforge[cpu]")
    if failures:
        raise failures[0]


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
