"""Judging a bundle, and the champion beside it, on the frozen holdout."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from faceforge.config import EvaluateConfig
from faceforge.data.imageset.reader import ImageSet
from faceforge.data.overview.contact_sheet import save_png
from faceforge.errors import FaceForgeError
from faceforge.evaluation.diagnostics.run import examine
from faceforge.evaluation.domain_classifier import DomainClassifier
from faceforge.evaluation.gate import decide
from faceforge.evaluation.metrics.comparison import Comparison, compare
from faceforge.evaluation.reference import Yardstick, comparable, prepare
from faceforge.evaluation.report.page import illustrate, render
from faceforge.evaluation.report.pictures import sample_sheet
from faceforge.evaluation.report.results import Evaluation, spans
from faceforge.evaluation.report.tables import class_tables
from faceforge.evaluation.scores import Judged, judge, real_against_real
from faceforge.files import atomic_file
from faceforge.inference.calibration import calibrate
from faceforge.models.bundle import Bundle, BundleInfo

if TYPE_CHECKING:
    from faceforge.data.imageset.info import DatasetInfo


class Rival(NamedTuple):
    """The champion as the gate sees it."""

    judged: Judged | None  # None if it was not judged
    same_data: bool  # the holdout was kept from its training too
    error: str  # why it could not be judged; empty if it was, or if there is none


def evaluate(
    bundle: Path,
    data: Path,
    out: Path,
    config: EvaluateConfig,
    champion: Path | None = None,
    champion_name: str = "",
    champion_error: str = "",
) -> Evaluation:
    """Judges the candidate in `bundle` and decides what becomes of it.

    Writes `report.html`, `report.json`, `summary.txt`, `samples.png` (a row per class combination) and `classifier/`
    (used again when the same data is evaluated into the same folder) into `out`.

    Args:
        bundle: folder of the candidate.
        data: image set as ingest wrote it; the holdout is what counts.
        out: folder for the results.
        config: sample counts, seed and thresholds.
        champion: folder of the present champion's bundle; None = there is none, or it cannot be had.
        champion_name: what to call it in the report.
        champion_error: why an existing champion cannot be had; the decision is then never `promote`.

    Raises:
        FaceForgeError: no bundle or image set there, they do not fit each other, or there are too few images.
    """
    info, images = BundleInfo.read(bundle), ImageSet.open(data)
    if misfit := _misfit(info, images.info):
        raise FaceForgeError(
            f"model {bundle} and image set {data} do not fit: {misfit}; evaluate on the set it learnt from"
        )
    compared = comparable(images.info, config)
    kept = {record.sha256 for record in images.records("holdout", images=False)}
    out.mkdir(parents=True, exist_ok=True)
    for name in ("report.json", "report.html"):
        (out / name).unlink(missing_ok=True)  # never an old report beside new samples
    candidate = Bundle.load(bundle)
    yardstick = prepare(images, out / "classifier", config, compared)
    floor = real_against_real(yardstick)
    judged = judge(candidate, yardstick, config)
    findings = examine(candidate, judged, yardstick, config)
    metrics = {**judged.metrics, **findings.metrics, **floor}
    rival = Rival(None, same_data=False, error=champion_error)
    if champion is not None and not champion_error:
        rival = judge_champion(champion, images.info, kept, yardstick, config)
    rival_metrics = rival.judged.metrics if rival.judged else {}
    comparison = _compare(yardstick, judged, rival.judged, config)
    decision = decide(
        metrics,
        rival_metrics or None,
        comparison.differences,
        own_data=kept_apart(info, images.info, kept),
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
        classifier=_about(yardstick.classifier),
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
        calibration=_calibration(judged),
        tables=[*class_tables(judged, yardstick), *findings.tables],
        notes=[*yardstick.notes, *findings.notes],
    )
    sheet = sample_sheet(candidate, config.seed)
    save_png(out / "samples.png", sheet)
    _write(out / "summary.txt", evaluation.summary())
    _write(
        out / "report.html", render(evaluation, [*illustrate(evaluation, judged, yardstick, sheet), *findings.pictures])
    )
    _write(out / "report.json", evaluation.model_dump_json(indent=2) + "\n")
    return evaluation


def judge_champion(
    champion: Path, data: DatasetInfo, holdout: set[str], yardstick: Yardstick, config: EvaluateConfig
) -> Rival:
    """Judges the champion; whatever is wrong with it becomes its `error` and costs no candidate its judgement."""
    try:
        info = BundleInfo.read(champion)
        if misfit := _misfit(info, data):
            return Rival(None, same_data=False, error=f"it does not fit this data: {misfit}")
        return Rival(judge(Bundle.load(champion), yardstick, config), kept_apart(info, data, holdout), error="")
    except Exception as error:  # a damaged network can fail in any way, and none may lead to a promotion
        return Rival(None, same_data=False, error=(str(error) or type(error).__name__).splitlines()[0])


def kept_apart(model: BundleInfo, data: DatasetInfo, holdout: set[str]) -> bool:
    """Whether a set's holdout is known to have been kept from a model's training.

    It was if the model's set had the very same holdout, or one that this has grown from: ingest chooses sides by
    content, so an image is on the same side in both sets.

    Args:
        model: facts of the model.
        data: facts of the set.
        holdout: SHA-256 of all its holdout images.
    """
    if model.holdout_digest:
        sketch = set(model.holdout_sketch)
        return model.holdout_digest == data.holdout_digest or (bool(sketch) and sketch <= holdout)
    return model.dataset_digest == data.digest


def _compare(yardstick: Yardstick, judged: Judged, rival: Judged | None, config: EvaluateConfig) -> Comparison:
    return compare(
        yardstick.holdout_features,
        judged.evidence,
        rival.evidence if rival else None,
        resamples=config.resamples,
        confidence=config.confidence,
        seed=config.seed,
    )


def _misfit(model: BundleInfo, data: DatasetInfo) -> str:
    """Why a model cannot be judged on a set, in words; empty if it can."""
    spec = model.spec
    if (spec.image_size, spec.channels) != (data.image_size, data.channels):
        return (
            f"the model makes {spec.image_size} px images of {spec.channels} channels,"
            f" the set has {data.image_size} px and {data.channels}"
        )
    for column, classes in model.labels.items():
        if column not in data.labels:
            return f"the set lacks the model's label column {column!r} (it has {', '.join(data.labels) or 'none'})"
        if classes != data.labels[column]:
            return f"label {column!r} has classes {classes} in the model and {data.labels[column]} in the set"
    return ""


def _calibration(judged: Judged) -> dict[str, Any] | None:
    holdout, samples = judged.scored["holdout images"], judged.scored["samples"]
    if not (np.isfinite(holdout[0]).all() and np.isfinite(samples[0]).all()):
        return None
    return asdict(calibrate(holdout, samples))


def _about(classifier: DomainClassifier) -> dict[str, float]:
    accuracies = {f"accuracy_{name}": share for name, share in classifier.holdout_accuracy.items()}
    return accuracies | {name: float(classifier.facts[name]) for name in ("dimensions", "epochs")}


def _write(path: Path, text: str) -> None:
    with atomic_file(path) as partial:
        partial.write_text(text, encoding="utf-8")
