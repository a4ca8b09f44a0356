"""The result of an evaluation, as data and as a text summary of one screen."""

from __future__ import annotations

import textwrap
from typing import Any

from pydantic import BaseModel, ConfigDict

from faceforge.evaluation.diagnostics.class_scores import ClassScores, worst_class
from faceforge.evaluation.diagnostics.membership import membership_summary
from faceforge.evaluation.figures import Table
from faceforge.evaluation.gate import Decision
from faceforge.evaluation.metrics.comparison import Interval
from faceforge.evaluation.report.metric_descriptions import DESCRIPTIONS, expected
from faceforge.models.privacy import PrivacyStatement

# Shown in the summary; the others are in report.html and report.json.
HEADLINES = (
    "inception/fid",
    "inception/kid",
    "classes/agreement_lowest",
    "domain/frechet",
    "domain/precision",
    "domain/recall",
    "domain/density",
    "domain/coverage",
    "domain/label_agreement",
    "face/mmd",
    "realism/relative",
    "two_sample/accuracy_pixels",
    "collapse/modes_domain",
    "collapse/diversity",
    "train_on_synthetic/auc",
    "discriminator/accuracy",
    "discriminator/accuracy_train",
    "privacy/copies_pixels",
    "privacy/copies_features",
    "privacy/near_exact_copies",
    "privacy/closer_to_train_pixels",
    "privacy/dcr_share_pixels",
    "privacy/nndr_train_pixels",
)


class Evaluation(BaseModel):
    """Metrics, decision and settings of one evaluation; the content of `report.json`.

    Numbers that are not finite are written as strings.

    Attributes:
        metrics: of the candidate, by name, including the floor.
        champion_metrics: of the champion, with the same classifier, images, counts and seed; empty if not evaluated.
        floor: the same metrics for training images in place of samples, equal counts (also in `metrics`).
        intervals: of the candidate's metrics, where available.
        differences: candidate against champion, above 0 = better; see `faceforge.evaluation.metrics.comparison`.
        decision: of the gate.
        champion_name: name of the champion; empty = there is none.
        champion_error: why an existing champion could not be evaluated.
        classifier: holdout accuracy per label column (or pretext task), feature dimensions and epochs.
        counts: numbers of images.
        seeds: random seeds.
        data: source and digests of the image set.
        settings: the `evaluate.*` settings.
        calibration: of the discriminator (`Calibration(**...)`), on holdout images; None = its logits are not finite.
        classes: metrics per class, from equal numbers of samples per class; empty without labels.
        tables: for the report.
        notes: what was skipped, and how to get it.
        privacy: what training with differential privacy guarantees; None = trained without.
        how: description of each metric.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    format_version: int = 1
    metrics: dict[str, float]
    champion_metrics: dict[str, float]
    floor: dict[str, float]
    intervals: dict[str, Interval] = {}
    differences: dict[str, Interval] = {}
    decision: Decision
    champion_name: str
    champion_error: str
    classifier: dict[str, float]
    counts: dict[str, int]
    seeds: dict[str, int]
    data: dict[str, str]
    settings: dict[str, Any] = {}
    calibration: dict[str, Any] | None = None
    classes: list[ClassScores] = []
    tables: list[Table] = []
    notes: list[str] = []
    privacy: PrivacyStatement | None = None
    how: dict[str, str] = DESCRIPTIONS

    def real(self, metric: str) -> float | None:
        """The value of a metric for real images in place of samples; None where there is none."""
        return self.metrics.get(_OF_REAL_IMAGES.get(metric, f"{metric}_floor"), expected(metric))

    @property
    def compared_metrics(self) -> list[str]:
        """Names of the candidate's own metrics, without floors, interval ends, spreads and values of real images."""
        ends = {f"{name}{end}" for name in self.intervals for end in ("_low", "_high")}
        ends |= {f"{name}_spread" for name in self.metrics}
        left_out = ends | set(_OF_REAL_IMAGES.values())
        return [name for name in self.metrics if not name.endswith("_floor") and name not in left_out]

    def summary(self) -> str:
        """Text of one screen: the decision, then candidate, champion and real images side by side."""
        name = self.champion_name or "champion"
        lines = [
            f"decision: {self.decision.verdict.upper()}",
            *(
                textwrap.fill(reason, 98, initial_indent="  ", subsequent_indent="  ")
                for reason in self.decision.reasons
            ),
            *self._worst_class(),
            *self._privacy(),
            "",
            f"{'':34}{'candidate':>12}{(name if len(name) <= 20 else 'champion') if self.champion_metrics else '':>22}"
            f"{'real images':>14}",
        ]
        shown = [metric for metric in HEADLINES if metric in self.metrics]
        for metric in shown:
            lines.append(
                f"{metric:34}{figure(self.metrics[metric]):>12}{figure(self.champion_metrics.get(metric)):>22}"
                f"{figure(self.real(metric)):>14}"
            )
        heads = ", ".join(f"{key} {value:.3f}" for key, value in self.classifier.items() if key.startswith("accuracy"))
        rest = len(self.compared_metrics) - len(shown)
        lines += [
            "",
            f"{self.counts['compared']:,} generated vs {self.counts['compared']:,} held-out real images;"
            f" labels checked on {self.counts['samples']:,} generated images.",
            f"Classifier accuracy on the holdout: {heads}.",
            *(textwrap.fill(note, 98, subsequent_indent="  ", break_on_hyphens=False) for note in self.notes),
            f"Open report.html for pictures and {f'{rest} more metrics' if rest else 'tables'}, each explained.",
        ]
        return "\n".join(line.rstrip() for line in lines) + "\n"

    def _privacy(self) -> list[str]:
        lines = [membership_summary(self.metrics), self.privacy.summary() if self.privacy else ""]
        return [textwrap.fill(line, 98, subsequent_indent="  ") for line in lines if line]

    def _worst_class(self) -> list[str]:
        worst = worst_class(self.classes)
        if worst is None:
            return []
        return [
            f"worst class: {worst.title}: {worst.agreement:.0%} of its samples show the class (real images"
            f" {worst.real_agreement:.0%})"
        ]


def spans(metrics: dict[str, float]) -> dict[str, Interval]:
    """Intervals of those metrics whose ends are metrics themselves, `..._low` and `..._high`."""
    return {
        name: Interval(value=value, low=metrics[f"{name}_low"], high=metrics[f"{name}_high"])
        for name, value in metrics.items()
        if f"{name}_low" in metrics and f"{name}_high" in metrics
    }


_OF_REAL_IMAGES = {
    "privacy/nndr_train_pixels": "privacy/nndr_holdout_pixels",
    "privacy/nndr_train_features": "privacy/nndr_holdout_features",
    "domain/label_agreement": "domain/real_label_accuracy",
    "realism/detected": "realism/detected_real",
}  # metrics whose value for real images has a name of its own


def figure(value: float | None) -> str:
    """A count in full, another number with four digits; empty for None."""
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
