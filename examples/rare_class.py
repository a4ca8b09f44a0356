"""Do samples of a GAN help a classifier with a rare class? An experiment on any labelled image source.

One class is made rare by removing most of its training images. A conditional GAN is trained on what is left, and
`faceforge usefulness` compares classifiers trained with and without its samples on the untouched holdout. The removed
images show what as many real images would have brought.

    python examples/rare_class.py --out work/rare                        # drawn faces; minutes on two free CPU cores
    python examples/rare_class.py --out work/old --source utkface64.parquet --labels age_group --class 60+ \\
        --share 0.02 --preset faces64 --set "ingest.image_size=32, ingest.limit=10000, train.kimg=120"

After an interruption, the same command continues. The result is in usefulness/usefulness.html in the output folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from faceforge.data.imageset.reader import ImageSet
from faceforge.data.imageset.writer import write_image_set
from faceforge.data.sources.toyfaces import COLUMN
from faceforge.errors import FaceForgeError, guarded
from faceforge.steps.augment import run_augment
from faceforge.steps.ingest import run_ingest
from faceforge.steps.train import run_train
from faceforge.synthesis.options import synthesis_config
from faceforge.synthesis.synthesise import synthesise
from faceforge.usefulness.measure import measure_usefulness
from faceforge.usefulness.page import summary
from faceforge.usefulness.plan import UsefulnessPlan
from faceforge.usefulness.result import UsefulnessResult


def main() -> None:
    """Runs the experiment and prints the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("work/rare"), help="folder for all files")
    parser.add_argument("--source", default="toyfaces", help="see docs/data.md")
    parser.add_argument("--labels", default=COLUMN, metavar="COLUMN", help="label column")
    parser.add_argument("--class", dest="name", default="glasses", metavar="NAME", help="class to make rare")
    parser.add_argument("--share", type=float, default=0.02, help="its share of the training images afterwards")
    parser.add_argument("--preset", default="toy")
    parser.add_argument("--set", dest="settings", default="ingest.limit=2400", help='"section.field=value, ..."')
    parser.add_argument("--init-from", default="", help="bundle to start the GAN from, trained on other faces")
    parser.add_argument("--per-class", type=int, default=500, help="samples of every class")
    parser.add_argument("--seeds", type=int, default=3, help="classifiers per method")
    parser.add_argument("--steps", type=int, default=500, help="steps of each classifier's training")
    with guarded():
        print(summary(experiment(parser.parse_args())))


def experiment(options: argparse.Namespace) -> UsefulnessResult:
    """Ingests, makes the class rare, trains the GAN, draws samples, and compares classifiers."""
    out: Path = options.out
    settings = [options.settings, "ingest.holdout=0.25", f"augment.flip=true, augment.balance={options.labels}"]
    if options.init_from:
        settings.append(f"train.init_from={options.init_from}")
    recipe: dict[str, Any] = {"preset": options.preset, "settings": ", ".join(settings), "tracking": None}
    run_ingest(source=options.source, labels=options.labels, out=out / "full", **recipe)
    make_rare(out / "full", out, options.labels, options.name, options.share)
    run_augment(data=out / "data", out=out / "balanced", **recipe)
    bundle = out / "model" / "bundle"
    if not bundle.is_dir():
        run_train(data=out / "balanced", work=out / "model", **recipe)
    order = synthesis_config(f"per_class={options.per_class}, reject=copies")
    synthesise(str(bundle), out / "synthetic", order, out / "data")
    return measure_usefulness(
        UsefulnessPlan(
            data=out / "data",
            synthetic=out / "synthetic",
            out=out / "usefulness",
            column=options.labels,
            name=options.name,
            more_real=out / "removed",
            seeds=options.seeds,
            steps=options.steps,
        )
    )


def make_rare(source: Path, out: Path, column: str, name: str, share: float) -> None:
    """Writes `data`, in which `share` of the training images are of the class, and `removed`, the images left out.

    `data` has the holdout of the source unchanged. The kept images are chosen at random, always the same ones.
    """
    images = ImageSet.open(source)
    images.label_columns([column])
    if name not in images.info.labels[column]:
        raise FaceForgeError(f"the label column {column!r} has no class {name!r}; it has {images.info.labels[column]}")
    pixels, codes = images.load("train", [column])
    of_class = np.flatnonzero(codes[:, 0] == images.info.labels[column].index(name))
    others = len(codes) - len(of_class)
    kept = round(others * share / (1 - share))
    if not 0 < kept < len(of_class):
        raise FaceForgeError(f"{name!r} has {len(of_class)} training images, which cannot be cut to {share:.1%} of all")
    order = np.random.default_rng(0).permutation(of_class)
    rows = {"data": np.setdiff1d(np.arange(len(codes)), order[kept:]), "removed": np.sort(order[kept:])}
    vocabulary = {column: images.info.labels[column]}
    for folder, chosen in rows.items():
        splits: dict[Any, Any] = {"train": (pixels[chosen], codes[chosen])}
        if folder == "data":
            splits["holdout"] = images.load("holdout", [column])
        write_image_set(out / folder, splits, vocabulary, source=images.info.source)


if __name__ == "__main__":
    main()
