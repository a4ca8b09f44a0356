"""Steps that ended, in whatever way -> MLflow run with its final status."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def close(tracking_uri: str, experiment: str, run_key: str, job: str) -> None:
    """End the MLflow run of a pipeline whose steps could not do it themselves: killed, evicted, never started."""
    from faceforge.steps.close import run_close
    from faceforge.steps.tracked import component_tracking

    with component_tracking(tracking_uri, experiment, run_key, job) as tracking:
        run_close(tracking=tracking)
