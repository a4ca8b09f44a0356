"""Metrics of memorisation: copies, closeness to the training images, duplicates and membership inference.

Everything is a comparison of training images with holdout images, see `copies`, `membership` and `holdout_distances`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError
from faceforge.evaluation.diagnostics.copies import EXPECTED, WHOLE_IMAGES, CopyDetector, Distances
from faceforge.evaluation.diagnostics.holdout_distances import DESCRIPTIONS as HOLDOUT_DISTANCES
from faceforge.evaluation.diagnostics.holdout_distances import holdout_distances
from faceforge.evaluation.diagnostics.membership import Attack, as_metrics, pixel_views, scores_by_samples
from faceforge.evaluation.diagnostics.pixel_features import pixel_features
from faceforge.evaluation.diagnostics.rates import auc, true_positive_rate
from faceforge.evaluation.metrics.neighbours import Points, nearest

MIN_IMAGES = 50  # of each kind
PAIRS = 12

LIMITS = (
    "These numbers find copies of whole images, also after flips, rotation up to 15 degrees, zoom, shifts, crops, JPEG,"
    " noise and changes of colour, copied halves and quarters, blends of two images, and a general pull towards the"
    " training images. They do not find a person in another pose, a small copied detail, or what a stronger attack"
    " would. Low numbers are no proof of privacy; only training with differential privacy gives a guarantee. High"
    " numbers mean copying, unless the image set has near duplicates of the same pictures."
)
_SPACES = "; pixels: after alignment of 32 px images; features: gradients, colour and texture"
_PLAIN = "; pixels: of 32 px images, mirrored or not; features: gradients, colour and texture"
DESCRIPTIONS = {
    "privacy/closer_to_train_...": "probability that a sample is closer to the training images, relative to its"
    " distance from the holdout, than an unseen real image is; 0.5 = nothing memorised, 1 = all samples are copies"
    f"{_SPACES}",
    "privacy/distance_ratio_...": "median of distance to the nearest training image / distance to the nearest holdout"
    f" image, divided by the same median of unseen real images; 1 = nothing memorised, 0 = copies{_SPACES}",
    "privacy/copies_...": "share of samples closer to a training image, relative to the holdout, than 99 % of unseen"
    f" real images are; 0.01 = as for unseen images, 1 = all are copies{_SPACES}; parts: a half, a quarter or the"
    " centre, or the brightness of all pixels; blends: of two training images",
    "privacy/copies_limit": "largest share of copies that chance gives with unseen real images in place of samples"
    " (beta-binomial, false alarm rate 0.1 %)",
    "privacy/near_exact_copies": "number of samples less than half as far from a training image, after alignment, as"
    " any two real images are from each other, or of which a part, a blend or the features are far closer to training"
    " images than to the holdout, with a ratio below 0.4 of the least of unseen images",
    "privacy/duplicates_...": "share of samples whose nearest other sample is nearer than for 99 % of as many real"
    f" images; 0.01 = as varied as real images{_PLAIN}",
    "privacy/membership_auc_...": "membership inference with the samples: probability that a training image is nearer"
    f" to a sample than a holdout image is; 0.5 = no leak; see membership_ceiling{_PLAIN}",
    "privacy/membership_tpr_...": "share of training images that this attack identifies at a false positive rate of"
    f" 1 %; 0.01 = no leak{_PLAIN}",
    **HOLDOUT_DISTANCES,
    "privacy/membership_ceiling": "membership_auc of a model that returns nothing but random training images, with the"
    " same number of samples: the power of the attack; an attacker with more samples has more",
}


@dataclass(frozen=True)
class Memorisation:
    """Result of `memorisation`.

    Attributes:
        metrics: by name, per space (`..._pixels`, `..._features`).
        closest: uint8 (K, 3, H, W, C), K at most 12: the samples most similar to a training image relative to the
            holdout, most similar first; each with its nearest training image and its nearest holdout image.
    """

    metrics: dict[str, float]
    closest: NDArray[np.uint8]


def memorisation(
    train: NDArray[np.uint8],
    holdout: NDArray[np.uint8],
    fake: NDArray[np.uint8],
    detector: CopyDetector | None = None,
) -> Memorisation:
    """Compares samples with the images a model was trained on and with unseen images.

    All pairs are compared: the cost grows with len(fake) x len(train).

    Args:
        train: uint8 (T, S, S, C), all training images.
        holdout: uint8 (H, S, S, C).
        fake: samples uint8 (N, S, S, C).
        detector: of these training and holdout images, if there is one already.

    Raises:
        FaceForgeError: fewer than `MIN_IMAGES` of a kind.
    """
    check_counts(train, holdout, fake)
    detector = detector or CopyDetector(train, holdout)
    distances = detector.distances(fake)
    metrics: dict[str, float] = {}
    for space, of_samples in distances.items():
        copies = detector.copies(of_samples, space)
        metrics[f"privacy/copies_{space}"] = copies.share
        metrics["privacy/copies_limit"] = copies.limit / copies.samples
        if space in WHOLE_IMAGES:
            metrics |= _closeness(of_samples, detector.unseen[space], space)
    metrics["privacy/near_exact_copies"] = float(detector.near_exact(distances).sum())
    for space, (known, unseen, generated) in _plain_spaces(train, holdout, fake).items():
        metrics |= _duplicates(unseen, generated, space) | _membership(known, unseen, generated, space)
        metrics |= holdout_distances(known[0], unseen[0], generated[0], space)
    # Each of N copies shows one of T training images, at random.
    reached = 1 - (1 - 1 / len(train)) ** len(fake)
    metrics["privacy/membership_ceiling"] = (1 + reached) / 2
    pixels = distances["pixels"]
    first = np.argsort(pixels.ratio, kind="stable")[:PAIRS]
    closest = [fake[first], train[pixels.train_row[first]], holdout[pixels.holdout_row[first]]]
    return Memorisation(metrics, np.stack(closest, axis=1))


def check_counts(*kinds: NDArray[np.uint8]) -> None:
    """Raises an error if a kind of images has fewer than `MIN_IMAGES`."""
    if (fewest := min(map(len, kinds))) < MIN_IMAGES:
        raise FaceForgeError(
            f"{fewest} images of a kind are too few to look for copies, at least {MIN_IMAGES} are needed"
        )


def _closeness(samples: Distances, unseen: Distances, space: str) -> dict[str, float]:
    medians = [float(np.median(part.ratio)) for part in (samples, unseen)]
    return {
        f"privacy/closer_to_train_{space}": auc(-_finite(samples.ratio), -_finite(unseen.ratio)),
        f"privacy/distance_ratio_{space}": medians[0] / medians[1] if medians[1] > 0 else float("nan"),
    }


def _finite(ratio: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.minimum(ratio, np.finfo(np.float32).max)


def _plain_spaces(*kinds: NDArray[np.uint8]) -> dict[str, list[list[Points]]]:
    """Views of the images of each kind per space, the image itself first."""
    return {"pixels": [pixel_views(kind) for kind in kinds], "features": [[part] for part in _standardised(kinds)]}


def _duplicates(unseen: list[Points], generated: list[Points], space: str) -> dict[str, float]:
    count = min(len(generated[0]), len(unseen[0]))
    samples, real = (nearest(part[0][:count], part[0][:count], others=True)[0].distance for part in (generated, unseen))
    return {f"privacy/duplicates_{space}": float((samples <= np.quantile(real, EXPECTED)).mean())}


def _membership(known: list[Points], unseen: list[Points], generated: list[Points], space: str) -> dict[str, float]:
    """The attacker takes the images that are nearest to a sample for training images."""
    members, others = (scores_by_samples(part[0], generated) for part in (known, unseen))
    rate = true_positive_rate(members, others, 0.01)
    return as_metrics(Attack.measured(members, others), space) | {f"privacy/membership_tpr_{space}": rate}


def _standardised(kinds: tuple[NDArray[np.uint8], ...]) -> list[Points]:
    """Features of equal spread, as measured on the first kind."""
    features = [pixel_features(kind) for kind in kinds]
    centre, spread = features[0].mean(axis=0), features[0].std(axis=0)
    spread = np.maximum(spread, 1e-2 * spread.max())
    return [((part - centre) / spread).astype(np.float32) for part in features]
