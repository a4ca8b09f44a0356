"""One classifier of toy faces, trained once for all tests that need one."""

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from faceforge.data.toyfaces import COLUMN, EXPRESSIONS, draw_toyfaces
from faceforge.evaluation.domain import DomainClassifier, train_classifier


class Faces(NamedTuple):
    train: NDArray[np.uint8]
    train_codes: NDArray[np.int32]
    holdout: NDArray[np.uint8]
    holdout_codes: NDArray[np.int32]
    fresh: NDArray[np.uint8]  # neither in train nor in holdout
    fresh_codes: NDArray[np.int32]


@pytest.fixture(scope="session")
def faces() -> Faces:
    images, codes = draw_toyfaces(1600, 32, seed=5)
    return Faces(images[:1000], codes[:1000], images[1000:1300], codes[1000:1300], images[1300:], codes[1300:])


@pytest.fixture(scope="session")
def vocabularies() -> dict[str, list[str]]:
    return {COLUMN: list(EXPRESSIONS)}


@pytest.fixture(scope="session")
def classifier(faces: Faces, vocabularies: dict[str, list[str]]) -> DomainClassifier:
    train, holdout = (faces.train, faces.train_codes), (faces.holdout, faces.holdout_codes)
    return train_classifier(train, holdout, vocabularies, epochs=6, seed=0, facts={"digest": "toy"})
