"""The step `close`: ends the MLflow run of a pipeline whose steps could not do it themselves."""

from __future__ import annotations

import sys

from faceforge.errors import FaceForgeError
from faceforge.steps.tracked import Tracking


def run_close(*, tracking: Tracking) -> None:
    """Ends what still runs in MLflow of a pipeline run; see `faceforge.tracking.closing.close_run`.

    An MLflow that does not answer is only a warning: it must not turn a finished pipeline into a failed one.
    """
    from faceforge.tracking.closing import close_run
    from faceforge.tracking.runs import connect

    try:
        connect(tracking.uri)
        print(f"MLflow run {tracking.run_key}: {close_run(tracking.run_key).lower() or 'was never begun'}")
    except FaceForgeError as error:
        print(f"warning: the MLflow run {tracking.run_key} could not be ended: {error}", file=sys.stderr)
