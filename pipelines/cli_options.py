"""Options that commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

Command = Callable[..., Any]


def server_options(command: Command) -> Command:
    """Which Kubeflow Pipelines server, and how long to watch it."""
    options = [
        click.option("--endpoint", default="", help="KFP API address; unset = KF_PIPELINES_ENDPOINT."),
        click.option("--namespace", default="", help="Profile namespace of a multi-user installation."),
        click.option("--service-account", default="", help="Kubernetes service account of the pods."),
        click.option(
            "--every", default=10.0, show_default=True, type=click.FloatRange(min=0.01), help="Seconds between looks."
        ),
        click.option(
            "--timeout", default=0.0, type=click.FloatRange(min=0), help="Stop watching after so many seconds."
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command
