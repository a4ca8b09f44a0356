"""Sample quality of training recipes at equal budgets.

    faceforge ingest faces.parquet --out work/data --preset faces64 --labels gender,age_group
    python benchmarks/quality.py --data work/data --preset faces64 --out work/quality --minutes 2 5 10
    python benchmarks/quality.py --data work/data --preset faces64 --out work/ablation --kimg 50 --recipes ablation
    python benchmarks/quality.py --data work/small --preset faces64 --out work/few --minutes 5 --recipes few

`recipes` compares the preset with the classical DCGAN made conditional on the same labels, as in its paper and tuned by
`faceforge tune`; `ablation` the preset with itself, one ingredient changed at a time; `few` the preset without and with
changes to what the discriminator sees. Every recipe is trained by `faceforge train` in a process of its own, and scored
by one domain classifier, on the same labels and holdout images (see `faceforge.evaluation`). OUT gets results.jsonl, a
table and the last grid of each recipe; existing results are not trained again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from faceforge.config import preset_names, resolve
from faceforge.data.imageset.reader import ImageSet
from faceforge.evaluation.reference import comparable, prepare
from faceforge.evaluation.scores import real_against_real, score_model
from faceforge.models.bundle import Bundle

# Radford et al. (2016) at any image size, conditional on the same labels as the preset.
DCGAN = (
    "model.family=dcgan, model.latent_size=100, model.max_width=512, train.loss=bce, train.beta2=0.999, "
    "train.lr_decay=false, train.gamma=0, train.ema_kimg=0, train.diffaugment="
)
# The settings of the paper, but with the batch size of the tutorials.
CLASSICAL = f"{DCGAN}, model.width=64, train.batch_size=64, train.learning_rate=0.0002, train.beta1=0.5"
# What `faceforge tune` found at 32 px, see docs/results.md.
TUNED = f"{DCGAN}, model.width=32, train.batch_size=32, train.learning_rate=0.000214, train.beta1=0"
RECIPES = {
    "recipes": {"default": "", "classical": CLASSICAL, "classical, tuned": TUNED},
    "ablation": {
        "default": "",
        "BCE": "train.loss=bce",
        "hinge": "train.loss=hinge",
        "relativistic pairing": "train.loss=relativistic",
        "no penalties": "train.gamma=0",
        "R1 alone": "train.penalty=r1",
        "penalties at every step": "train.penalty_interval=1",
        "gamma stays": "train.gamma_final={gamma}",
        "learning rate stays": "train.lr_decay=false",
        "no moving average": "train.ema_kimg=0",
        "beta2 0.9 to 0.99": "train.beta2_final=0.99",
        "with spectral norm": "train.spectral_norm=true",
        "with label dropout": "train.label_dropout=0.1",
        "with diffaugment": "train.diffaugment=flip+colour+translation+cutout",
    },
    "few": {
        "default": "",
        "diffaugment": "train.diffaugment=colour+translation+cutout",
        "adaptive": "train.diffaugment=flip+colour+translation+cutout, train.diffaugment_target=0.6",
        "adaptive noise": "train.diffaugment=noise, train.diffaugment_target=0.6",
    },
}
COLUMNS = {
    "minutes": "minutes",
    "kimg": "kimg",
    "domain/frechet": "Frechet",
    "domain/precision": "precision",
    "domain/recall": "recall",
    "domain/label_agreement": "label agreement",
}


def main() -> None:
    """Trains and scores all recipes; prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="image set as `faceforge ingest` writes it")
    parser.add_argument("--out", type=Path, required=True, help="folder of models and results")
    parser.add_argument("--preset", default="toy", choices=preset_names())
    parser.add_argument("--set", default="", help="settings shared by all recipes")
    parser.add_argument("--recipes", default="recipes", choices=RECIPES)
    parser.add_argument("--only", nargs="*", help="names of the recipes to run; default: all")
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument("--minutes", nargs="+", type=float, help="budgets in minutes of training")
    budget.add_argument("--kimg", nargs="+", type=float, help="budgets in thousands of images")
    options = parser.parse_args()
    images = ImageSet.open(options.data)
    config = resolve(options.preset, options.set)
    reference = prepare(images, options.out / "reference", config.evaluate, comparable(images.info, config.evaluate))
    floor = real_against_real(reference)
    real = sum(reference.classifier.holdout_accuracy.values()) / max(1, len(reference.classifier.holdout_accuracy))
    print(json.dumps({"floor": floor, "domain/real_label_accuracy": real}), flush=True)
    rows = []
    unit = "minutes" if options.minutes else "kimg"
    chosen = {name: text for name, text in RECIPES[options.recipes].items() if name in (options.only or [name])}
    for amount in options.minutes or options.kimg:
        for name, text in chosen.items():
            settings = text.format(gamma=config.train.gamma)
            folder = options.out / f"{name.replace(',', '').replace(' ', '-').lower()}-{amount:g}{unit}"
            train(options, folder, ", ".join(filter(None, (options.set, settings, f"train.{unit}={amount}"))))
            row = {"recipe": name, "budget": f"{amount:g} {unit}", **scores(folder / "bundle", reference, config)}
            print(json.dumps(row), flush=True)
            rows.append(row)
    (options.out / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    print("\n" + table(rows))


def train(options: argparse.Namespace, folder: Path, settings: str) -> None:
    """Trains a recipe, unless its bundle exists."""
    if (folder / "bundle").is_dir():
        return
    command = [sys.executable, "-m", "faceforge.cli.main", "train", "--data", str(options.data), "--out", str(folder)]
    subprocess.run([*command, "--preset", options.preset, "--set", settings], check=True)
    last = max((folder / "grids").glob("*.png"))
    shutil.copyfile(last, folder.with_suffix(".png"))


def scores(bundle: Path, reference: Any, config: Any) -> dict[str, float]:
    """Training facts and metrics of a model."""
    model = Bundle.load(bundle)
    metrics = score_model(model, reference, config.evaluate).metrics
    facts = model.info.training
    return {
        "minutes": round(facts["seconds"] / 60, 2),
        "kimg": facts["images_seen"] / 1000,
        **{name: round(value, 4) for name, value in metrics.items()},
    }


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as a Markdown table."""
    names = [name for name in COLUMNS if name in rows[0]]
    lines = [f"| recipe | budget | {' | '.join(COLUMNS[name] for name in names)} |", "|---" * (len(names) + 2) + "|"]
    for row in rows:
        lines.append(f"| {row['recipe']} | {row['budget']} | {' | '.join(f'{row[name]:.4g}' for name in names)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
