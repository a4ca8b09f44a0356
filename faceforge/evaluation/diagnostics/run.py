"""Runs all diagnostics of a candidate; one that fails becomes a note in the report and does not stop the others."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from faceforge.config import EvaluateConfig
from faceforge.data.overview.contact_sheet import image_grid
from faceforge.errors import FaceForgeError
from faceforge.evaluation.diagnostics.class_scores import ClassScores, class_metrics, class_table
from faceforge.evaluation.diagnostics.classes import (
    LabelledImages,
    agreement_by_class,
    balanced_rows,
    class_scores,
    requested_labels,
)
from faceforge.evaluation.diagnostics.collapse import collapse, latent_sensitivity
from faceforge.evaluation.diagnostics.faces import face_metrics
from faceforge.evaluation.diagnostics.memorisation import memorisation
from faceforge.evaluation.diagnostics.realism import realism
from faceforge.evaluation.diagnostics.train_on_synthetic import Labelled, train_on_synthetic
from faceforge.evaluation.diagnostics.two_sample import two_sample_test
from faceforge.evaluation.figures import Picture, Table, picture
from faceforge.evaluation.metrics.comparison import Interval
from faceforge.evaluation.reference import EvaluationReference
from faceforge.evaluation.scores import ModelScores
from faceforge.models.bundle import Bundle
from faceforge.models.sampling import draw_latents
from faceforge.progress import Progress

DETECTED_AT_MOST = 500  # samples, and holdout images, passed to the face detector
SEARCHED_AT_MOST = 1000  # samples compared with all training images to find copies


@dataclass
class Findings:
    """Results of diagnostics.

    Attributes:
        metrics: by name; `..._floor` = for real images in place of samples.
        pictures, tables, notes: for the report; the table of classes comes first.
        classes: metrics per class; None = not measured.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    pictures: list[Picture] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    class_tables: list[Table] = field(default_factory=list)
    classes: list[ClassScores] | None = None

    def add(self, other: Findings) -> None:
        """Appends the findings of another diagnostic."""
        self.metrics |= other.metrics
        self.pictures += other.pictures
        self.tables += other.tables
        self.notes += other.notes
        self.class_tables += other.class_tables
        self.classes = self.classes if other.classes is None else other.classes


Diagnostic = Callable[[Bundle, ModelScores, EvaluationReference, EvaluateConfig], Findings]


def run_diagnostics(
    bundle: Bundle, scores: ModelScores, reference: EvaluationReference, config: EvaluateConfig
) -> Findings:
    """Runs every diagnostic in `DIAGNOSTICS` and collects the findings."""
    findings = Findings()
    with Progress("diagnostics", len(DIAGNOSTICS), unit="diagnostic") as progress:
        for title, diagnostic in DIAGNOSTICS.items():
            try:
                findings.add(diagnostic(bundle, scores, reference, config))
            except FaceForgeError as error:
                findings.notes.append(f"{title}: skipped, {error}")
            progress.advance(1, note=title)
    return findings


def class_agreement(
    bundle: Bundle, scores: ModelScores, reference: EvaluationReference, config: EvaluateConfig
) -> dict[str, Interval]:
    """Share of samples that are predicted as the requested class, by `column=class`, as for the candidate's classes.

    Args:
        bundle: a model, for example the champion.
        scores: its scores.
        reference: the real images and the classifier.
        config: the seed of the samples.

    Returns:
        The share with its 95 % interval; empty without labels.
    """
    if not scores.columns:
        return {}
    images, labels = _samples_per_class(bundle, scores, reference, config)
    predicted = reference.classifier.predict_balanced(images)[:, _places(scores, reference)]
    return agreement_by_class(labels, predicted, _vocabularies(scores, reference))


def _two_sample(
    bundle: Bundle, scores: ModelScores, reference: EvaluationReference, config: EvaluateConfig
) -> Findings:
    n, edge = reference.compared, reference.holdout.shape[1]
    spaces = {"domain": (reference.holdout_features, scores.evidence.features)}
    result = two_sample_test(reference.holdout, scores.samples[:n], spaces, seed=config.seed)
    sheets = (
        ("Most fake", "Samples most confidently classified as generated.", result.most_fake),
        ("Most real", "Samples most confidently classified as real.", result.most_real),
    )
    return Findings(
        metrics=result.metrics,
        pictures=[
            picture("two_sample", title, caption, image_grid(images, 8, 1), edge) for title, caption, images in sheets
        ],
    )


def _memorisation(
    bundle: Bundle, scores: ModelScores, reference: EvaluationReference, config: EvaluateConfig
) -> Findings:
    edge = reference.holdout.shape[1]
    samples = scores.samples[:SEARCHED_AT_MOST]
    result = memorisation(reference.all_train, reference.holdout, samples, reference.copies)
    sheet = image_grid(result.closest.swapaxes(0, 1).reshape(-1, *result.closest.shape[2:]), len(result.closest), pad=1)
    caption = (
        "Top: the samples that are most similar to a training image relative to the holdout. Middle: the nearest"
        " training image. Bottom: the nearest holdout image, which the model was not trained on."
    )
    return Findings(metrics=result.metrics, pictures=[picture("privacy", "Closest pairs", caption, sheet, edge)])


def _classes(bundle: Bundle, scores: ModelScores, reference: EvaluationReference, config: EvaluateConfig) -> Findings:
    columns, n = _places(scores, reference), reference.compared
    vocabularies = _vocabularies(scores, reference)
    if not columns:
        return Findings(classes=[])
    images, labels = _samples_per_class(bundle, scores, reference, config)
    chosen = balanced_rows(reference.all_train_labels[:, columns], vocabularies)

    def labelled(images: NDArray[np.uint8], codes: NDArray[np.int32]) -> LabelledImages:
        predicted = reference.classifier.predict_balanced(images)[:, columns]
        return LabelledImages(images, codes, reference.classifier.features(images), predicted)

    classes = class_scores(
        labelled(reference.all_train[chosen], reference.all_train_labels[chosen][:, columns]),
        labelled(reference.holdout, reference.holdout_labels[:n, columns]),
        labelled(images, labels),
        vocabularies,
        reference.copies,
        (scores.logits["training images"], scores.logits["holdout images"]) if scores.logits else None,
    )
    return Findings(class_metrics(classes), class_tables=[class_table(classes)], classes=classes)


def _samples_per_class(
    bundle: Bundle, scores: ModelScores, reference: EvaluationReference, config: EvaluateConfig
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Equal numbers of samples of every class, with their requested labels; the same labels for every model."""
    codes = reference.all_train_labels[:, _places(scores, reference)]
    labels = requested_labels(codes, _vocabularies(scores, reference), config.seed)
    return bundle.generate(draw_latents(config.seed + 1, len(labels), bundle.info.spec.latent_size), labels), labels


def _realism(bundle: Bundle, scores: ModelScores, reference: EvaluationReference, config: EvaluateConfig) -> Findings:
    edge = reference.holdout.shape[1]
    at_most = min(reference.compared, DETECTED_AT_MOST)
    result = realism(reference.holdout[:at_most], scores.samples[:at_most], config.face_model)
    pictures = []
    if len(result.without_face):
        sheet = image_grid(result.without_face, 8, pad=1)
        caption = "Samples in which the detector finds no face."
        pictures.append(picture("realism", "Without a face", caption, sheet, edge))
    return Findings(result.metrics, pictures, notes=[f"face detection: {result.note}"] if result.note else [])


def _faces(bundle: Bundle, scores: ModelScores, reference: EvaluationReference, config: EvaluateConfig) -> Findings:
    return Findings(face_metrics(reference.train, reference.holdout, scores.samples))


def _collapse(bundle: Bundle, scores: ModelScores, reference: EvaluationReference, config: EvaluateConfig) -> Findings:
    n, columns = reference.compared, _places(scores, reference)
    requested = scores.labels[:n, columns]
    result = collapse(
        reference.train,
        (reference.holdout, requested),
        (scores.samples[:n], requested),
        _vocabularies(scores, reference),
        {"domain": (reference.train_features, reference.holdout_features, scores.evidence.features)},
        seed=config.seed,
    )
    sensitivity = latent_sensitivity(bundle.generate, bundle.info.spec.latent_size, requested, seed=config.seed)
    if not result.classes:
        return Findings(result.metrics | sensitivity)
    table = Table(
        title="Diversity per class",
        caption="Distance between samples of a class divided by that between real images; 1 = as varied.",
        columns=["class", "real images", "samples", "diversity"],
        rows=[
            [f"{row.column}: {row.name}", row.real_images, row.samples, _finite(row.diversity)]
            for row in result.classes
        ],
    )
    return Findings(result.metrics | sensitivity, tables=[table])


def _train_on_synthetic(
    bundle: Bundle, scores: ModelScores, reference: EvaluationReference, config: EvaluateConfig
) -> Findings:
    if not scores.columns:
        return Findings()
    columns = _places(scores, reference)
    chosen = np.random.default_rng([config.seed, 5]).permutation(len(reference.all_train))[: len(scores.samples)]
    n = reference.compared
    real, holdout, fake = (
        Labelled.of(images, codes[:, columns])
        for images, codes in (
            (reference.all_train[chosen], reference.all_train_labels[chosen]),
            (reference.holdout, reference.holdout_labels[:n]),
            (scores.samples, scores.labels),
        )
    )
    result = train_on_synthetic(real, holdout, fake, _vocabularies(scores, reference))
    table = Table(
        title="Train on synthetic, test on real",
        caption=(
            "AUC of a linear classifier on the holdout, each class against the others, trained on real images and on as"
            " many samples. Whether samples help a classifier is measured by `faceforge usefulness`."
        ),
        columns=["class", "real images", "samples", "holdout", "trained on real", "on samples"],
        rows=[
            [
                f"{row.column}: {row.name}",
                *(row.real_images, row.samples, row.holdout_images),
                *map(_finite, (row.real, row.synthetic)),
            ]
            for row in result.classes
        ],
    )
    return Findings(metrics=result.metrics, tables=[table])


def _places(scores: ModelScores, reference: EvaluationReference) -> list[int]:
    """Positions of the model's label columns among those of the image set."""
    return [list(reference.vocabularies).index(name) for name in scores.columns]


def _vocabularies(scores: ModelScores, reference: EvaluationReference) -> dict[str, list[str]]:
    """The model's label columns and their classes."""
    return {name: reference.vocabularies[name] for name in scores.columns}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


DIAGNOSTICS: dict[str, Diagnostic] = {
    "copies": _memorisation,
    "classes": _classes,
    "two-sample test": _two_sample,
    "face detection": _realism,
    "face embedding": _faces,
    "modes and variety": _collapse,
    "train on synthetic": _train_on_synthetic,
}
