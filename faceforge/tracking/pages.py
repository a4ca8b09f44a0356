"""Addresses of MLflow's pages, and the Markdown descriptions shown on them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from urllib.parse import quote

from faceforge.markdown import code, plain

PUBLIC_URL = "FACEFORGE_MLFLOW_URL"  # environment: address of MLflow for browsers, where programs use another
LOCAL_UI = "http://localhost:5000"  # where `make mlflow-ui` shows a local database
_MODELS_VIEW = "?workflowType=machine_learning"  # MLflow's pages otherwise open in the view for language models


def run_page(uri: str, experiment_id: str, run_id: str) -> str:
    """Address of a run's page on the MLflow server at `uri`; of a database, on the local UI."""
    return f"{server_page(uri)}/#/experiments/{experiment_id}/runs/{run_id}{_MODELS_VIEW}"


def version_page(uri: str, name: str, version: str) -> str:
    """Address of a model version's page on the MLflow server at `uri`; of a database, on the local UI."""
    return f"{server_page(uri)}/#/models/{quote(name)}/versions/{version}{_MODELS_VIEW}"


def server_page(uri: str) -> str:
    """Address at which people open the MLflow server at `uri`: FACEFORGE_MLFLOW_URL if that is set."""
    public = os.environ.get(PUBLIC_URL, "").strip()
    return (public or (uri if uri.startswith("http") else LOCAL_UI)).rstrip("/")


def version_description(
    name: str,
    version: str,
    decision: str,
    reasons: Sequence[str],
    summary: Sequence[tuple[str, str]],
    numbers: Sequence[tuple[str, str, str]],
    data: str,
) -> str:
    """Markdown for a model version and its run: decision with reasons, key figures, how to load the model.

    MLflow folds a description after its first lines and lists a run's metrics in the order in which they were first
    logged, losses before the evaluation, so a summary of the key figures stands in the first lines.

    Args:
        name: registered model.
        version: its number.
        decision: promote, hold or reject.
        reasons: of the decision.
        summary: short names of the key figures and their values.
        numbers: rows of the table: what is measured, its value, what it compares with.
        data: the source of the training images, in a few words.
    """
    return "\n".join(
        [
            f"**{decision}**: {plain('; '.join(reasons))}",
            "",
            " · ".join(f"{plain(metric)} **{plain(value)}**" for metric, value in summary),
            "",
            f"Generative model of the images of {code(data)}. `report.html` explains these numbers and shows the "
            "pictures.",
            "",
            "| metric | value | compared with |",
            "|---|---|---|",
            *(f"| {' | '.join(map(plain, row))} |" for row in numbers),
            "",
            *_how_to_load(f"models:/{name}/{version}"),
        ]
    )


def model_description(name: str, data: str) -> str:
    """Markdown for a registered model: what it generates, and how to load its champion."""
    return "\n".join(
        [
            f"Generative model of the images of {code(data)}, with a version per pipeline run. `champion` is the "
            "version in use, `challenger` the newest that was not rejected, `previous` the champion before.",
            "",
            *_how_to_load(f"models:/{name}@champion"),
        ]
    )


def _how_to_load(uri: str) -> list[str]:
    return [
        "```python",
        "from faceforge import Generator",
        "",
        f'generator = Generator.load("{uri}")',
        "samples = generator.generate(num_images=16, seed=1)",
        "```",
    ]
