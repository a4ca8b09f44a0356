"""`faceforge serve`."""

from __future__ import annotations

import os

import click

from faceforge.cli.options import tracking_uri_option
from faceforge.defaults import CHAMPION_URI
from faceforge.errors import guarded

KEY_VARIABLE = "FACEFORGE_API_KEY"


@click.command()
@click.option(
    "--model",
    default=CHAMPION_URI,
    show_default=True,
    help="Bundle folder, FILE.onnx, models:/NAME@ALIAS (followed when it moves) or models:/NAME/VERSION.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 = all.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 = any free port.")
@tracking_uri_option
@click.option(
    "--queue",
    default=64,
    show_default=True,
    type=click.IntRange(1, 1024),
    help="Most requests in progress.",
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
    help="Seconds between checks of ALIAS.",
)
def serve(
    model: str, host: str, port: int, tracking_uri: str, queue: int, batch: int, timeout: float, poll: float
) -> None:
    """Serve a model over HTTP: generate, interpolate, rate images.

    With FACEFORGE_API_KEY in the environment clients must send it in the header X-API-Key.

    \b
    Examples:
      faceforge serve
      faceforge serve --model work/model/bundle --port 8080
      FACEFORGE_API_KEY=secret faceforge serve --host 0.0.0.0 --model generator.onnx
    """
    with guarded():
        try:
            from faceforge.serving.limits import Limits
            from faceforge.serving.run import serve as run
        except ImportError as error:
            raise click.ClickException(f"{error.name} is not installed; pip install 'faceforge[serve]'") from None
        key, limits = os.environ.get(KEY_VARIABLE, ""), Limits(queue, batch, timeout)
        if not key and host not in ("127.0.0.1", "localhost", "::1"):
            click.echo(f"note: no {KEY_VARIABLE} is set: whoever reaches this port may use the model", err=True)
        run(model, host=host, port=port, tracking_uri=tracking_uri, api_key=key, limits=limits, poll=poll)
