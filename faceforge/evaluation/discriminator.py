"""How well a model's own discriminator tells real from generated, on images it trained on and on images it never saw.

Much higher on training images than on the holdout: it has memorised them. Near 0.5 everywhere: it cannot tell (or has
learnt nothing). Near 1 on the holdout: the samples are easy to tell. None of it measures how real samples look.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.floating]
Labels = NDArray[np.integer]

NAMES = (
    "discriminator/accuracy",
    "discriminator/accuracy_train",
    "discriminator/accuracy_real",
    "discriminator/accuracy_real_train",
    "discriminator/accuracy_fake",
    "discriminator/pairwise",
    "discriminator/pairwise_train",
    "discriminator/threshold",
)


def discriminator_metrics(
    loss: str, train: tuple[Logits, Labels], holdout: tuple[Logits, Labels], fake: tuple[Logits, Labels]
) -> dict[str, float]:
    """Accuracy of logits, by name (`NAMES`); all NaN when a logit is not finite.

    With the `bce` loss an image counts as taken for real when its logit is above 0. Relativistic training fixes logits
    only up to a constant, so there the threshold is the one with the best balanced accuracy on the first halves of
    the training images and of the samples; accuracies are measured on the second halves, and on the whole holdout.

    - `accuracy_real`, `accuracy_real_train`: share of holdout / training images taken for real.
    - `accuracy_fake`: share of fresh samples not taken for real.
    - `accuracy`, `accuracy_train`: mean of `accuracy_fake` and the share on the holdout / training images.
    - `pairwise`, `pairwise_train`: share of pairs (holdout / training image, sample) with the same labels in which the
      real one has the higher logit, ties counting half. Needs no threshold.

    Args:
        loss: `relativistic` or `bce`.
        train: logits (N,) and labels (N, columns) of images the model was trained on.
        holdout: the same of images it never saw.
        fake: the same of fresh samples.
    """
    seen, unseen, made = train[0], holdout[0], fake[0]
    if not all(np.isfinite(part).all() and part.size for part in (seen, unseen, made)):
        return dict.fromkeys(NAMES, float("nan"))
    threshold = 0.0
    if loss != "bce":
        half_seen, half_made = len(seen) // 2, len(made) // 2
        threshold = best_threshold(seen[:half_seen], made[:half_made])
        seen, made = seen[half_seen:], made[half_made:]
    real_train, real = float((seen > threshold).mean()), float((unseen > threshold).mean())
    rejected = float((made <= threshold).mean())
    return {
        "discriminator/accuracy": (real + rejected) / 2,
        "discriminator/accuracy_train": (real_train + rejected) / 2,
        "discriminator/accuracy_real": real,
        "discriminator/accuracy_real_train": real_train,
        "discriminator/accuracy_fake": rejected,
        "discriminator/pairwise": pairwise(holdout, fake),
        "discriminator/pairwise_train": pairwise(train, fake),
        "discriminator/threshold": threshold,
    }


def best_threshold(real: Logits, fake: Logits) -> float:
    """The threshold with the best balanced accuracy; the middle one if several are equally good."""
    if not (real.size and fake.size):
        return 0.0
    values = np.unique(np.concatenate([real, fake]).astype(np.float64))
    between = np.concatenate([[values[0] - 1], (values[1:] + values[:-1]) / 2, [values[-1] + 1]])
    above = 1 - np.searchsorted(np.sort(real), between, side="right") / len(real)
    below = np.searchsorted(np.sort(fake), between, side="right") / len(fake)
    best = np.flatnonzero(above + below >= (above + below).max() - 1e-12)
    return float(between[best[len(best) // 2]])


def pairwise(real: tuple[Logits, Labels], fake: tuple[Logits, Labels]) -> float:
    """P(logit of a real image > logit of a sample with the same labels), ties half; NaN if no labels are shared.

    Logits are not compared across labels, as the discriminator is never trained to make them comparable.
    """
    wins, pairs = 0.0, 0
    for labels in np.unique(real[1], axis=0) if real[1].shape[1] else real[1][:1]:
        reals = real[0][(real[1] == labels).all(axis=1)]
        fakes = np.sort(fake[0][(fake[1] == labels).all(axis=1)])
        lower, lower_or_equal = (np.searchsorted(fakes, reals, side=side) for side in ("left", "right"))
        wins += float((lower + lower_or_equal).sum()) / 2
        pairs += len(reals) * len(fakes)
    return wins / pairs if pairs else float("nan")
