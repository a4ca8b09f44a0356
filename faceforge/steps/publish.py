"""The step `publish`: checked synthetic image set -> the place where others fetch it."""

from __future__ import annotations

import json
from pathlib import Path

from faceforge.errors import FaceForgeError
from faceforge.steps.tracked import Tracking, tracked
from faceforge.tracking.tags import PUBLISHED_TAG


def run_publish(*, dataset: Path, report: Path, destination: str | None, tracking: Tracking) -> str:
    """Copies a synthetic image set to its destination and returns its address.

    Args:
        dataset: folder that `run_generate` wrote.
        report: folder that `run_check` wrote.
        destination: folder or address (`s3://...`); None = artifacts of the MLflow run.
        tracking: of the pipeline run, which ends FINISHED: this is its last step.

    Raises:
        FaceForgeError: the check refused the set, or the destination cannot be written to.
    """
    from faceforge.synthesis import publish
    from faceforge.synthesis.verify import VERDICT
    from faceforge.tracking.runs import finish_parent

    result = json.loads((report / VERDICT).read_text())
    with tracked("publish", tracking) as run:
        if result["verdict"] != "publish":
            raise FaceForgeError(f"the synthetic image set is not published: {'; '.join(result['problems'][:5])}")
        if destination:
            address = publish.publish(dataset, destination)
        else:
            run.log_artifacts(dataset, "dataset")
            address = f"runs:/{run.run_id}/dataset"
        run.headline(tags={PUBLISHED_TAG: address})
    finish_parent(tracking.run_key, "FINISHED", tracking.experiment)
    return address
