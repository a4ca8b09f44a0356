"""The step `register`: exported bundle, report and decision -> model version with its aliases."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from faceforge.evaluation.report.key_figures import key_figures
from faceforge.evaluation.report.results import Evaluation
from faceforge.files import atomic_file
from faceforge.steps.tracked import Tracking, tracked
from faceforge.tracking.artifacts import check_server_reads
from faceforge.tracking.connection import current_uri, readable
from faceforge.tracking.pages import model_description, run_page, version_description, version_page
from faceforge.tracking.tags import MODEL_TAG, MODEL_VERSION_TAG

if TYPE_CHECKING:
    from faceforge.tracking.runs import StepRun


def run_register(
    *, exported: Path, report: Path, decision: str, model_name: str, tracking: Tracking, page: Path | None = None
) -> str:
    """Registers an exported bundle, moves the aliases that its decision allows; returns the version's number.

    Args:
        exported: folder that `run_export` wrote.
        report: folder that `run_evaluate` wrote.
        decision: `promote`, `hold` or `reject`.
        model_name: registered model; created if missing.
        tracking: of the pipeline run, which ends FINISHED: this is its last step.
        page: Markdown file for a description of the version with links to MLflow; None: none.
    """
    from faceforge.inference.registration import register_bundle
    from faceforge.tracking.runs import finish_parent

    evaluation = Evaluation.model_validate_json((report / "report.json").read_bytes())
    with tracked("register", tracking) as run:
        check_server_reads(run.run_id)  # a champion's files must exist where others look for them
        version = register_bundle(
            exported / "bundle",
            name=model_name,
            run=run,
            decision=decision,  # type: ignore[arg-type]
            tags=dict(tracking.tags),
            extra_artifacts=_kept_with_version(exported, report),
            auto_promote=True,
            reason="; ".join(evaluation.decision.reasons),
        )
        text = _describe(run, model_name, version, decision, evaluation)
        if page is not None:
            _write_page(page, run, model_name, version, text)
        run.set_tags({MODEL_VERSION_TAG: version})
        run.headline(tags={MODEL_TAG: f"models:/{model_name}/{version}"})
    finish_parent(tracking.run_key, "FINISHED", tracking.experiment)
    return version


def _describe(run: StepRun, name: str, version: str, decision: str, evaluation: Evaluation) -> str:
    """Writes what a visitor of MLflow's pages wants to know first on the version, its model and its run; returns it."""
    from faceforge.tracking.versions import mlflow_client

    source = evaluation.data.get("source", "").rpartition("/")[2] or "an image set"
    keys = key_figures(evaluation)
    summary = [(key.metric.rpartition("/")[2].replace("_", " "), key.value) for key in keys]
    numbers = [
        (
            f"{key.title} (`{key.metric}`)",
            f"{key.value}, {key.light}",
            "; ".join(filter(None, (key.against_real, key.against_champion, f"{key.better} is better"))),
        )
        for key in keys
    ]
    text = version_description(name, version, decision, evaluation.decision.reasons, summary, numbers, source)
    run.describe(text)
    with readable("MLflow registry"):
        client = mlflow_client()
        client.update_model_version(name, version, description=text)
        client.update_registered_model(name, description=model_description(name, source))
    return text


def _write_page(page: Path, run: StepRun, name: str, version: str, text: str) -> None:
    """A page for Kubeflow's UI."""
    uri = current_uri()
    links = [
        f"[{name} version {version}]({version_page(uri, name, version)})",
        f"[pipeline run]({run_page(uri, run.experiment_id, run.parent_id)})",
    ]
    with atomic_file(page) as partial:
        partial.write_text(f"# {name} version {version}\n\nIn MLflow: {', '.join(links)}\n\n{text}\n", encoding="utf-8")


def _kept_with_version(exported: Path, report: Path) -> dict[str, Path]:
    """Artifact name -> path."""
    artifacts = {
        "report.json": report / "report.json",
        "samples.png": exported / "samples" / "all.png",
        "generator.onnx": exported / "generator.onnx",
    }
    # Later, the classifier checks the labels of what the model generates.
    optional = {"report.html": report / "report.html", "classifier": report / "classifier"}
    return artifacts | {name: path for name, path in optional.items() if path.exists()}
