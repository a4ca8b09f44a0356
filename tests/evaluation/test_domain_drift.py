"""The distance from a classifier's own training images: small for its like, large for others, kept with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceforge.data.imageset.reader import ImageSet
from faceforge.data.imageset.writer import write_image_set
from faceforge.data.sources.toyfaces import COLUMN, EXPRESSIONS, draw_toyfaces
from faceforge.errors import FaceForgeError
from faceforge.evaluation.domain_classifier import DomainClassifier
from faceforge.evaluation.domain_drift import LIMIT, domain_drift
from faceforge.evaluation.training_features import TrainingFeatures

LABELS = {COLUMN: list(EXPRESSIONS)}


def written(folder: Path, images: np.ndarray, codes: np.ndarray) -> ImageSet:
    splits = {"train": (images, codes), "holdout": (images[:1], codes[:1])}
    return write_image_set(folder, splits, LABELS)  # type: ignore[arg-type]


def test_the_classifier_keeps_what_it_learnt_from(classifier: DomainClassifier, faces: Any, data: Path) -> None:
    learnt = classifier.training_features
    assert learnt is not None
    assert learnt.digest == ImageSet.open(data).info.digest
    features = classifier.features(faces.train)
    assert learnt.features.count == 1000
    np.testing.assert_allclose(learnt.features.covariance, np.cov(features, rowvar=False), rtol=1e-3, atol=1e-5)
    value, chance = learnt.distance(features)
    assert value == pytest.approx(-chance)  # the very same
    assert learnt.floor == max(learnt.distance(classifier.features(faces.holdout))[0], 0)
    unit, _ = learnt.distance(features + np.sqrt(np.trace(learnt.features.covariance) / 64, dtype=np.float32))
    assert unit == pytest.approx(1 - chance, rel=1e-3)  # moved by the training images' spread


def test_the_like_is_near_and_what_lacks_a_class_is_told(
    classifier: DomainClassifier, faces: Any, data: Path, tmp_path: Path
) -> None:
    assert domain_drift(ImageSet.open(data), classifier).metrics == {"drift/domain_frechet": 0.0}
    like = domain_drift(written(tmp_path / "like", faces.fresh, faces.fresh_codes), classifier)
    assert like.warnings == ()
    images, codes = draw_toyfaces(900, 32, seed=50)
    rows = codes[:, 0] == 0
    other = domain_drift(written(tmp_path / "neutral", images[rows], codes[rows]), classifier)
    assert other.metrics["drift/domain_frechet"] > 10 * max(LIMIT, like.metrics["drift/domain_frechet"])
    (warning,) = other.warnings
    assert warning.startswith("what the images show (drift/domain_frechet ")


def test_what_cannot_be_compared_says_why(classifier: DomainClassifier, faces: Any, tmp_path: Path) -> None:
    larger = written(tmp_path / "larger", *draw_toyfaces(8, 64, seed=1))
    with pytest.raises(FaceForgeError, match=r"takes images of 32 x 32 x 3, these have 64 x 64 x 3"):
        domain_drift(larger, classifier)
    with pytest.raises(FaceForgeError, match="not finite"):  # one image has no covariance
        domain_drift(written(tmp_path / "one", faces.fresh[:1], faces.fresh_codes[:1]), classifier)


def test_kept_beside_the_network_and_bound_to_its_data(
    classifier: DomainClassifier, data: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "classifier"
    classifier.save(folder)
    again = DomainClassifier.load(folder, classifier.facts)
    assert again is not None
    assert again.training_features is not None
    assert again.training_features.floor == classifier.training_features.floor  # type: ignore[union-attr]
    assert domain_drift(ImageSet.open(data), again).warnings == ()
    file = folder / "learnt.npz"
    assert TrainingFeatures.load(file, "of other data") is None
    file.write_bytes(file.read_bytes()[:500])
    damaged = DomainClassifier.load(folder, classifier.facts)
    assert damaged is not None  # still good for all else
    with pytest.raises(FaceForgeError, match="kept no moments"):
        domain_drift(ImageSet.open(data), damaged)
