"""Distance between new images and the training images of a domain classifier, in the features of that classifier.

The distance is the Frechet distance of Gaussians fitted to the features, minus its expected value for two samples of
the same distribution, divided by the total variance of the training images: 0 = the same distribution, 1 = as far apart
as the training images are from each other. Unlike statistics of thumbnails it depends on who is shown. Unseen images of
the same kind are at a small distance too; the holdout of the classifier shows how small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from faceforge.data.drift import Drift
from faceforge.data.sources.samples import random_subset
from faceforge.errors import FaceForgeError

if TYPE_CHECKING:
    from faceforge.data.imageset.reader import ImageSet
    from faceforge.evaluation.domain_classifier import DomainClassifier

LIMIT = 0.01  # above the holdout's distance (UTKFace: unseen images of the kind 0.002, one of five ages left out 0.02)
MEASURED_AT_MOST = 10_000  # images; more take longer and change only the third digit


def domain_drift(images: ImageSet, classifier: DomainClassifier) -> Drift:
    """Distance of the training split of `images` from the images that the champion's classifier was trained on.

    A warning is added when the distance exceeds that of the holdout by `LIMIT` or, with few images, by twice the
    expected distance of equal distributions.

    Raises:
        FaceForgeError: the images cannot be compared.
    """
    info, trained_on = images.info, classifier.training_features
    if trained_on is None:
        raise FaceForgeError("the champion was evaluated by a version that kept no moments of its training images")
    if (size := (info.image_size, info.image_size, info.channels)) != classifier.shape:
        shapes = [" x ".join(map(str, shape)) for shape in (classifier.shape, size)]
        raise FaceForgeError(f"the champion's classifier takes images of {shapes[0]}, these have {shapes[1]}")
    rows = random_subset(info.counts["train"].total, MEASURED_AT_MOST)
    value, expected = trained_on.distance(classifier.features(images.load("train", (), rows)[0]))
    if not np.isfinite(value + trained_on.floor):
        raise FaceForgeError("the features are not finite")
    value, limit = max(value, 0.0), trained_on.floor + max(LIMIT, 2 * expected)
    warning = f"what the images show (drift/domain_frechet {value:.3f}, limit {limit:.3f})"
    return Drift({"drift/domain_frechet": value}, (warning,) if value > limit else ())
