"""The training pipeline.

    source -> ingest -> augment -> train -> evaluate -> export -> register

`evaluate` uses the holdout that ingest wrote. It returns its decision as text, and `register` always runs: a rejected
model becomes a version without an alias. `close` runs last, also after a failed step. All parameters are text and ''
means "unset": the local runner and the cluster treat other types and defaults differently.

Compiled with `ingest_workers` above 1, several pods each prepare a share of the images and `merge` replaces `ingest`;
the image set is the same. With `workers` above 1, pods of `train_worker` compute each batch together with the pod of
`train`.
"""

from typing import NamedTuple

from kfp import dsl
from kfp.dsl.base_component import BaseComponent

from components.augment.component import augment
from components.evaluate.component import evaluate
from components.export.component import export
from components.ingest.component import ingest
from components.merge.component import merge
from components.prepare.component import prepare
from components.register.component import register
from components.train.component import train
from components.train_worker.component import train_worker
from faceforge.defaults import EXPERIMENT, MODEL_NAME, PRESET, SOURCE
from pipelines.definition.closing import closing
from pipelines.definition.compile_settings import CompileSettings
from pipelines.definition.definitions import TRAINING
from pipelines.definition.tasks import configure


class Outputs(NamedTuple):
    """Outputs of the pipeline."""

    bundle: dsl.Model
    report: dsl.Artifact
    exported: dsl.Artifact
    decision: str
    version: str


def build(options: CompileSettings) -> BaseComponent:
    """The pipeline, with cluster options applied to its tasks."""

    def faceforge(
        source: str = SOURCE,
        labels: str = "",
        preset: str = PRESET,
        settings: str = "",
        model_name: str = MODEL_NAME,
        experiment: str = EXPERIMENT,
        tracking_uri: str = "",
        run_key: str = "",
        checkpoint_root: str = options.checkpoint_root,
    ) -> Outputs:
        recipe = {"preset": preset, "settings": settings}
        # Without a run key (a schedule, the UI), steps use the id of the job, which is the same for all of them.
        tracking = {
            "tracking_uri": tracking_uri,
            "experiment": experiment,
            "run_key": run_key,
            "job": dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        }
        images = {"source": source, "labels": labels, **recipe}
        if options.ingest_workers > 1:
            with dsl.ParallelFor(list(range(options.ingest_workers))) as share:
                prepared = prepare(share=share, shares=options.ingest_workers, **images)
                configure("prepare", prepared, options)
            shares = dsl.Collected(prepared.outputs["prepared"])
            ingested = merge(prepared=shares, model_name=model_name, **images, **tracking)
        else:
            ingested = ingest(checkpoint_root=checkpoint_root, model_name=model_name, **images, **tracking)
        data = ingested.outputs["data"]
        augmented = augment(data=data, **recipe, **tracking)
        training = {
            "data": augmented.outputs["augmented"],
            "checkpoint_root": checkpoint_root,
            "workers": options.workers,
            **recipe,
            **tracking,
        }
        trained = train(model_name=model_name, **training)
        if options.workers > 1:
            with dsl.ParallelFor(list(range(1, options.workers))) as worker:
                configure("train-worker", train_worker(worker=worker, **training), options)
        bundle = trained.outputs["bundle"]
        evaluated = evaluate(bundle=bundle, data=data, model_name=model_name, **recipe, **tracking)
        exported = export(bundle=bundle, **tracking).after(evaluated)
        registered = register(
            exported=exported.outputs["exported"],
            report=evaluated.outputs["report"],
            decision=evaluated.outputs["Output"],
            model_name=model_name,
            **tracking,
        )
        tasks = zip(TRAINING.steps, (ingested, augmented, trained, evaluated, exported, registered), strict=True)
        for step, task in tasks:
            configure(step, task, options)
        return Outputs(
            bundle=bundle,
            report=evaluated.outputs["report"],
            exported=exported.outputs["exported"],
            decision=evaluated.outputs["Output"],
            version=registered.outputs["Output"],
        )

    return closing(faceforge, TRAINING, "Face images -> tracked, evaluated and registered generative model", options)
