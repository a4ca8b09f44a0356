"""`README.md` of a synthetic image set: a dataset card in the form that the Hugging Face hub reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from faceforge.data.imageset.info import DatasetInfo
from faceforge.synthesis.checks import Check
from faceforge.synthesis.draw import Tally
from faceforge.synthesis.options import SynthesisConfig
from faceforge.synthesis.plan import Cell
from faceforge.synthesis.source import ModelSource

CARD = "README.md"
_CELLS_SHOWN = 50
_FINDINGS = {
    "Quality": ("inception/", "domain/", "realism/", "two_sample/", "collapse/", "discriminator/"),
    "Usefulness": ("usefulness/",),
    "Privacy": ("privacy/",),
}
_CHECKS = {
    "labels": "images to which a classifier trained on the real images assigns another label",
    "copies": "images closer to a training image (or its mirror image) than 99 % of the held-out real images are",
    "realism": "the share of candidates with the lowest discriminator scores",
}


def dataset_card(
    info: DatasetInfo,
    source: ModelSource,
    config: SynthesisConfig,
    checks: Sequence[Check],
    plan: Sequence[Cell],
    tallies: Sequence[Tally],
) -> str:
    """The dataset card as Markdown; quality, usefulness and privacy figures come from the model's evaluation report."""
    total = info.counts["train"].total
    return "\n".join(
        [
            *_front_matter(info, total),
            "# Synthetic faces",
            "",
            f"{total:,} images of {info.image_size} x {info.image_size} pixels, all made by a generative",
            f"model (`{source.name}`, sha256 `{source.sha256[:16]}`); none is a photograph.",
            "",
            "## Contents",
            "",
            *_table(
                ("labels", "images", "candidates", "rejected"),
                [
                    (cell.name, f"{tally.made:,}", f"{tally.drawn:,}", _reasons(tally.refused))
                    for cell, tally in list(zip(plan, tallies, strict=True))[:_CELLS_SHOWN]
                ],
            ),
            *([f"and {len(plan) - _CELLS_SHOWN:,} more: see manifest.json"] if len(plan) > _CELLS_SHOWN else []),
            "",
            _rejected(checks),
            "",
            "```python",
            'datasets.load_dataset("parquet", data_files="train-*.parquet", split="train")',
            'pandas.read_parquet("train-00000-of-00001.parquet")',
            "```",
            "",
            *_findings(source.report),
            "## Intended use",
            "",
            "Training image classifiers on the labels above, mainly to enlarge classes with few real images;",
            "demonstrations and teaching. Always evaluate classifiers trained on this set on real images.",
            "",
            "Not for identifying people, for passing images off as photographs, or for testing how well a classifier",
            "works on real faces. The model reproduces the class shares, errors and biases of its training data, and",
            "the rejections are as biased as the classifier behind them.",
            "",
            "## Reproducing this set",
            "",
            f"Seed {config.seed}, truncation {config.truncation:g}; `manifest.json` lists all options and the hash of",
            "every file. The same model, options and software give the same bytes on the same kind of machine.",
            "",
        ]
    )


def _rejected(checks: Sequence[Check]) -> str:
    if not checks:
        return "No checks were requested; nothing was rejected."
    return "Rejected: " + "; ".join(_CHECKS[check.name] for check in checks) + "."


def _front_matter(info: DatasetInfo, total: int) -> list[str]:
    """YAML front matter, which tells the hub which files hold the data."""
    scale = next((name for limit, name in _SIZES if total < limit), "n>1M")
    return [
        "---",
        "pretty_name: Synthetic faces",
        "annotations_creators: [machine-generated]",
        "tags: [synthetic, faces]",
        *(["task_categories: [image-classification]"] if info.labels else []),
        f"size_categories: ['{scale}']",
        "configs:",
        "  - config_name: default",
        "    data_files: [{split: train, path: 'train-*.parquet'}]",
        "---",
        "",
    ]


_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def _findings(report: Mapping[str, Any] | None) -> list[str]:
    """Metrics of the model's evaluation report, one table per topic."""
    if report is None:
        return ["## Findings", "", "The model has not been evaluated: quality and privacy are unknown.", ""]
    metrics: Mapping[str, Any] = report.get("metrics", {})
    how: Mapping[str, str] = report.get("how", {})
    decision = report.get("decision", {}).get("verdict", "")
    lines: list[str] = []
    for title, prefixes in _FINDINGS.items():
        rows = [(name, _figure(value)) for name, value in metrics.items() if name.startswith(prefixes)]
        lines += [f"## {title}", ""]
        if not rows:
            lines += ["Not measured by the model's evaluation.", ""]
            continue
        lines += [*_table(("measure", "value"), rows), ""]
        lines += [f"- `{name}`: {text}" for name, text in how.items() if name.startswith(prefixes)]
        lines += [""]
    about = ", ".join(f"{name} {count:,}" for name, count in report.get("counts", {}).items())
    lines += [f"Measured on unfiltered samples of the model; images: {about}. Decision: {decision or 'none'}."]
    return [*lines, "These metrics cannot prove that no training image is recognisable.", ""]


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *(map(_escaped, row) for row in rows)]]


def _escaped(text: str) -> str:
    """Text without effect as Markdown or HTML: class names come from users."""
    return re.sub(r"([\\`*\[\]|<>])", r"\\\1", " ".join(text.split()))


def _reasons(refused: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in sorted(refused.items())) or "-"


def _figure(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else str(value)
