"""Whatever has become of the steps -> an MLflow run that says so."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def close(tracking_uri: str, experiment: str, run_key: str, job: str) -> None:
    """End the MLflow run of a pipeline whose steps could not do it themselves: killed, evicted, never started."""
    from faceforge.steps import steps

    with steps.guarded():
        steps.close(steps.Tracking(tracking_uri, experiment, run_key or job))
