"""Digits with differential privacy: how well a classifier that has only seen generated digits reads real ones.

    faceforge ingest digits --out work/digits --preset digits
    faceforge ingest toydigits --out work/toydigits --preset digits
    python benchmarks/private_digits.py --public work/toydigits --data work/digits --out work/measured --seeds 3

Trains a model on public images, then models on the private images for every epsilon (0 = without differential privacy,
the same settings), each starting from the public one; without `--public`, from random weights. A support vector machine
is trained on 5,000 samples of each model; its accuracy on the private images' holdout is printed with the 95 %
interval. For any two sets of small images with the same label column. An interrupted measurement continues.
"""

from __future__ import annotations

import argparse
from itertools import product
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

NETWORKS = "model.width=8, model.max_width=32, train.precision=float32, train.loss=bce"
PUBLIC = "train.kimg=80, train.batch_size=32, train.learning_rate=2e-3, train.gamma=10, train.ema_kimg=4"
PRIVATE = (
    "train.gamma=0, train.kimg=48, train.batch_size=256, train.discriminator_steps=4, train.learning_rate=2e-3,"
    " train.beta2=0.99, train.dp_clip=0.1, train.ema_kimg=6"
)
SAMPLES = 5000
EDGE = 8  # the classifier sees images averaged to 8 x 8 pixels

Images = NDArray[np.uint8]
Codes = NDArray[np.int32]


def main() -> None:
    """Trains and prints a row for each model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="private image set with one label column")
    parser.add_argument("--public", type=Path, help="public image set with the same label column")
    parser.add_argument("--out", type=Path, required=True, help="folder for the models")
    parser.add_argument("--epsilon", type=float, nargs="+", default=[10.0])
    parser.add_argument("--seeds", type=int, default=1, help="private models of each epsilon")
    parser.add_argument("--set", default="", help="settings of the private training in addition to this script's")
    options = parser.parse_args()
    images = ImageSet.open(options.data)
    train, holdout = images.load("train"), images.load("holdout")
    print(f"{'trained on':36}{'accuracy on the holdout':>32}")
    report("real images", train, holdout)
    start = None
    if options.public:
        start = train_bundle(options.public, options.out / "public", resolve("digits", f"{NETWORKS}, {PUBLIC}"))
        report("public images", ImageSet.open(options.public).load("train"), holdout)
        report("samples of the public model", samples(Bundle.load(start)), holdout)
    for epsilon, seed in product(options.epsilon, range(options.seeds)):
        settings = f"{NETWORKS}, {PRIVATE}, train.dp_epsilon={epsilon:g}, train.seed={seed}, {options.set}"
        out = options.out / f"epsilon{epsilon:g}-seed{seed}"
        bundle = Bundle.load(train_bundle(options.data, out, resolve("digits", settings), init_from=start))
        privacy = f"epsilon {bundle.info.privacy.epsilon:.4g}" if bundle.info.privacy else "no privacy"
        report(f"samples, {privacy}, seed {seed}", samples(bundle), holdout)


def samples(bundle: Bundle) -> tuple[Images, Codes]:
    """Generated images, equally many of each class, and their labels."""
    labels = cycle_labels(bundle.info.labels, SAMPLES)
    return bundle.generate(draw_latents(1, SAMPLES, bundle.info.spec.latent_size), labels), labels


def report(name: str, train: tuple[Images, Codes], holdout: tuple[Images, Codes]) -> None:
    """Trains the classifier on labelled images and prints its accuracy on the holdout."""
    classifier = SVC().fit(features(train[0]), train[1][:, 0])
    share = classifier.score(features(holdout[0]), holdout[1][:, 0])
    low, high = interval(share, len(holdout[0]))
    print(f"{name:36}{f'{share:.3f} ({low:.3f} to {high:.3f})':>32}", flush=True)


def features(images: Images) -> NDArray[np.float64]:
    """Pixels averaged to `EDGE` x `EDGE`, (N, D), in [0, 1]."""
    block = images.shape[1] // EDGE
    return images.reshape(len(images), EDGE, block, EDGE, block, -1).mean(axis=(2, 4)).reshape(len(images), -1) / 255


if __name__ == "__main__":
    main()
