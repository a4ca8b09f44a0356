"""DCR share and NNDR: the distances by which tools for tabular synthetic data judge privacy, for comparison with them.

- DCR share (Platzer & Reutterer 2021, "Holdout-based empirical assessment of mixed-type synthetic data"; MOSTLY AI,
  SDMetrics): share of samples whose distance to the closest record (DCR) is smaller for the training images than for as
  many holdout images. 0.5 = as near to images that were never trained on, 1 = always nearer to the training images.
- NNDR (SynthEval; CTAB-GAN: Zhao et al. 2021): mean over the samples of distance to the nearest real image / distance
  to the second nearest. Near 0: samples single out one image. It is compared between training and holdout images.

Both look at all samples and dilute rare copies, which the other metrics of `memorisation` and the gate find.
"""

from __future__ import annotations

import numpy as np

from faceforge.evaluation.metrics.distances import Points

_NOTE = "; equal numbers of training and holdout images; pixels: of 32 px images; features: gradients, colour, texture"
DESCRIPTIONS = {
    "privacy/dcr_share_...": "share of samples that are closer to a training image than to any holdout image; 0.5 ="
    f" nothing memorised, 1 = all are closer to a training image (DCR share, Platzer & Reutterer 2021){_NOTE}",
    "privacy/nndr_train_...": "mean over samples of distance to the nearest training image / distance to the second"
    f" nearest; clearly below nndr_holdout = samples single out training images (NNDR){_NOTE}",
    "privacy/nndr_holdout_...": f"the same to holdout images, which the model was not trained on{_NOTE}",
}


def holdout_distances(train: Points, holdout: Points, samples: Points, space: str, seed: int = 0) -> dict[str, float]:
    """DCR share, and NNDR for both kinds of real images.

    Args:
        train: points of the training images (T, D).
        holdout: points of the holdout images (H, D), at least 2.
        samples: points of the samples (N, D).
        space: last part of the metrics' names.
        seed: seed of the choice of as many training images as there are holdout images.
    """
    count = min(len(train), len(holdout))
    rng = np.random.default_rng([seed, 9])
    chosen = (part[rng.permutation(len(part))[:count]] for part in (train, holdout))
    to_train, to_holdout = (_two_nearest(samples, part) for part in chosen)
    closer = to_train[:, 0] < to_holdout[:, 0]
    share = float(closer.mean() + (to_train[:, 0] == to_holdout[:, 0]).mean() / 2)
    return {
        f"privacy/dcr_share_{space}": share,
        f"privacy/nndr_train_{space}": _ratio(to_train),
        f"privacy/nndr_holdout_{space}": _ratio(to_holdout),
    }


def _two_nearest(points: Points, others: Points) -> np.ndarray:
    """Distances (N, 2) of points to the nearest and the second nearest of the others."""
    from sklearn.neighbors import NearestNeighbors

    found = NearestNeighbors(n_neighbors=2, algorithm="brute").fit(others).kneighbors(points)
    return np.asarray(found[0])


def _ratio(distances: np.ndarray) -> float:
    """Mean ratio of nearest to second nearest; 1 where both are 0."""
    ratio = np.divide(distances[:, 0], distances[:, 1], out=np.ones(len(distances)), where=distances[:, 1] > 0)
    return float(ratio.mean())
