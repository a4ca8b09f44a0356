"""One image set of toy faces and one classifier, made once for all tests that need them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from faceforge.config import EvaluateConfig
from faceforge.data.imageset.reader import ImageSet
from faceforge.data.imageset.writer import write_image_set
from faceforge.data.sources.toyfaces import COLUMN, EXPRESSIONS, draw_toyfaces
from faceforge.evaluation.domain_classifier import DomainClassifier
from faceforge.evaluation.reference import EvaluationReference, prepare


class Faces(NamedTuple):
    train: NDArray[np.uint8]
    train_codes: NDArray[np.int32]
    holdout: NDArray[np.uint8]
    holdout_codes: NDArray[np.int32]
    fresh: NDArray[np.uint8]  # neither in train nor in holdout
    fresh_codes: NDArray[np.int32]


@pytest.fixture(scope="session")
def config() -> EvaluateConfig:
    """The bundles of these tests draw hardly more than one face per class: limits of variety and distance are off."""
    limits = {"min_class_diversity": 0.0, "min_recall_ratio": 0.0, "max_frechet_ratio": 1e6}
    return EvaluateConfig.model_validate({"samples": 320, "classifier_epochs": 6, "resamples": 100, **limits})


@pytest.fixture(scope="session")
def vocabularies() -> dict[str, list[str]]:
    return {COLUMN: list(EXPRESSIONS)}


@pytest.fixture(scope="session")
def faces() -> Faces:
    images, codes = draw_toyfaces(1600, 32, seed=5)
    return Faces(images[:1000], codes[:1000], images[1000:1300], codes[1000:1300], images[1300:], codes[1300:])


@pytest.fixture(scope="session")
def data(faces: Faces, vocabularies: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    splits = {"train": (faces.train, faces.train_codes), "holdout": (faces.holdout, faces.holdout_codes)}
    return write_image_set(tmp_path_factory.mktemp("data") / "faces", splits, vocabularies).root  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where evaluations of `data` go; they share the classifier kept there."""
    folder = tmp_path_factory.mktemp("out") / "evaluation"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def reference(data: Path, out: Path, config: EvaluateConfig) -> EvaluationReference:
    return prepare(ImageSet.open(data), out / "classifier", config, compared=300)


@pytest.fixture(scope="session")
def classifier(reference: EvaluationReference) -> DomainClassifier:
    return reference.classifier
