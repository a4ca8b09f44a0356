"""Do synthetic images help a classifier with a rare class? An experiment on toy faces, where the truth is known.

One class has 3 % of the images. A conditional GAN is trained on these images, and its samples fill all classes up to
the same size. The same classifier is then trained, for the same number of steps, on
    real          the images as they are
    repeated      the rare class repeated until classes are equal, which is equivalent to class weights
    jittered      the same, with the usual augmentation (flips, shifts, colours)
    synthetic     the real images and the synthetic ones
    both          the jittered and the synthetic ones
and tested on new real faces. Each is trained with several seeds; the table shows mean and standard deviation. Below it
are the results of the fast linear classifier of evaluation reports (`usefulness/rare_...`).

    python examples/rare_class.py --out work/rare        # about five minutes on two free cores; resumable
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceforge.data.imageset.reader import ImageSet
from faceforge.data.sources.toyfaces import COLUMN, EXPRESSIONS, GLASSES, draw_toyfaces
from faceforge.errors import guarded
from faceforge.evaluation.diagnostics.usefulness import Labelled, rare_class
from faceforge.evaluation.domain_classifier import train_classifier
from faceforge.steps.augment import run_augment
from faceforge.steps.ingest import run_ingest
from faceforge.steps.train import run_train
from faceforge.synthesis.options import synthesis_config
from faceforge.synthesis.synthesise import synthesise

Split = tuple[NDArray[np.uint8], NDArray[np.int32]]
STEPS, BATCH = 300, 64  # of the classifier, the same for all training sets
TESTED = 3000  # new faces, classes of equal size: the recall of the rare class is measured on a thousand


def main() -> None:
    """Runs the experiment and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, default=Path("work/rare"), help="folder for all files")
    parser.add_argument("--images", type=int, default=3000, help="number of real images")
    parser.add_argument("--share", type=float, default=0.03, help="share of the rare class")
    parser.add_argument("--kimg", type=float, default=48.0, help="training budget of the GAN")
    parser.add_argument("--seeds", type=int, default=5, help="classifiers per row of the table")
    options = parser.parse_args()
    results = experiment(options.out, options.images, options.share, options.kimg, options.seeds)
    print(f"{'trained on':<12}{'images':>8}{'rare':>7}{'recall of the rare class':>28}{'accuracy':>20}")
    for name, row in results.items():
        recall, accuracy = (f"{np.mean(row[key]):.3f} ± {np.std(row[key]):.3f}" for key in ("recall", "accuracy"))
        print(f"{name:<12}{row['images']:>8}{row['rare']:>7}{recall:>28}{accuracy:>20}")
    print("\nlinear classifier on fixed features, recall of the rare class")
    for name, text in linear(options.out, options.seeds).items():
        print(f"{name:<12}{text:>43}")


def linear(out: Path, seeds: int) -> dict[str, str]:
    """The metric of evaluation reports on the same images, at the rare class's actual share."""
    real, more = (Labelled.of(*ImageSet.open(out / name).load("train")) for name in ("data", "synthetic"))
    test = Labelled.of(*tested())
    metrics = rare_class(
        real, test, more, {COLUMN: EXPRESSIONS}, name="glasses", share=None, seeds=range(seeds)
    ).metrics
    rows = {"real": "before", "reweighted": "reweighted", "synthetic": "after"}
    recall = "usefulness/rare_recall_{}"
    return {
        name: f"{metrics[recall.format(kind)]:.3f} ± {metrics[recall.format(f'{kind}_spread')]:.3f}"
        for name, kind in rows.items()
    }


def experiment(out: Path, images: int, share: float, kimg: float, seeds: int) -> dict[str, dict[str, list[float]]]:
    """The rows of the table, which are also written to `results.json` in `out`."""
    rest = (1 - share) / 2
    source = f"toyfaces:neutral={rest},smiling={rest},glasses={share}"
    settings = f"ingest.limit={images}, train.kimg={kimg}, augment.flip=true, augment.balance={COLUMN}"
    recipe: dict[str, Any] = {"preset": "toy", "settings": settings, "tracking": None}
    with guarded():
        run_ingest(source=source, labels=None, out=out / "data", **recipe)
        run_augment(data=out / "data", out=out / "balanced", **recipe)
        bundle = out / "model" / "bundle"
        if not bundle.is_dir():
            run_train(data=out / "balanced", work=out / "model", **recipe)
        order = synthesis_config("balance=true, reject=labels+copies")
        synthesise(str(bundle), out / "synthetic", order, out / "data")

    real, more, jittered = (ImageSet.open(out / name).load("train") for name in ("data", "synthetic", "balanced"))
    test = tested()
    sets = {"real": real, "repeated": repeated(real), "jittered": jittered, "synthetic": joined(real, more)}
    sets["both"] = joined(jittered, more)
    results = {name: measured(train, test, seeds) for name, train in sets.items()}
    (out / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    return results


def tested() -> Split:
    """New faces, for testing."""
    return draw_toyfaces(TESTED, 32, seed=12345)


def measured(train: Split, test: Split, seeds: int) -> dict[str, list[float]]:
    """Recall of the rare class and overall accuracy, one number per seed."""
    images, codes = train
    recall, accuracy = [], []
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(images))
        # The same number of steps for every set: passes are repeated until there are enough.
        rows = np.resize(order, STEPS * BATCH)
        classifier = train_classifier((images[rows], codes[rows]), test, {COLUMN: EXPRESSIONS}, epochs=1, seed=seed)
        predicted = classifier.predict(test[0])[:, 0]
        rare = test[1][:, 0] == GLASSES
        recall.append(float((predicted[rare] == GLASSES).mean()))
        accuracy.append(float((predicted == test[1][:, 0]).mean()))
    counts: dict[str, list[float]] = {"images": len(images), "rare": int((codes == GLASSES).sum())}  # type: ignore[dict-item]
    return counts | {"recall": recall, "accuracy": accuracy}


def repeated(train: Split) -> Split:
    """Repeats images until every class is as large as the largest."""
    codes = train[1][:, 0]
    most = np.bincount(codes).max()
    rows = np.concatenate([np.resize(np.flatnonzero(codes == code), most) for code in np.unique(codes)])
    return train[0][rows], train[1][rows]


def joined(*sets: Split) -> Split:
    """Concatenates sets."""
    return np.concatenate([images for images, _ in sets]), np.concatenate([codes for _, codes in sets])


if __name__ == "__main__":
    main()
