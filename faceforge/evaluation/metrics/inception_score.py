"""The Inception score, for comparison with old papers only.

Salimans et al. (2016), "Improved techniques for training GANs". It ignores real images and uses the 1,000 classes of
ImageNet, none of which is a face, so it is hardly informative about faces (Barratt & Sharma (2018), "A note on the
Inception score"). No decision should depend on it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError


class InceptionScore(NamedTuple):
    """Mean and spread; at least 1, higher is considered better."""

    mean: float  # over the splits
    spread: float  # standard deviation over the splits


def inception_score(logits: NDArray[np.floating], splits: int = 10, seed: int = 0) -> InceptionScore:
    """exp of the mean KL divergence between p(class | image) and its mean over a split.

    Args:
        logits: (N, classes), without bias as in the original; N at least `splits`.
        splits: number of random parts that are scored separately.
        seed: random seed of the parts.
    """
    if len(logits) < splits:
        raise FaceForgeError(f"{len(logits)} samples are too few for {splits} splits; give at least {splits}")
    shuffled = logits[np.random.default_rng(seed).permutation(len(logits))].astype(np.float64)
    scores = []
    for part in np.array_split(shuffled, splits):
        log_p = part - part.max(axis=1, keepdims=True)
        log_p -= np.log(np.exp(log_p).sum(axis=1, keepdims=True))
        p = np.exp(log_p)
        with np.errstate(divide="ignore"):  # a class that is never predicted: 0 log 0 = 0
            log_mean = np.log(p.mean(axis=0))
        scores.append(np.exp(np.where(p > 0, p * (log_p - log_mean), 0).sum(axis=1).mean()))
    return InceptionScore(float(np.mean(scores)), float(np.std(scores)))
