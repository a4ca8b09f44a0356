"""The synthesis pipeline: a registered model generates a labelled image set, which is checked and published.

    model -> generate -> check -> publish

`check` returns its verdict as text; `publish` fails and lists the problems if the set was refused. All parameters are
text, as in the training pipeline.
"""

from typing import NamedTuple

from kfp import dsl
from kfp.dsl.base_component import BaseComponent

from components.check.component import check
from components.generate.component import generate
from components.publish.component import publish
from faceforge.defaults import CHAMPION_URI, EXPERIMENT
from pipelines.definition.closing import closing
from pipelines.definition.compile_settings import CompileSettings
from pipelines.definition.definitions import SYNTHESIS
from pipelines.definition.tasks import configure


class Outputs(NamedTuple):
    """Outputs of the pipeline."""

    dataset: dsl.Dataset
    report: dsl.Artifact
    verdict: str
    address: str


def build(options: CompileSettings) -> BaseComponent:
    """The pipeline, with cluster options applied to its tasks."""

    def synthesis(
        model: str = CHAMPION_URI,
        data: str = "",
        settings: str = "per_class=500",
        destination: str = "",
        experiment: str = EXPERIMENT,
        tracking_uri: str = "",
        run_key: str = "",
        checkpoint_root: str = options.checkpoint_root,
    ) -> Outputs:
        tracking = {
            "tracking_uri": tracking_uri,
            "experiment": experiment,
            "run_key": run_key,
            "job": dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        }
        generated = generate(model=model, data=data, settings=settings, checkpoint_root=checkpoint_root, **tracking)
        dataset = generated.outputs["dataset"]
        checked = check(dataset=dataset, **tracking)
        report = checked.outputs["report"]
        published = publish(dataset=dataset, report=report, destination=destination, **tracking)
        for step, task in zip(SYNTHESIS.steps, (generated, checked, published), strict=True):
            configure(step, task, options)
        return Outputs(dataset=dataset, report=report, verdict=checked.outputs["Output"], address=published.output)

    return closing(synthesis, SYNTHESIS, "Registered model -> checked synthetic image set", options)
