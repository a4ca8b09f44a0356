"""The pipeline's steps, each one function: compute, and tell MLflow if asked to.

Components wrap these and the command line shares them, so that a step means the same wherever it runs. TensorFlow is
imported only by the steps that compute with it.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from faceforge.config import Config, flatten, labels_option, resolve
from faceforge.data.imageset.reader import ImageSet
from faceforge.errors import FaceForgeError
from faceforge.errors import guarded as guarded  # for components, which import nothing else
from faceforge.files import atomic_file, atomic_folder
from faceforge.steps.log_data import log_domain_drift, log_drift, log_image_set, log_input
from faceforge.tracking.tags import (
    DECISION_TAG,
    MODEL_TAG,
    MODEL_VERSION_TAG,
    PUBLISHED_TAG,
    REASONS_TAG,
    REVISION_TAG,
    SYNTHETIC_TAG,
    VERDICT_TAG,
)

if TYPE_CHECKING:
    from faceforge.evaluation.report.results import Evaluation
    from faceforge.synthesis.manifest import Manifest
    from faceforge.tracking.runs import StepRun


@dataclass(frozen=True)
class Tracking:
    """Where and under what name a step is tracked.

    Attributes:
        uri: of MLflow; empty = MLFLOW_TRACKING_URI, else `sqlite:///mlflow.db`.
        experiment: its name.
        run_key: names the pipeline run that the step belongs to; the same on a retry.
        tags: for the parent run.
    """

    uri: str
    experiment: str
    run_key: str
    tags: Mapping[str, str] = field(default_factory=dict)


def ingest(
    source: str,
    labels: str,
    preset: str,
    settings: str,
    out: Path,
    tracking: Tracking | None,
    work: str = "",
    prepared: Sequence[Path] = (),
    model_name: str = "",
) -> ImageSet:
    """Makes an image set of a source; see `faceforge.data.ingest.build.ingest`.

    Args:
        source: what to read.
        labels: columns or a file; see `labels_option`.
        preset: name.
        settings: overrides.
        out: folder of the image set.
        tracking: None = no MLflow.
        work: folder for prepared images that outlives this attempt; empty: beside `out`.
        prepared: folders that `prepare` has filled.
        model_name: registered model with whose champion's training set this one is compared; empty: with none.
    """
    from faceforge.data.ingest import build as ingesting

    config = resolve(preset, settings)
    chosen, table = labels_option(config.ingest, labels)
    with tracked("ingest", tracking) as run:
        images = ingesting.ingest(source, out, chosen, table, Path(work) if work else None, prepared)
        if run is not None:
            run.headline(params=flatten(config), tags=_revision())
            log_image_set(run, images)
            if model_name:
                log_drift(run, images, model_name)
    return images


def prepare(source: str, labels: str, preset: str, settings: str, share: int, shares: int, out: Path) -> None:
    """Prepares one of several shares of a source; see `faceforge.data.ingest.build.prepare_share`."""
    from faceforge.data.ingest.build import prepare_share

    chosen, table = labels_option(resolve(preset, settings).ingest, labels)
    prepare_share(source, out, chosen, int(share), shares, table)


def augment(data: Path, preset: str, settings: str, out: Path, tracking: Tracking | None) -> ImageSet:
    """Enlarges the training split of an image set; see `faceforge.data.augment.augment`."""
    from faceforge.data import augment as augmenting

    config = resolve(preset, settings)
    with tracked("augment", tracking) as run:
        images = augmenting.augment(data, out, config.augment, config.train.seed)
        if run is not None:
            run.log_params(config.augment.model_dump(mode="json"))
            log_image_set(run, images)
    return images


def train(
    data: Path,
    preset: str,
    settings: str,
    out: Path,
    checkpoints: str,
    tracking: Tracking | None,
    model_name: str = "faceforge",
) -> Path:
    """Trains a model bundle into `out`; see `faceforge.training.train.train`.

    Args:
        data: image set.
        preset: name.
        settings: overrides.
        out: folder of the bundle.
        checkpoints: folder that outlives this attempt; curves and grids go to `training` beside it. Of an address
            (`s3://...`), or if empty, they stay beside `out`.
        tracking: None = no MLflow.
        model_name: registered model whose champion `train.init_from=champion` means.
    """
    config = resolve(preset, settings)
    saved = checkpoints or str(out.with_name(f"{out.name}.checkpoints"))
    work = out.with_name(f"{out.name}.training") if "://" in saved else Path(saved).with_name("training")
    with tracked("train", tracking, system_metrics=True) as run:
        bundle = train_in(data, work, config, run, saved, model_name)
        with atomic_folder(out) as partial:
            shutil.copytree(bundle, partial, dirs_exist_ok=True)
    return out


def train_in(
    data: Path,
    work: Path,
    config: Config,
    run: StepRun | None,
    checkpoints: str | None,
    model_name: str = "faceforge",
) -> Path:
    """Trains in a working folder (`bundle/`, `grids/`, `metrics.jsonl`) and logs to `run`, if any."""
    from faceforge.steps.log_training import log_training
    from faceforge.tracking.start import starting_point

    with tempfile.TemporaryDirectory() as scratch:
        start = starting_point(config.train.init_from, model_name, run, Path(scratch))
        if config.train.init_from:
            print(f"training starts from {start.name}", file=sys.stderr, flush=True)

        from faceforge.training.train import train as training  # slow to import: after what may be refused

        if run is None:
            return training(data, work, config, None, checkpoints, start.bundle)
        log_input(run, ImageSet.open(data).info)
        return log_training(
            run, config, start, work, lambda told: training(data, work, config, told, checkpoints, start.bundle)
        )


def evaluate(
    bundle: Path,
    data: Path,
    preset: str,
    settings: str,
    out: Path,
    model_name: str,
    tracking: Tracking | None,
    page: Path | None = None,
    champion: Path | None = None,
) -> str:
    """Judges a bundle beside a champion; returns `promote`, `hold` or `reject`.

    Args:
        bundle: of the candidate.
        data: image set as ingest wrote it.
        preset: name.
        settings: overrides.
        out: folder of the results; see `faceforge.evaluation.evaluate.evaluate`.
        model_name: whose champion to compare with, if runs are tracked.
        tracking: None = no MLflow.
        page: where another copy of the HTML report goes.
        champion: bundle to compare with in place of the registry's champion.
    """
    from faceforge.evaluation.evaluate import evaluate as judge
    from faceforge.models.bundle import BundleInfo
    from faceforge.tracking.versions import Champion, champion_bundle

    config = resolve(preset, settings).evaluate
    if champion is not None:
        BundleInfo.read(champion)  # a wrong path is known before work starts
    with tracked("evaluate", tracking) as run, tempfile.TemporaryDirectory() as scratch:
        rival, name = Champion(model_name, bundle=champion), str(champion or "")
        if run is not None and champion is None:
            rival = champion_bundle(model_name, Path(scratch))
            name = f"models:/{model_name}/{rival.version}" if rival.version else ""
        evaluation = judge(bundle, data, out, config, rival.bundle, name, rival.error)
        if run is not None:
            _log_evaluation(run, evaluation, out)
            if champion is None:
                log_domain_drift(run, ImageSet.open(data), model_name, rival.version)
    if page is not None:
        with atomic_file(page) as partial:
            shutil.copyfile(out / "report.html", partial)
    return evaluation.decision.verdict


def export(bundle: Path, out: Path, tracking: Tracking | None) -> dict[str, Path]:
    """Writes all formats of a bundle and sheets of samples; see `faceforge.export.export.export`."""
    from faceforge.export.export import export as exporting

    with tracked("export", tracking) as run:
        paths = exporting(bundle, out)
        if run is not None:
            run.log_artifacts(paths["samples"], "samples")
            run.log_artifacts(paths["listing"])
    return paths


def register(
    exported: Path, report: Path, decision: str, model_name: str, auto_promote: bool, tracking: Tracking
) -> str:
    """Makes an exported bundle a model version and moves the aliases that its decision allows; returns the version."""
    from faceforge.inference.registration import register_bundle
    from faceforge.tracking.runs import finish_parent

    judged = json.loads((report / "report.json").read_text())
    kept = {
        "report.json": report / "report.json",
        "samples.png": exported / "samples" / "all.png",
        "generator.onnx": exported / "generator.onnx",
    }
    if (report / "report.html").is_file():
        kept["report.html"] = report / "report.html"
    if (report / "classifier").is_dir():
        kept["classifier"] = report / "classifier"  # checks what the model is asked for later
    with tracked("register", tracking) as run:
        assert run is not None  # noqa: S101  (tracking is not optional here)
        version = register_bundle(
            exported / "bundle",
            name=model_name,
            run=run,
            decision=decision,  # type: ignore[arg-type]
            tags=dict(tracking.tags),
            extra_artifacts=kept,
            auto_promote=auto_promote,
            reason="; ".join(judged["decision"]["reasons"]),
        )
        run.set_tags({MODEL_VERSION_TAG: version})
        run.headline(tags={MODEL_TAG: f"models:/{model_name}/{version}"})
    finish_parent(tracking.run_key, "FINISHED", tracking.experiment)  # this is the pipeline's last step
    return version


def generate(model: str, data: str, settings: str, out: Path, work: str, tracking: Tracking) -> Manifest:
    """Makes a synthetic image set; see `faceforge.synthesis.synthesise.synthesise`.

    Args:
        model: `models:/NAME@ALIAS` or another that it takes.
        data: image set of real images; empty = none.
        settings: the options, for example `per_class=500, reject=labels`.
        out: folder of the set.
        work: folder that outlives this attempt, for finished parts; empty: beside `out`.
        tracking: where the run and the model are.
    """
    from faceforge.synthesis.options import synthesis_config
    from faceforge.synthesis.synthesise import synthesise

    config = synthesis_config(settings)
    with tracked("generate", tracking) as run:
        assert run is not None  # noqa: S101  (tracking is not optional here)
        kept = Path(work) if work else None
        manifest = synthesise(model, out, config, Path(data) if data else None, None, tracking.uri, kept)
        run.log_metrics({f"synthetic/refused_{reason}": float(count) for reason, count in manifest.refused.items()})
        run.headline(
            params={"model": manifest.model["name"], **config.model_dump(mode="json")},
            metrics={"synthetic/images": float(manifest.made)},
            tags={MODEL_TAG: manifest.model["name"], SYNTHETIC_TAG: manifest.digest},
            artifacts=[out / "README.md", out / "manifest.json"],
        )
        log_image_set(run, ImageSet.open(out))
    return manifest


def check(dataset: Path, out: Path, tracking: Tracking) -> str:
    """Reads a synthetic image set again and judges it, with the classifier of its model; `publish` or `refuse`."""
    from faceforge.evaluation.saved_classifier import classifier_of
    from faceforge.synthesis.manifest import Manifest
    from faceforge.synthesis.verify import verify

    with tracked("check", tracking) as run:
        assert run is not None  # noqa: S101
        found = verify(dataset, classifier_of(Manifest.read(dataset).model["name"]))
        path = found.write(out)
        run.log_artifacts(path)
        run.headline(metrics=found.metrics, tags={VERDICT_TAG: found.verdict})
    print("\n".join([f"verdict: {found.verdict}", *(f"  {problem}" for problem in found.problems)]))
    return found.verdict


def publish(dataset: Path, report: Path, destination: str, tracking: Tracking) -> str:
    """Hands a synthetic image set out and returns its address; one that was refused is not handed out.

    Args:
        dataset: the set.
        report: what `check` found.
        destination: folder or address (`s3://...`); empty = artifacts of the MLflow run.
        tracking: the run.

    Raises:
        FaceForgeError: the set was refused, or the destination cannot be written to.
    """
    from faceforge.synthesis.publish import publish as publishing
    from faceforge.synthesis.verify import VERDICT
    from faceforge.tracking.runs import finish_parent

    found = json.loads((report / VERDICT).read_text())
    with tracked("publish", tracking) as run:
        assert run is not None  # noqa: S101
        if found["verdict"] != "publish":
            raise FaceForgeError(f"the synthetic image set is not published: {'; '.join(found['problems'][:5])}")
        if destination:
            address = publishing(dataset, destination)
        else:
            run.log_artifacts(dataset, "dataset")
            address = f"runs:/{run.run_id}/dataset"
        run.headline(tags={PUBLISHED_TAG: address})
    finish_parent(tracking.run_key, "FINISHED", tracking.experiment)  # this is the pipeline's last step
    return address


def close(tracking: Tracking) -> None:
    """Ends the MLflow run of a pipeline whose steps could not do it themselves; see `tracking.closing.close_run`.

    MLflow being away is told, and no more: it must not make a failure of what has succeeded.
    """
    from faceforge.tracking.closing import close_run
    from faceforge.tracking.runs import connect

    try:
        connect(tracking.uri)
        print(f"MLflow run {tracking.run_key}: {close_run(tracking.run_key).lower() or 'was never begun'}")
    except FaceForgeError as error:
        print(f"warning: the MLflow run {tracking.run_key} could not be ended: {error}", file=sys.stderr)


@contextmanager
def tracked(step: str, tracking: Tracking | None, system_metrics: bool = False) -> Iterator[StepRun | None]:
    """The step's MLflow run, open for the body; None where nothing is tracked."""
    if tracking is None:
        yield None
        return
    from faceforge.tracking.runs import connect, step_run

    connect(tracking.uri)
    with step_run(step, run_key=tracking.run_key, experiment=tracking.experiment, system_metrics=system_metrics) as run:
        run.headline(tags=tracking.tags)
        yield run


def _revision() -> dict[str, str]:
    from faceforge.tracking.revision import code_revision

    return {REVISION_TAG: code_revision() or "unknown"}


def _log_evaluation(run: StepRun, evaluation: Evaluation, out: Path) -> None:
    reasons = "; ".join(evaluation.decision.reasons)
    metrics = {_metric_name(name): value for name, value in evaluation.metrics.items()}
    run.log_metrics(metrics)
    run.log_metrics({f"champion/{_metric_name(name)}": value for name, value in evaluation.champion_metrics.items()})
    for name, span in evaluation.differences.items():
        ends = {"": span.value, "_low": span.low, "_high": span.high}
        run.log_metrics({f"against_champion/{_metric_name(name)}{end}": value for end, value in ends.items()})
    for name in ("report.html", "report.json", "summary.txt", "samples.png"):
        run.log_artifacts(out / name)
    run.headline(
        metrics=metrics,
        tags={DECISION_TAG: evaluation.decision.verdict, REASONS_TAG: reasons},
        artifacts=[out / "samples.png", out / "report.html"],
    )


def _metric_name(name: str) -> str:
    """A metric's name as MLflow takes it; those of classes come from users."""
    return re.sub(r"[^\w.\-/ :]", "_", name)
