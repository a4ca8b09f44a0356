"""`faceforge serve`."""

from __future__ import annotations

import os
import re

import click

from faceforge.cli.options import tracking_uri_option
from faceforge.defaults import CHAMPION_URI
from faceforge.errors import FaceForgeError, guarded

KEY_VARIABLE = "FACEFORGE_API_KEY"


@click.command()
@click.option(
    "--model",
    default=CHAMPION_URI,
    show_default=True,
    help="Bundle folder, FILE.onnx, NAME (its champion), models:/NAME@ALIAS (followed) or models:/NAME/VERSION.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 = all.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 = any free port.")
@tracking_uri_option
@click.option(
    "--queue",
    default=64,
    show_default=True,
    type=click.IntRange(1, 1024),
    help="Most requests in progress at once.",
)
@click.option(
    "--batch",
    default=256,
    show_default=True,
    type=click.IntRange(1, 4096),
    help="Images per network call at most; requests share calls.",
)
@click.option("--timeout", default=30.0, show_default=True, type=click.FloatRange(1, 600), help="Seconds per request.")
@click.option(
    "--poll",
    default=10.0,
    show_default=True,
    type=click.FloatRange(0.1),
    help="Seconds between checks whether ALIAS has moved.",
)
@click.option(
    "--root-path",
    default="",
    help="Prefix of all paths behind a reverse proxy, such as /faces; the proxy may remove it or pass it on.",
)
@click.option(
    "--allow-origin",
    "origins",
    multiple=True,
    metavar="ORIGIN",
    help="Let pages of this site use the server from a browser, such as https://example.org; may be repeated.",
)
def serve(
    model: str,
    host: str,
    port: int,
    tracking_uri: str,
    queue: int,
    batch: int,
    timeout: float,
    poll: float,
    root_path: str,
    origins: tuple[str, ...],
) -> None:
    """Serve a model over HTTP: generate, interpolate, rate images.

    With FACEFORGE_API_KEY in the environment, clients must send it in the header X-API-Key, or as
    Authorization: Bearer.

    \b
    Examples:
      faceforge serve
      faceforge serve --model work/model/bundle --port 8080
      FACEFORGE_API_KEY=secret faceforge serve --host 0.0.0.0 --model generator.onnx
    """
    with guarded():
        try:
            from faceforge.serving.limits import Limits
            from faceforge.serving.middleware import Access
            from faceforge.serving.run import serve as run
        except ImportError as error:
            raise click.ClickException(f"{error.name} is not installed; pip install '.[serve]' in a checkout") from None
        key, limits = _api_key(), Limits(queue, batch, timeout)
        access = Access(key, tuple(map(_origin, origins)), _prefix(root_path))
        if not key and host not in ("127.0.0.1", "localhost", "::1"):
            click.echo(f"note: no {KEY_VARIABLE} is set: whoever reaches this port may use the model", err=True)
        run(model, host=host, port=port, tracking_uri=tracking_uri, access=access, limits=limits, poll=poll)


def _api_key() -> str:
    """The key in the environment; '' if there is none."""
    key = os.environ.get(KEY_VARIABLE, "")
    if any(letter.isspace() or not letter.isprintable() for letter in key):
        raise FaceForgeError(
            f"{KEY_VARIABLE} contains white space or control characters, often a line break; remove them"
        )
    return key


def _prefix(root_path: str) -> str:
    """The prefix of paths with a slash at its start and none at its end; '' = none."""
    path = root_path.strip("/")
    if path and not re.fullmatch(r"[\w.~-]+(/[\w.~-]+)*", path, re.ASCII):
        raise FaceForgeError(f"--root-path {root_path!r} is not a path; give one such as /faces")
    return f"/{path}" if path else ""


def _origin(text: str) -> str:
    """An origin as browsers send it: in lower case, without a slash at its end."""
    origin = text.strip().rstrip("/").lower()
    if not re.fullmatch(r"https?://[^\s/?#@*]+", origin):
        raise FaceForgeError(f"--allow-origin {text!r} is not an origin; give one such as https://example.org")
    return origin
