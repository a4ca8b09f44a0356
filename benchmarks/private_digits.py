"""Digits with differential privacy: how well a classifier that has only seen generated digits reads real ones.

    faceforge ingest digits --out work/digits --preset digits
    python benchmarks/private_digits.py --data work/digits --out work/private --epsilon 10

Trains a model for every epsilon (0 = without differential privacy, the same settings), trains a support vector machine
on its samples, and prints its accuracy on the holdout with the 95 % interval. For any set of small labelled images. An
interrupted measurement continues.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.svm import SVC

from faceforge.config import resolve
from faceforge.data.imageset.reader import ImageSet
from faceforge.evaluation.diagnostics.rates import interval
from faceforge.models.bundle import Bundle
from faceforge.models.sampling import cycle_labels, draw_latents
from faceforge.training.train import train_bundle

SETTINGS = (
    "train.loss=bce, train.gamma=0, train.batch_size=64, train.kimg=180, train.discriminator_steps=12,"
    " train.learning_rate=2e-3, train.beta2=0.99, train.dp_clip=0.5, train.ema_kimg=18, train.precision=float32,"
    " model.width=8, model.max_width=32"
)
SAMPLES = 5000
EDGE = 8  # the classifier sees images averaged to 8 x 8 pixels

Images = NDArray[np.uint8]
Codes = NDArray[np.int32]


def main() -> None:
    """Trains and prints a row for each epsilon."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="image set with one label column")
    parser.add_argument("--out", type=Path, required=True, help="folder for the models")
    parser.add_argument("--epsilon", type=float, nargs="+", default=[0.0, 10.0])
    parser.add_argument("--set", default="", help="settings in addition to those of this script")
    options = parser.parse_args()
    images = ImageSet.open(options.data)
    train, holdout = images.load("train"), images.load("holdout")
    print(f"{'trained on':32}{'accuracy on the holdout':>32}")
    report("real images", train, holdout)
    for epsilon in options.epsilon:
        settings = f"{SETTINGS}, train.dp_epsilon={epsilon:g}, {options.set}"
        bundle = Bundle.load(train_bundle(options.data, options.out / f"{epsilon:g}", resolve("digits", settings)))
        name = f"samples, epsilon {epsilon:g}" if bundle.info.privacy else "samples, no privacy"
        report(name, samples(bundle), holdout)


def samples(bundle: Bundle) -> tuple[Images, Codes]:
    """Generated images, equally many of each class, and their labels."""
    labels = cycle_labels(bundle.info.labels, SAMPLES)
    return bundle.generate(draw_latents(1, SAMPLES, bundle.info.spec.latent_size), labels), labels


def report(name: str, train: tuple[Images, Codes], holdout: tuple[Images, Codes]) -> None:
    """Trains the classifier on labelled images and prints its accuracy on the holdout."""
    classifier = SVC().fit(features(train[0]), train[1][:, 0])
    share = classifier.score(features(holdout[0]), holdout[1][:, 0])
    low, high = interval(share, len(holdout[0]))
    print(f"{name:32}{f'{share:.3f} ({low:.3f} to {high:.3f})':>32}", flush=True)


def features(images: Images) -> NDArray[np.float64]:
    """Pixels averaged to `EDGE` x `EDGE`, (N, D), in [0, 1]."""
    block = images.shape[1] // EDGE
    return images.reshape(len(images), EDGE, block, EDGE, block, -1).mean(axis=(2, 4)).reshape(len(images), -1) / 255


if __name__ == "__main__":
    main()
