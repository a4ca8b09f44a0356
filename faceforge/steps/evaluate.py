"""The step `evaluate`: model bundle and image set -> report and decision."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from faceforge.config import resolve
from faceforge.data.imageset.reader import ImageSet
from faceforge.defaults import model_name_of
from faceforge.files import atomic_file
from faceforge.steps.log_data import log_domain_drift
from faceforge.steps.tracked import Tracking, maybe_tracked
from faceforge.tracking.names import metric_name
from faceforge.tracking.tags import DECISION_TAG, REASONS_TAG

if TYPE_CHECKING:
    from faceforge.evaluation.report.results import Evaluation
    from faceforge.tracking.runs import StepRun


KEY_METRICS = (
    "domain/frechet",
    "domain/precision",
    "domain/recall",
    "domain/label_agreement",
    "privacy/copies_features",
    "inception/fid",
)
"""Metrics that a pipeline run is compared by in MLflow; the others stand with the step `evaluate` and in the report."""


def run_evaluate(
    *,
    bundle: Path,
    data: Path,
    preset: str,
    settings: str,
    out: Path,
    tracking: Tracking | None,
    model_name: str | None = None,
    page: Path | None = None,
    champion: Path | None = None,
) -> str:
    """Evaluates a bundle and compares it with the champion; returns `promote`, `hold` or `reject`.

    Args:
        bundle: the candidate.
        data: image set as ingest wrote it.
        preset: name.
        settings: overrides.
        out: folder of the results; see `faceforge.evaluation.evaluate.evaluate_bundle`.
        tracking: None = no MLflow.
        model_name: registered model whose champion to compare with, if tracked; None: no comparison.
        page: file for another copy of the HTML report; None: no copy.
        champion: bundle to compare with in place of the registry's champion.
    """
    from faceforge.data.preprocess.face_model import check_face_model
    from faceforge.evaluation.evaluate import evaluate_bundle
    from faceforge.models.bundle import BundleInfo
    from faceforge.tracking.versions import Champion, champion_bundle

    config = resolve(preset, settings).evaluate
    if config.face_model:
        check_face_model(config.face_model, "evaluate.face_model")
    if champion is not None:
        BundleInfo.read(champion)  # a wrong path is reported before work starts
    with maybe_tracked("evaluate", tracking) as run, tempfile.TemporaryDirectory() as scratch:
        rival, name = Champion(model_name or "", bundle=champion), str(champion or "")
        if run is not None and champion is None and model_name:
            rival = champion_bundle(model_name, Path(scratch))
            name = f"models:/{model_name}/{rival.version}" if rival.version else ""
        evaluation = evaluate_bundle(
            bundle, data, out, config, champion=rival.bundle, champion_name=name, champion_error=rival.error
        )
        if run is not None:
            _log_evaluation(run, evaluation, out)
            source = model_name_of(ImageSet.open(data).info.source)
            run.rename_parent(f"{source} · {preset} · {evaluation.decision.verdict}")
            if champion is None and model_name:
                log_domain_drift(run, ImageSet.open(data), model_name, rival.version)
    if page is not None:
        with atomic_file(page) as partial:
            shutil.copyfile(out / "report.html", partial)
    return evaluation.decision.verdict


def _log_evaluation(run: StepRun, evaluation: Evaluation, out: Path) -> None:
    reasons = "; ".join(evaluation.decision.reasons)
    metrics = {metric_name(name): value for name, value in evaluation.metrics.items()}
    run.log_metrics(metrics)
    run.log_metrics({f"champion/{metric_name(name)}": value for name, value in evaluation.champion_metrics.items()})
    for name, interval in evaluation.differences.items():
        ends = {"": interval.value, "_low": interval.low, "_high": interval.high}
        run.log_metrics({f"against_champion/{metric_name(name)}{end}": value for end, value in ends.items()})
    for name in ("report.html", "report.json", "summary.txt", "samples.png"):
        run.log_artifacts(out / name)
    run.headline(
        metrics={name: metrics[name] for name in KEY_METRICS if name in metrics},
        tags={DECISION_TAG: evaluation.decision.verdict, REASONS_TAG: reasons},
        artifacts=[out / "samples.png", out / "report.html"],
    )
