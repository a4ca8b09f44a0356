"""Prepared shares of a source -> image set; the same that `ingest` would have made by itself."""

from typing import List  # noqa: UP035 - kfp knows lists of artifacts by this name

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def merge(
    source: str,
    labels: str,
    preset: str,
    settings: str,
    prepared: dsl.Input[List[dsl.Dataset]],  # noqa: UP006
    model_name: str,
    tracking_uri: str,
    experiment: str,
    run_key: str,
    job: str,
    data: dsl.Output[dsl.Dataset],
) -> None:
    """De-duplicate, split and write what the shares hold."""
    from pathlib import Path

    from faceforge.steps import steps

    with steps.guarded():
        tracking = steps.Tracking(tracking_uri, experiment, run_key or job, {"faceforge.pipeline_job": job})
        shares = [Path(share.path) for share in prepared]
        steps.ingest(source, labels, preset, settings, Path(data.path), tracking, "", shares, model_name)
