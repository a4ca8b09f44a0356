from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from faceforge.data.imageset.reader import ImageSet
from faceforge.data.sources.toyfaces import EXPRESSIONS, draw_toyfaces
from faceforge.errors import FaceForgeError
from faceforge.evaluation.domain_classifier import DomainClassifier
from faceforge.inference.generator import Generator
from faceforge.synthesis.checks import CopyCheck, LabelCheck, RealismCheck
from faceforge.synthesis.copies import nearest_distance, thumbnails
from faceforge.synthesis.options import synthesis_config
from faceforge.synthesis.plan import make_plan

Faces = tuple[NDArray[np.uint8], NDArray[np.int32]]


class Oracle(DomainClassifier):
    """Sees the class that the top left pixel's red says, and "b" in a column that the model does not have."""

    def __init__(self, vocabularies: Mapping[str, Sequence[str]]) -> None:
        self.vocabularies = {column: list(classes) for column, classes in vocabularies.items()}
        self.holdout_accuracy, self.facts = dict.fromkeys(vocabularies, 1.0), {"digest": "d"}
        self.holdout_recall = {"expression": {"glasses": (0.75, 8)}}

    def predict_balanced(self, images: NDArray[np.uint8]) -> NDArray[np.int32]:
        seen = images[:, 0, 0, 0].astype(np.int32)
        return np.stack([np.ones_like(seen), seen], axis=1)


def test_images_with_a_wrong_label_are_rejected() -> None:
    check = LabelCheck(Oracle({"other": ["a", "b"], "expression": EXPRESSIONS}), {"expression": EXPRESSIONS})
    images = np.zeros((4, 32, 32, 3), np.uint8)
    images[:, 0, 0, 0] = [0, 1, 2, 0]
    codes = np.array([[0], [1], [1], [2]], np.int32)
    assert check.rejected(images, codes).tolist() == [False, False, True, True]
    recall = {"expression": {"glasses": {"recall": 0.75, "images": 8}}}
    assert check.facts()["classifier_holdout_recall"] == recall
    with pytest.raises(FaceForgeError, match="does not know the model's label 'age'"):
        LabelCheck(Oracle({"other": ["a", "b"], "expression": EXPRESSIONS}), {"age": ["old"]})


def test_copies_are_rejected_and_new_faces_are_not(data: ImageSet, faces: Faces) -> None:
    check = CopyCheck(data)
    train = faces[0][:100]
    noisy = np.clip(train.astype(int) + np.random.default_rng(0).integers(-12, 13, train.shape), 0, 255)
    fresh, codes = draw_toyfaces(400, 32, seed=77)
    assert check.rejected(train, codes[:100]).all()
    assert check.rejected(noisy.astype(np.uint8), codes[:100]).all()
    assert check.rejected(train[:, :, ::-1], codes[:100]).all()  # mirror images
    assert check.rejected(fresh, codes).mean() < 0.05


def test_distance_is_that_of_the_nearest_thumbnail() -> None:
    rng = np.random.default_rng(0)
    images, train = (rng.integers(0, 256, (count, 32, 32, 1), np.uint8) for count in (5, 7))
    small, known = thumbnails(images), thumbnails(train)
    np.testing.assert_array_equal(small[0, 1], np.rint(images[0, 0:2, 2:4].mean()))
    every = [known, known.reshape(7, 16, 16)[:, :, ::-1].reshape(7, -1)]
    expected = [
        min(np.sqrt(((each.astype(float) - one) ** 2).mean(axis=1)).min() for each in every)
        for one in small.astype(float)
    ]
    np.testing.assert_allclose(nearest_distance(small, known), expected, rtol=1e-3)
    np.testing.assert_allclose(nearest_distance(known, known), 0, atol=0.1)


def test_the_share_with_the_lowest_scores_is_rejected_in_every_class(generator: Generator) -> None:
    plan = make_plan(generator.labels, synthesis_config("per_class=1"), None)
    check = RealismCheck(generator, plan, share=0.3, seed=5, truncation=1.0)
    codes = np.repeat(np.arange(3, dtype=np.int32), 256)[:, None]
    samples = generator.generate(len(codes), labels=[EXPRESSIONS[code] for code in codes[:, 0]], seed=9)
    refused = check.rejected(samples.images, codes)
    logits = generator.bundle.logits(samples.images, codes)
    for code in range(3):
        of_class = codes[:, 0] == code
        assert 0.2 < refused[of_class].mean() < 0.4
        assert logits[of_class & refused].max() < logits[of_class & ~refused].min()


def test_the_copy_check_needs_enough_holdout_images(faces: Faces, tmp_path: Any) -> None:
    from faceforge.data.imageset.writer import write_image_set

    images, codes = faces
    small = write_image_set(
        tmp_path / "small", {"train": (images[:50], codes[:50]), "holdout": (images[50:60], codes[50:60])},
        {"expression": EXPRESSIONS},
    )  # fmt: skip
    with pytest.raises(FaceForgeError, match="10 holdout images"):
        CopyCheck(small)
