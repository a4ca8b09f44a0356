"""`faceforge doctor`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import click

from faceforge.cli.options import experiment_option, json_option, model_name_option, tracking_uri_option

if TYPE_CHECKING:
    from faceforge.doctor.finding import Finding

_SIGNS = {"ok": "ok", "skipped": "-", "warning": "WARNING", "problem": "PROBLEM"}


@click.command()
@model_name_option
@experiment_option
@json_option
@tracking_uri_option
def doctor(name: str, experiment: str, as_json: bool, tracking_uri: str) -> None:
    """Check everything that a run needs: packages, GPU, memory, disk, MLflow, registry, Kubeflow.

    The exit code is 1 if there is a problem, else 0.

    \b
    Examples:
      faceforge doctor
      KF_PIPELINES_ENDPOINT=http://localhost:8888 faceforge doctor --tracking-uri http://localhost:5000
    """
    findings = []
    for finding in _findings(tracking_uri, name, experiment):
        findings.append(finding)
        if not as_json:
            click.echo(f"{_SIGNS[finding.status]:<8} {finding.check:<12} {finding.message}")
            if finding.remedy:
                click.echo(f"{'':<21} -> {finding.remedy}")
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    sys.exit(any(finding.status == "problem" for finding in findings))


def _findings(tracking_uri: str, name: str, experiment: str) -> Iterator[Finding]:
    from faceforge.doctor import machine, mlflow

    for check in (machine.packages, machine.gpu, machine.shared_memory, machine.disk):
        yield check()
    yield from mlflow.checks(tracking_uri, name, experiment)
    for point in entry_points(group="faceforge.checks"):  # of packages above this one
        offered: Callable[[], Finding] = point.load()
        yield offered()
