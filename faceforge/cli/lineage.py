"""`faceforge lineage`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from faceforge.cli.options import connected, json_option, tracking_uri_option

if TYPE_CHECKING:
    from faceforge.tracking.lineage import Lineage


@click.command()
@click.argument("model")
@json_option
@tracking_uri_option
def lineage(model: str, as_json: bool, tracking_uri: str) -> None:
    """Show where MODEL came from: data, code, image, run, and who promoted it.

    \b
    Examples:
      faceforge lineage models:/toyfaces@champion
      faceforge lineage models:/toyfaces/3 --json
    """
    from faceforge.tracking.lineage import lineage_of

    with connected(tracking_uri):
        result = lineage_of(model)
        click.echo(json.dumps(asdict(result), indent=2) if as_json else _text(result))


def _text(lineage: Lineage) -> str:
    kubeflow = lineage.kubeflow.get("pipeline_run_url") or lineage.kubeflow.get("pipeline_run_id", "")
    chain = {
        "source": [lineage.source],
        "data": [lineage.data],
        "code": [lineage.revision],
        "image": [lineage.image],
        "pipeline run": [lineage.run_key, kubeflow],
        "MLflow run": [lineage.run_id, lineage.run_status, lineage.run_url],
        "version": [lineage.model, f"registered {lineage.registered}", ", ".join(lineage.aliases)],
        "evaluation": [lineage.decision],
        "holdout": [lineage.holdout],
        "started from": [lineage.started_from],
    }
    if lineage.trained_on != lineage.data:
        chain["data"].append(f"trained on {lineage.trained_on} made of it")
    lines = [f"{key:<12}  {' · '.join(filter(None, values)) or '-'}" for key, values in chain.items()]
    for event in lineage.promotions:
        lines.append(f"{event.action:<12}  {event.at[:19]}Z by {event.by}: {event.reason or '-'}")
    lines.append("steps")
    lines += [f"  {step.name:<10}  {step.started}  {step.status.lower()}  {step.run_id}" for step in lineage.steps]
    lines += [f"missing       {gap}" for gap in lineage.missing]
    return "\n".join(lines)
