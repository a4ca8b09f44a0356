"""What is asked of the candidate alone, beside the comparison: each question may fail without costing the others."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from faceforge.config import EvaluateConfig
from faceforge.data.overview.contact_sheet import image_grid
from faceforge.errors import FaceForgeError
from faceforge.evaluation.diagnostics.collapse import collapse, latent_sensitivity
from faceforge.evaluation.diagnostics.memorisation import memorisation
from faceforge.evaluation.diagnostics.realism import realism
from faceforge.evaluation.diagnostics.two_sample import two_sample_test
from faceforge.evaluation.diagnostics.usefulness import Labelled, RareClass, rare_class, usefulness
from faceforge.evaluation.figures import Picture, Table, picture
from faceforge.evaluation.reference import Yardstick
from faceforge.evaluation.scores import Judged
from faceforge.models.bundle import Bundle
from faceforge.progress import Progress

DETECTED_AT_MOST = 500  # samples, and holdout images, in which faces are looked for
SEARCHED_AT_MOST = 2000  # samples among which copies are looked for, in all training images


@dataclass
class Findings:
    """Numbers, what real images give in the place of samples (`..._floor`), and what illustrates them."""

    metrics: dict[str, float] = field(default_factory=dict)
    pictures: list[Picture] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, other: Findings) -> None:
        """Takes over what another has found."""
        self.metrics |= other.metrics
        self.pictures += other.pictures
        self.tables += other.tables
        self.notes += other.notes


Question = Callable[[Bundle, Judged, Yardstick, EvaluateConfig], Findings]


def examine(bundle: Bundle, judged: Judged, yardstick: Yardstick, config: EvaluateConfig) -> Findings:
    """Asks all questions; one that cannot be answered becomes a note."""
    found = Findings()
    with Progress("examine", len(QUESTIONS), unit="question") as progress:
        for title, question in QUESTIONS.items():
            try:
                found.add(question(bundle, judged, yardstick, config))
            except FaceForgeError as error:
                found.notes.append(f"{title}: left out, {error}")
            progress.advance(1, note=title)
    return found


def _two_sample(bundle: Bundle, judged: Judged, yardstick: Yardstick, config: EvaluateConfig) -> Findings:
    n, edge = yardstick.compared, yardstick.holdout.shape[1]
    spaces = {"domain": (yardstick.holdout_features, judged.evidence.features)}
    found = two_sample_test(yardstick.holdout, judged.samples[:n], spaces, seed=config.seed)
    return Findings(
        metrics=found.metrics,
        pictures=[
            picture("two_sample", "Most fake", "Samples it is surest of.", image_grid(found.most_fake, 8, 1), edge),
            picture("two_sample", "Most real", "Samples it takes for real.", image_grid(found.most_real, 8, 1), edge),
        ],
    )


def _memorisation(bundle: Bundle, judged: Judged, yardstick: Yardstick, config: EvaluateConfig) -> Findings:
    edge = yardstick.holdout.shape[1]
    samples = judged.samples[: min(yardstick.compared, SEARCHED_AT_MOST)]
    found = memorisation(yardstick.all_train, yardstick.holdout, samples, seed=config.seed)
    sheet = image_grid(found.closest.swapaxes(0, 1).reshape(-1, *found.closest.shape[2:]), len(found.closest), pad=1)
    caption = (
        "Top: the samples most like copies, the most suspicious first. Middle: the training image nearest to each."
        " Bottom: the nearest holdout image, which the model never saw."
    )
    return Findings(metrics=found.metrics, pictures=[picture("privacy", "Closest pairs", caption, sheet, edge)])


def _realism(bundle: Bundle, judged: Judged, yardstick: Yardstick, config: EvaluateConfig) -> Findings:
    edge = yardstick.holdout.shape[1]
    at_most = min(yardstick.compared, DETECTED_AT_MOST)
    found = realism(yardstick.holdout[:at_most], judged.samples[:at_most])
    pictures = []
    if len(found.without_face):
        sheet = image_grid(found.without_face, 8, pad=1)
        pictures.append(picture("realism", "Without a face", "Samples in which it finds none.", sheet, edge))
    return Findings(found.metrics, pictures, notes=[f"face detection: {found.note}"] if found.note else [])


def _collapse(bundle: Bundle, judged: Judged, yardstick: Yardstick, config: EvaluateConfig) -> Findings:
    n, columns = yardstick.compared, _places(judged, yardstick)
    asked = judged.labels[:n, columns]
    found = collapse(
        yardstick.train,
        (yardstick.holdout, asked),
        (judged.samples[:n], asked),
        {name: yardstick.vocabularies[name] for name in judged.columns},
        {"domain": (yardstick.train_features, yardstick.holdout_features, judged.evidence.features)},
        seed=config.seed,
    )
    sensitivity = latent_sensitivity(bundle.generate, bundle.info.spec.latent_size, asked, seed=config.seed)
    if not found.classes:
        return Findings(found.metrics | sensitivity)
    table = Table(
        title="Variety class by class",
        caption="Distance between samples of a class over that between real images of it; 1 = as varied.",
        columns=["class", "real images", "samples", "diversity"],
        rows=[
            [f"{row.column}: {row.name}", row.real_images, row.samples, _finite(row.diversity)] for row in found.classes
        ],
    )
    return Findings(found.metrics | sensitivity, tables=[table])


def _usefulness(bundle: Bundle, judged: Judged, yardstick: Yardstick, config: EvaluateConfig) -> Findings:
    if not judged.columns:
        return Findings()
    columns = _places(judged, yardstick)
    chosen = np.random.default_rng([config.seed, 5]).permutation(len(yardstick.all_train))[: len(judged.samples)]
    n = yardstick.compared
    real, holdout, fake = (
        Labelled.of(images, codes[:, columns])
        for images, codes in (
            (yardstick.all_train[chosen], yardstick.all_train_labels[chosen]),
            (yardstick.holdout, yardstick.holdout_labels[:n]),
            (judged.samples, judged.labels),
        )
    )
    vocabularies = {name: yardstick.vocabularies[name] for name in judged.columns}
    found = usefulness(real, holdout, fake, vocabularies)
    table = Table(
        title="Usefulness: recall class by class",
        caption=(
            "Share of the holdout images of a class that a linear classifier recognises, trained on real images, on as"
            " many samples, and on both."
        ),
        columns=["class", "real images", "samples", "holdout", "trained on real", "on samples", "on both"],
        rows=[
            [
                f"{row.column}: {row.name}",
                *(row.real_images, row.samples, row.holdout_images),
                *map(_finite, (row.real, row.synthetic, row.both)),
            ]
            for row in found.classes
        ],
    )
    findings = Findings(metrics=found.metrics, tables=[table])
    try:
        rare = rare_class(real, holdout, fake, vocabularies)
    except FaceForgeError as error:
        findings.notes.append(f"rare class: left out, {error}")
    else:
        findings.metrics |= rare.metrics
        findings.tables.append(_rare_table(rare))
    return findings


def _rare_table(rare: RareClass) -> Table:
    kinds = {"few real images": "before", "the same, weighted up": "reweighted", "the same and samples": "after"}
    numbers = ("recall_{}", "recall_{}_spread", "balanced_{}")
    return Table(
        title=f"Usefulness: {rare.column} {rare.name} made rare",
        caption=(
            f"Recall of the class in the holdout when {rare.kept} of its training images are kept, when these are"
            f" weighted up, and when {rare.added} samples are added; over {len(rare.recalls)} draws."
        ),
        columns=["trained on", "recall of the class", "standard deviation", "mean recall of all classes"],
        rows=[
            [words, *(_finite(rare.metrics[f"usefulness/rare_{number.format(kind)}"]) for number in numbers)]
            for words, kind in kinds.items()
        ],
    )


def _places(judged: Judged, yardstick: Yardstick) -> list[int]:
    """Where the columns that the model takes are among those of the set."""
    return [list(yardstick.vocabularies).index(name) for name in judged.columns]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


QUESTIONS: dict[str, Question] = {
    "copies": _memorisation,
    "two-sample test": _two_sample,
    "face detection": _realism,
    "modes and variety": _collapse,
    "usefulness": _usefulness,
}
