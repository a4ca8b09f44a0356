"""`README.md` of a synthetic image set: a dataset card in the form that the Hugging Face hub reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from faceforge.data.imageset.info import DatasetInfo
from faceforge.markdown import code, plain
from faceforge.models.privacy import PrivacyStatement
from faceforge.synthesis.checks import Check
from faceforge.synthesis.draw import Tally
from faceforge.synthesis.manifest import MANY_REFUSED, label_warning
from faceforge.synthesis.measures import DESCRIPTIONS, SetMeasures
from faceforge.synthesis.options import SynthesisConfig
from faceforge.synthesis.page import verdict
from faceforge.synthesis.plan import Cell
from faceforge.synthesis.source import ModelSource

CARD = "README.md"
_CELLS_SHOWN = 50
_FINDINGS = {
    "Quality": ("inception/", "domain/", "realism/", "two_sample/", "collapse/", "discriminator/"),
    "Train on synthetic, test on real": ("train_on_synthetic/",),
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
    measures: SetMeasures,
) -> str:
    """The dataset card as Markdown: measurements of these images, then what the model's evaluation found."""
    total = info.counts["train"].total
    return "\n".join(
        [
            *_front_matter(info, total, config.license),
            "# Synthetic faces",
            "",
            f"{total:,} images of {info.image_size} x {info.image_size} pixels, all made by a generative",
            f"model ({code(source.name)}, sha256 `{source.sha256[:16]}`); none is a photograph.",
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
            *_label_check(checks, plan, tallies),
            "",
            "```python",
            'datasets.load_dataset(".", split="train")  # labels are ClassLabel features',
            'pandas.read_parquet("train-00000-of-00001.parquet")',
            "```",
            "",
            "## This set",
            "",
            f"Measured on the images of this set: **{verdict(measures).name}**. {verdict(measures).reason} "
            "`report.html` shows pictures.",
            "",
            *_table(("measure", "value"), [(name, _figure(value)) for name, value in measures.metrics.items()]),
            "",
            *[f"- `{name}`: {DESCRIPTIONS[name]}" for name in measures.metrics],
            *measures.notes,
            "",
            *_findings(source.report),
            *_differential_privacy(source.privacy),
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


def _label_check(checks: Sequence[Check], plan: Sequence[Cell], tallies: Sequence[Tally]) -> list[str]:
    """The classifier's recall of each class on real images, and warnings where it rejected most candidates."""
    facts = next((check.facts() for check in checks if check.name == "labels"), None)
    if facts is None:
        return []
    recall = facts["classifier_holdout_recall"]
    rows = [
        (f"{column}: {name}", f"{found['recall']:.0%}", f"{found['images']:,}")
        for column, classes in recall.items()
        for name, found in classes.items()
    ]
    warnings = [
        f"**Warning**: {plain(label_warning(cell.labels, refused, tally.drawn, recall))}"
        for cell, tally in zip(plan, tallies, strict=True)
        if (refused := tally.refused.get("labels", 0)) > MANY_REFUSED * tally.drawn
    ]
    about = "Real images whose label this classifier confirms, corrected for class frequencies:"
    table = ["", about, "", *_table(("class", "confirmed", "real images"), rows)] if rows else []
    return [*table, *(line for warning in warnings for line in ("", warning))]


def _front_matter(info: DatasetInfo, total: int, license_id: str) -> list[str]:
    """YAML front matter: tells the hub and `datasets` which files hold the data, and the classes in their order."""
    columns: list[dict[str, Any]] = [{"name": "image", "dtype": "image"}]
    columns += [
        {"name": column, "dtype": {"class_label": {"names": {str(code): name for code, name in enumerate(classes)}}}}
        for column, classes in info.labels.items()
    ]
    columns += [{"name": name, "dtype": "string"} for name in ("sha256", "source")]
    features = yaml.safe_dump({"dataset_info": {"features": columns}}, sort_keys=False, allow_unicode=True)
    scale = next((name for limit, name in _SIZES if total < limit), "n>1M")
    return [
        "---",
        "pretty_name: Synthetic faces",
        f"license: {license_id or 'unknown'}",
        "annotations_creators: [machine-generated]",
        "tags: [synthetic, faces]",
        *(["task_categories: [image-classification]"] if info.labels else []),
        f"size_categories: ['{scale}']",
        "configs:",
        "  - config_name: default",
        "    data_files: [{split: train, path: 'train-*.parquet'}]",
        *features.splitlines(),
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
        lines += [f"- {code(name)}: {plain(text)}" for name, text in how.items() if name.startswith(prefixes)]
        lines += [""]
    about = ", ".join(f"{name} {count:,}" for name, count in report.get("counts", {}).items())
    lines += [
        f"Measured on unfiltered samples of the model; images: {plain(about)}. Decision: {plain(decision) or 'none'}."
    ]
    return [*lines, "These metrics cannot prove that no training image is recognisable.", ""]


def _differential_privacy(statement: PrivacyStatement | None) -> list[str]:
    if statement is None:
        return ["The model was not trained with differential privacy.", ""]
    return [
        "## Differential privacy",
        "",
        f"The model was {statement.summary()}. Covered: {statement.covered}. Not covered:",
        "",
        *(f"- {text}" for text in statement.not_covered),
        "",
    ]


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *(map(plain, row) for row in rows)]]


def _reasons(refused: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in sorted(refused.items())) or "-"


def _figure(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else str(value)
