"""What an evaluation found, as data, as a screen of text, and as the words that say how each number was made."""

from __future__ import annotations

import textwrap

from pydantic import BaseModel, ConfigDict

from faceforge.evaluation.gate import Decision

HOW = {
    "domain/frechet": "Frechet distance between Gaussians fitted to the classifier features of samples and of holdout"
    " images; lower is better; not FID, and not comparable across classifiers or sample counts",
    "domain/precision": "share of samples among the holdout images in that feature space, k = 3",
    "domain/recall": "share of holdout images among the samples, k = 3",
    "domain/density": "mean number of holdout neighbourhoods that hold a sample, over k = 5; about 1 at best",
    "domain/coverage": "share of holdout images with a sample in their neighbourhood, k = 5",
    "domain/label_agreement": "share of samples in which the classifier sees the label asked for, mean over columns",
    "domain/real_label_accuracy": "the same share for real holdout images: the most to expect of a model",
    "domain/..._floor": "the same measure with training images in place of samples, same counts: the best to expect",
    "discriminator/accuracy...": "share of holdout images (_real), training images (_real_train) and samples (_fake)"
    " that the model's own discriminator tells rightly; balanced: accuracy (holdout), accuracy_train",
    "discriminator/pairwise...": "share of (real image, sample) pairs of equal labels where the real one scores higher",
}


class Evaluation(BaseModel):
    """One candidate, judged; the content of `report.json` (numbers that are not finite are written as strings).

    Attributes:
        metrics: of the candidate, by name, the floor included.
        champion_metrics: of the champion, by the same classifier, images, counts and seed; empty if it was not judged.
        floor: real against real on the same counts (also in `metrics`).
        decision: what the gate says.
        champion_name: what the champion is called; empty = there is none.
        champion_error: why an existing champion could not be judged.
        classifier: accuracy on the holdout per column (or label-free task), feature dimensions, epochs, images.
        counts: images behind the numbers.
        seeds: seeds behind the numbers.
        data: source and digests of the image set.
        how: how each number was made, in words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    format_version: int = 1
    metrics: dict[str, float]
    champion_metrics: dict[str, float]
    floor: dict[str, float]
    decision: Decision
    champion_name: str
    champion_error: str
    classifier: dict[str, float]
    counts: dict[str, int]
    seeds: dict[str, int]
    data: dict[str, str]
    how: dict[str, str] = HOW

    def summary(self) -> str:
        """One screen: the decision, and candidate, champion and floor side by side."""
        name = self.champion_name or "champion"
        lines = [
            f"decision: {self.decision.verdict.upper()}",
            *(
                textwrap.fill(reason, 98, initial_indent="  ", subsequent_indent="  ")
                for reason in self.decision.reasons
            ),
            "",
            f"{'':34}{'candidate':>12}{(name if len(name) <= 20 else 'champion') if self.champion_metrics else '':>22}"
            f"{'real images':>14}",
        ]
        for metric, value in self.metrics.items():
            if metric.endswith("_floor") or metric in _OF_REAL_IMAGES.values():
                continue
            real = self.metrics.get(_OF_REAL_IMAGES.get(metric, f"{metric}_floor"))
            lines.append(
                f"{metric:34}{_figure(value):>12}{_figure(self.champion_metrics.get(metric)):>22}{_figure(real):>14}"
            )
        heads = ", ".join(f"{key} {value:.3f}" for key, value in self.classifier.items() if key.startswith("accuracy"))
        lines += [
            "",
            f"{self.counts['compared']:,} samples against as many of {self.counts['holdout']:,} holdout images;"
            f" labels judged on {self.counts['samples']:,} samples.",
            f"Classifier on the holdout: {heads}.",
            "report.json says how each number was made.",
        ]
        return "\n".join(line.rstrip() for line in lines) + "\n"


_OF_REAL_IMAGES = {"domain/label_agreement": "domain/real_label_accuracy"}  # where the floor has a name of its own


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
