"""The step `check`: synthetic image set -> verdict."""

from __future__ import annotations

from pathlib import Path

from faceforge.steps.tracked import Tracking, tracked
from faceforge.tracking.tags import VERDICT_TAG


def run_check(*, dataset: Path, out: Path, tracking: Tracking) -> str:
    """Reads a synthetic image set back and verifies it, also by its model's classifier; `publish` or `refuse`.

    Args:
        dataset: folder that `run_generate` wrote.
        out: folder of the report.
        tracking: of the pipeline run.
    """
    from faceforge.evaluation.saved_classifier import classifier_of
    from faceforge.synthesis.manifest import Manifest
    from faceforge.synthesis.verify import verify

    with tracked("check", tracking) as run:
        result = verify(dataset, classifier_of(Manifest.read(dataset).model["name"]))
        path = result.write(out)
        run.log_artifacts(path)
        run.headline(metrics=result.metrics, tags={VERDICT_TAG: result.verdict})
    print("\n".join([f"verdict: {result.verdict}", *(f"  {problem}" for problem in result.problems)]))
    return result.verdict
