"""The tuning pipeline: several workers search for better settings of a preset.

    source -> ingest -> split -> search (every worker) -> choose -> repeat (every worker) -> select

The workers share one Optuna study: in the database that the variable OPTUNA_STORAGE names, else in a file on the volume
for checkpoints. How many there are is decided at compilation (`tune_workers`). All parameters are text, as in the
training pipeline.
"""

from typing import NamedTuple

from kfp import dsl
from kfp.dsl.base_component import BaseComponent

from components.choose.component import choose
from components.ingest.component import ingest
from components.repeat.component import repeat
from components.search.component import search
from components.select.component import select
from components.split.component import split
from faceforge.defaults import EXPERIMENT, PRESET, SOURCE
from pipelines.definition.closing import closing
from pipelines.definition.compile_settings import CompileSettings
from pipelines.definition.definitions import TUNING
from pipelines.definition.tasks import configure


class Outputs(NamedTuple):
    """Outputs of the pipeline."""

    report: dsl.Artifact
    settings: str


def build(options: CompileSettings) -> BaseComponent:
    """The pipeline, with cluster options applied to its tasks."""
    workers = list(range(options.tune_workers))

    def tuning(
        source: str = SOURCE,
        labels: str = "",
        preset: str = PRESET,
        settings: str = "",
        budget: str = "30min",
        space: str = "",
        seeds: str = "3",
        experiment: str = EXPERIMENT,
        tracking_uri: str = "",
        run_key: str = "",
        checkpoint_root: str = options.checkpoint_root,
    ) -> Outputs:
        recipe = {"preset": preset, "settings": settings}
        plan = {**recipe, "budget": budget, "space": space, "seeds": seeds}
        tracking = {
            "tracking_uri": tracking_uri,
            "experiment": experiment,
            "run_key": run_key,
            "job": dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        }
        ingested = ingest(
            source=source, labels=labels, checkpoint_root=checkpoint_root, model_name="", **recipe, **tracking
        )
        data = ingested.outputs["data"]
        splitting = split(data=data, workers=len(workers), **plan, **tracking)
        shared = splitting.outputs["shared"]
        common = {"shared": shared, "workers": len(workers), "checkpoint_root": checkpoint_root, **plan, **tracking}
        with dsl.ParallelFor(workers) as worker:
            searching = search(worker=worker, **common)
            configure("search", searching, options)
        choosing = choose(searched=dsl.Collected(searching.outputs["trials"]), **tracking)
        chosen = choosing.outputs["chosen"]
        with dsl.ParallelFor(workers) as worker:
            repeating = repeat(worker=worker, chosen=chosen, **common)
            configure("repeat", repeating, options)
        repeated = dsl.Collected(repeating.outputs["trials"])
        selected = select(data=data, shared=shared, chosen=chosen, repeated=repeated, **plan, **tracking)
        for step, task in (("ingest", ingested), ("split", splitting), ("choose", choosing), ("select", selected)):
            configure(step, task, options)
        return Outputs(report=selected.outputs["report"], settings=selected.outputs["Output"])

    return closing(tuning, TUNING, "Face images -> better settings for a preset", options)
