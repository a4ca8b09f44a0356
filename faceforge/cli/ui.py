"""`faceforge ui`."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import click

from faceforge.cli.options import experiment_option, model_name_option, tracking_uri_option

_SETTINGS = {
    "browser.gatherUsageStats": "false",
    "client.toolbarMode": "minimal",
    "server.headless": "true",
    "server.maxUploadSize": "20",
    "theme.primaryColor": "#c2410c",
}


@click.command()
@click.option("--model", default="", help="Bundle folder, ONNX file or models:/...; default: all versions of --name.")
@model_name_option
@experiment_option
@tracking_uri_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 = all.")
@click.option("--port", default=8501, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
def ui(host: str, port: int, **options: str) -> None:
    """Start the web app: generate and check faces, explore latents, browse runs.

    \b
    Examples:
      faceforge ui
      faceforge ui --model work/model/bundle --port 8600
    """
    if find_spec("streamlit") is None:
        raise click.ClickException("the web app needs streamlit: pip install '.[serve]' in a checkout")
    server = {"server.address": host, "server.port": str(port), **_SETTINGS}
    command = [sys.executable, "-P", "-m", "streamlit", "run", str(Path(__file__).parents[1] / "webapp" / "app.py")]
    command += [f"--{name}={value}" for name, value in server.items()]
    command += ["--", *(f"--{name.replace('_', '-')}={value}" for name, value in options.items())]
    os.execv(sys.executable, command)  # noqa: S606 - replaces this process, so that signals reach the web server
