"""How far images are from those that a domain classifier learnt from, in its own features.

The distance is the Frechet distance of normal distributions fitted to the features, less what chance alone gives for so
many images, in units of the training images' total variance: 0 = the same, 1 = as far apart as those images are from
each other. Unlike thumbnails it sees who is shown. Images that the classifier has not seen are a little off, even if
they are of the same kind: its holdout tells by how much.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from faceforge.data.drift import Drift
from faceforge.data.sources.samples import spread
from faceforge.errors import FaceForgeError

if TYPE_CHECKING:
    from faceforge.data.imageset.reader import ImageSet
    from faceforge.evaluation.domain_classifier import DomainClassifier

LIMIT = 0.01  # above the holdout's distance (UTKFace: unseen images of the kind 0.002, one of five ages left out 0.02)
MEASURED_AT_MOST = 10_000  # images; more cost time and change the third digit


def compare(now: ImageSet, before: DomainClassifier) -> Drift:
    """The distance of the training split of `now` from what `before` has learnt from; see the module.

    It is worth a warning above `LIMIT` more than the holdout's distance, with few images above twice what chance gives.

    Raises:
        FaceForgeError: the two cannot be compared.
    """
    info, learnt = now.info, before.learnt
    if learnt is None:
        raise FaceForgeError("the champion was evaluated by a version that kept no moments of its training images")
    if (size := (info.image_size, info.image_size, info.channels)) != before.shape:
        shapes = [" x ".join(map(str, shape)) for shape in (before.shape, size)]
        raise FaceForgeError(f"the champion's classifier takes images of {shapes[0]}, these have {shapes[1]}")
    rows = spread(info.counts["train"].total, MEASURED_AT_MOST)
    value, chance = learnt.distance(before.features(now.load("train", (), rows)[0]))
    if not np.isfinite(value + learnt.floor):
        raise FaceForgeError("the features are not finite")
    value, limit = max(value, 0.0), learnt.floor + max(LIMIT, 2 * chance)
    told = f"what the images show (drift/domain_frechet {value:.3f}, limit {limit:.3f})"
    return Drift({"drift/domain_frechet": value}, (told,) if value > limit else ())
