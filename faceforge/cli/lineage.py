"""`faceforge lineage`: where a model came from."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from faceforge.cli.registry import connected, tracking_uri_option

if TYPE_CHECKING:
    from faceforge.tracking.lineage import Lineage


@click.command()
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@tracking_uri_option
def lineage(model: str, as_json: bool, tracking_uri: str) -> None:
    """Which data, code and image made MODEL, in which run, and who put it in use.

    \b
    Examples:
      faceforge lineage models:/faceforge@champion
      faceforge lineage models:/faceforge/3 --json
    """
    from faceforge.tracking.lineage import lineage as trace

    with connected(tracking_uri):
        found = trace(model)
        click.echo(json.dumps(asdict(found), indent=2) if as_json else _told(found))


def _told(found: Lineage) -> str:
    kubeflow = found.kubeflow.get("pipeline_run_url") or found.kubeflow.get("pipeline_run_id", "")
    chain = {
        "source": [found.source],
        "data": [found.data],
        "code": [found.revision],
        "image": [found.image],
        "pipeline run": [found.run_key, kubeflow],
        "MLflow run": [found.run_id, found.run_status, found.run_url],
        "version": [found.model, f"registered {found.registered}", ", ".join(found.aliases)],
        "evaluation": [found.decision],
        "holdout": [found.holdout],
        "started from": [found.started_from],
    }
    if found.trained_on != found.data:
        chain["data"].append(f"trained on {found.trained_on} made of it")
    lines = [f"{key:<12}  {' · '.join(filter(None, values)) or '-'}" for key, values in chain.items()]
    for event in found.promotions:
        lines.append(f"{event.action:<12}  {event.at[:19]}Z by {event.by}: {event.reason or '-'}")
    lines.append("steps")
    lines += [f"  {step.name:<10}  {step.started}  {step.status.lower()}  {step.run_id}" for step in found.steps]
    lines += [f"missing       {gap}" for gap in found.missing]
    return "\n".join(lines)
