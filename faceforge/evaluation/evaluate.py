"""Judging a bundle, and the champion beside it, on the frozen holdout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from faceforge.config import EvaluateConfig
from faceforge.data.imageset import ImageSet
from faceforge.data.sheet import save_png
from faceforge.errors import FaceForgeError
from faceforge.evaluation.domain import DomainClassifier, train_classifier
from faceforge.evaluation.gate import decide
from faceforge.evaluation.judging import Yardstick, judge, real_against_real, sample_sheet
from faceforge.evaluation.report import Evaluation
from faceforge.files import atomic_file
from faceforge.models.bundle import Bundle, BundleInfo

if TYPE_CHECKING:
    from faceforge.data.info import DatasetInfo

MIN_IMAGES = 64  # of samples, holdout and training images each
COMPARED_AT_MOST = 10_000  # pairwise distances grow with the square


class Rival(NamedTuple):
    """The champion as the gate sees it."""

    metrics: dict[str, float]  # empty if it was not judged
    same_data: bool  # learnt from a set with the candidate's holdout
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

    Writes `report.json`, `summary.txt`, `samples.png` (a row per class combination) and `classifier/` (used again when
    the same data is evaluated into the same folder) into `out`.

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
    compared = _comparable(images.info, config)
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.json").unlink(missing_ok=True)  # never an old report beside new samples
    candidate = Bundle.load(bundle)
    yardstick = prepare(images, out / "classifier", config, compared)
    floor = real_against_real(yardstick)
    metrics = {**judge(candidate, yardstick, config), **floor}
    rival = Rival({}, same_data=False, error=champion_error)
    if champion is not None and not champion_error:
        rival = judge_champion(champion, info, images.info, yardstick, config)
    decision = decide(
        metrics, rival.metrics or None, same_data=rival.same_data, champion_error=rival.error, config=config
    )
    evaluation = Evaluation(
        metrics=metrics,
        champion_metrics=rival.metrics,
        floor=floor,
        decision=decision,
        champion_name=champion_name,
        champion_error=rival.error,
        classifier=_about(yardstick.classifier),
        counts={
            "samples": config.samples,
            "compared": compared,
            "holdout": images.info.counts["holdout"].total,
            "train": images.info.counts["train"].total,
        },
        seeds={"samples": config.seed, "classifier": config.seed, "subsets": config.seed},
        data={
            "source": images.info.source,
            "digest": images.info.digest,
            "holdout_digest": images.info.holdout_digest,
        },
    )
    save_png(out / "samples.png", sample_sheet(candidate, config.seed))
    _write(out / "summary.txt", evaluation.summary())
    _write(out / "report.json", evaluation.model_dump_json(indent=2) + "\n")
    return evaluation


def judge_champion(
    champion: Path, candidate: BundleInfo, data: DatasetInfo, yardstick: Yardstick, config: EvaluateConfig
) -> Rival:
    """Judges the champion; whatever is wrong with it becomes its `error` and costs no candidate its judgement."""
    try:
        info = BundleInfo.read(champion)
        if misfit := _misfit(info, data):
            return Rival({}, same_data=False, error=f"it does not fit this data: {misfit}")
        same_data = _data_identity(info) == _data_identity(candidate)
        return Rival(judge(Bundle.load(champion), yardstick, config), same_data, error="")
    except Exception as error:  # a damaged network can fail in any way, and none may lead to a promotion
        return Rival({}, same_data=False, error=(str(error) or type(error).__name__).splitlines()[0])


def prepare(images: ImageSet, folder: Path, config: EvaluateConfig, compared: int) -> Yardstick:
    """Loads the real images and trains the classifier, or takes the one left by an evaluation of the same data."""
    train, holdout = images.load("train"), images.load("holdout")
    dimensions = 64 if compared >= 128 else 32  # a covariance of 64 features from fewer images would be noise
    facts: dict[str, Any] = {
        "digest": images.info.digest,
        "epochs": config.classifier_epochs,
        "seed": config.seed,
        "dimensions": dimensions,
    }
    vocabularies = images.info.labels
    classifier = DomainClassifier.load(folder, facts)
    if classifier is None:
        classifier = train_classifier(
            train,
            holdout,
            vocabularies,
            epochs=config.classifier_epochs,
            seed=config.seed,
            dimensions=dimensions,
            facts=facts,
        )
        classifier.save(folder)
    # Image sets may be ordered by class: take subsets in an order of our own.
    order = np.random.default_rng([config.seed, 1]).permutation(len(holdout[0]))
    chosen = np.random.default_rng([config.seed, 2]).permutation(len(train[0]))[:compared]
    judged = holdout[0][order[:compared]]
    return Yardstick(
        classifier=classifier,
        vocabularies=vocabularies,
        holdout=judged,
        holdout_features=classifier.features(judged),
        holdout_labels=holdout[1][order],
        train=train[0][chosen],
        train_labels=train[1][chosen],
    )


def _comparable(info: DatasetInfo, config: EvaluateConfig) -> int:
    """How many images of each kind can be compared; a FaceForgeError if they are too few to mean anything."""
    there = {
        "holdout images": (info.counts["holdout"].total, "raise ingest.holdout or ingest more images"),
        "training images": (info.counts["train"].total, "ingest more images"),
        "samples": (config.samples, "raise evaluate.samples"),
    }
    for kind, (count, remedy) in there.items():
        if count < MIN_IMAGES:
            raise FaceForgeError(
                f"{count} {kind} are too few to evaluate on, at least {MIN_IMAGES} are needed; {remedy}"
            )
    return min(COMPARED_AT_MOST, *(count for count, _ in there.values()))


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


def _data_identity(model: BundleInfo) -> str:
    """What two models must have in common to be compared: the holdout kept from them, or else the whole set."""
    return model.holdout_digest or model.dataset_digest


def _about(classifier: DomainClassifier) -> dict[str, float]:
    accuracies = {f"accuracy_{name}": share for name, share in classifier.holdout_accuracy.items()}
    return accuracies | {name: float(classifier.facts[name]) for name in ("dimensions", "epochs")}


def _write(path: Path, text: str) -> None:
    with atomic_file(path) as partial:
        partial.write_text(text)
