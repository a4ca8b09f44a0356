"""Evaluates a model bundle, and the champion if there is one, on the frozen holdout."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from faceforge.config import EvaluateConfig, preset_names, resolve
from faceforge.data.imageset.reader import ImageSet
from faceforge.data.overview.contact_sheet import save_png
from faceforge.errors import FaceForgeError, first_line
from faceforge.evaluation.diagnostics import realism
from faceforge.evaluation.diagnostics.membership import membership_warnings
from faceforge.evaluation.diagnostics.run import class_agreement, run_diagnostics
from faceforge.evaluation.domain_classifier import DomainClassifier
from faceforge.evaluation.gate import decide
from faceforge.evaluation.metrics.comparison import Comparison, Interval, compare_models
from faceforge.evaluation.reference import EvaluationReference, comparable, prepare
from faceforge.evaluation.report.metric_descriptions import DESCRIPTIONS
from faceforge.evaluation.report.page import Page, illustrate, render
from faceforge.evaluation.report.pictures import real_and_generated, sample_strips, sheet
from faceforge.evaluation.report.results import Evaluation, spans
from faceforge.evaluation.report.tables import class_tables, privacy_table
from faceforge.evaluation.scores import ModelScores, real_against_real, score_model
from faceforge.files import atomic_file
from faceforge.inference.calibration import calibrate
from faceforge.models.bundle import DISCRIMINATOR_FILE, Bundle, BundleInfo

if TYPE_CHECKING:
    from faceforge.data.imageset.info import DatasetInfo


class ChampionScores(NamedTuple):
    """The champion's scores on the candidate's reference.

    Attributes:
        scores: None if it was not evaluated.
        classes: agreement per class, see `class_agreement`.
        same_data: whether it is known to have been trained without this holdout.
        error: why it could not be evaluated; empty if it was, or if there is none.
    """

    scores: ModelScores | None
    classes: dict[str, Interval]
    same_data: bool
    error: str


def evaluate_bundle(
    bundle: Path,
    data: Path,
    out: Path,
    config: EvaluateConfig,
    *,
    champion: Path | None = None,
    champion_name: str = "",
    champion_error: str = "",
) -> Evaluation:
    """Computes the metrics of the candidate in `bundle` and decides whether it becomes the champion.

    Writes `report.html`, `report.json`, `summary.txt`, `samples.png` (a row per class combination) and `classifier/`
    (reused when the same data is evaluated into the same folder) into `out`.

    Args:
        bundle: folder of the candidate.
        data: image set as ingest wrote it; its holdout is used.
        out: folder for the results.
        config: sample counts, seed and limits.
        champion: folder of the champion's bundle; None = there is none, or it could not be fetched.
        champion_name: name of the champion in the report.
        champion_error: why an existing champion could not be fetched; the decision is then never `promote`.

    Raises:
        FaceForgeError: bundle or image set are absent, do not fit each other, or have too few images; or
            `evaluate.face_model` is not a face detector.
    """
    how = {**DESCRIPTIONS, **realism.descriptions(config.face_model)}
    info, images = BundleInfo.read(bundle), ImageSet.open(data)
    if misfit := _misfit(info, images.info):
        raise FaceForgeError(
            f"model {bundle} and image set {data} do not fit: {misfit}; evaluate on the image set it was trained on"
        )
    if not (bundle / DISCRIMINATOR_FILE).is_file():
        raise FaceForgeError(
            f"{bundle} has no discriminator (a release bundle); evaluate the bundle that training wrote"
        )
    compared = comparable(images.info, config)
    holdout = {record.sha256 for record in images.records("holdout", images=False)}
    out.mkdir(parents=True, exist_ok=True)
    for name in ("report.json", "report.html"):
        (out / name).unlink(missing_ok=True)  # an old report must not lie beside new samples
    candidate = Bundle.load(bundle)
    reference = prepare(images, out / "classifier", config, compared)
    floor = real_against_real(reference)
    scores = score_model(candidate, reference, config)
    findings = run_diagnostics(candidate, scores, reference, config)
    metrics = {**scores.metrics, **findings.metrics, **floor}
    rival = ChampionScores(None, {}, same_data=False, error=champion_error)
    if champion is not None and not champion_error:
        rival = score_champion(champion, images.info, holdout, reference, config)
    rival_metrics = rival.scores.metrics if rival.scores else {}
    comparison = _compare(reference, scores, rival.scores, config)
    decision = decide(
        metrics,
        rival_metrics or None,
        comparison.differences,
        classes=findings.classes,
        champion_classes=rival.classes,
        training=_training(info),
        own_data=trained_without(info, images.info, holdout),
        same_data=rival.same_data,
        champion_error=rival.error,
        config=config,
    )
    evaluation = Evaluation(
        metrics=metrics,
        champion_metrics=rival_metrics,
        floor=floor,
        intervals={**spans(metrics), **comparison.candidate},
        differences=comparison.differences,
        decision=decision,
        champion_name=champion_name,
        champion_error=rival.error,
        classifier=_describe_classifier(reference.classifier),
        counts={
            "samples": config.samples,
            "compared": compared,
            "holdout": images.info.counts["holdout"].total,
            "train": images.info.counts["train"].total,
            "resamples": config.resamples,
        },
        seeds={"samples": config.seed, "classifier": config.seed, "subsets": config.seed, "intervals": config.seed},
        data={
            "source": images.info.source,
            "digest": images.info.digest,
            "holdout_digest": images.info.holdout_digest,
        },
        settings=config.model_dump(mode="json"),
        calibration=_calibration(scores),
        classes=findings.classes or [],
        tables=[
            *findings.class_tables,
            *([privacy_table(info.privacy)] if info.privacy else []),
            *class_tables(scores, reference),
            *findings.tables,
        ],
        notes=[*membership_warnings(metrics), *reference.notes, *findings.notes],
        privacy=info.privacy,
        how=how,
    )
    samples = sample_strips(candidate, config.seed)
    save_png(out / "samples.png", sheet(samples))
    _write(out / "summary.txt", evaluation.summary())
    pictures = [*illustrate(evaluation, scores, reference), *findings.pictures]
    _write(out / "report.html", render(evaluation, Page(samples, real_and_generated(scores, reference), pictures)))
    _write(out / "report.json", evaluation.model_dump_json(indent=2) + "\n")
    return evaluation


def score_champion(
    champion: Path, data: DatasetInfo, holdout: set[str], reference: EvaluationReference, config: EvaluateConfig
) -> ChampionScores:
    """Computes the champion's metrics; any failure becomes its `error`, and the candidate is evaluated all the same."""
    try:
        info = BundleInfo.read(champion)
        if misfit := _misfit(info, data):
            return ChampionScores(None, {}, same_data=False, error=f"it does not fit this data: {misfit}")
        bundle = Bundle.load(champion)
        scores = score_model(bundle, reference, config)
        classes = class_agreement(bundle, scores, reference, config)
        return ChampionScores(scores, classes, trained_without(info, data, holdout), error="")
    except Exception as error:  # a damaged network can fail in any way, and no failure may lead to a promotion
        return ChampionScores(None, {}, same_data=False, error=first_line(error))


def trained_without(model: BundleInfo, data: DatasetInfo, holdout: set[str]) -> bool:
    """Whether a model is known to have been trained without any image of a holdout.

    True if the model's image set had the same holdout, or a smaller one that is part of this: ingest assigns images to
    splits by content, so an image is in the same split of both sets.

    Args:
        model: facts of the model.
        data: facts of the image set.
        holdout: SHA-256 of all its holdout images.
    """
    if model.holdout_digest:
        sketch = set(model.holdout_sketch)
        return model.holdout_digest == data.holdout_digest or (bool(sketch) and sketch <= holdout)
    return model.dataset_digest == data.digest


def _compare(
    reference: EvaluationReference, scores: ModelScores, rival: ModelScores | None, config: EvaluateConfig
) -> Comparison:
    return compare_models(
        reference.holdout_features,
        scores.evidence,
        rival.evidence if rival else None,
        resamples=config.resamples,
        confidence=config.confidence,
        seed=config.seed,
    )


def _misfit(model: BundleInfo, data: DatasetInfo) -> str:
    """Why a model cannot be evaluated on an image set; empty if it can."""
    spec = model.spec
    if (spec.image_size, spec.channels) != (data.image_size, data.channels):
        return (
            f"the model generates {spec.image_size} px images of {spec.channels} channels,"
            f" the set has {data.image_size} px and {data.channels}"
        )
    for column, classes in model.labels.items():
        if column not in data.labels:
            return f"the set lacks the model's label column {column!r} (it has {', '.join(data.labels) or 'none'})"
        if classes != data.labels[column]:
            return f"label {column!r} has classes {classes} in the model and {data.labels[column]} in the set"
    return ""


def _training(model: BundleInfo) -> str:
    """How long a model was trained, beside the budget of its preset; empty if unknown."""
    seen, preset = float(model.training.get("images_seen", 0)) / 1000, str(model.config.get("preset", ""))
    if not seen:
        return ""
    usual = f"; the preset {preset!r} trains on {resolve(preset).train.kimg:g} kimg" if preset in preset_names() else ""
    return f"It was trained on {seen:g} kimg (thousands of images){usual}. Train longer: raise train.kimg."


def _calibration(scores: ModelScores) -> dict[str, Any] | None:
    holdout, samples = scores.logits["holdout images"], scores.logits["samples"]
    if not (np.isfinite(holdout[0]).all() and np.isfinite(samples[0]).all()):
        return None
    return asdict(calibrate(holdout, samples))


def _describe_classifier(classifier: DomainClassifier) -> dict[str, float]:
    accuracies = {f"accuracy_{name}": share for name, share in classifier.holdout_accuracy.items()}
    return accuracies | {name: float(classifier.facts[name]) for name in ("dimensions", "epochs")}


def _write(path: Path, text: str) -> None:
    with atomic_file(path) as partial:
        partial.write_text(text, encoding="utf-8")
