"""Numbers in Inception features come only with weights; their absence is said in one line and costs nothing else."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from faceforge.evaluation.inception.reference_features import InceptionReference, open_inception_reference
from faceforge.evaluation.inception.weights import FILE, SHA256

COLUMNS = {"mood": ["glad", "sad"], "hair/colour": ["red", "grey"]}


class Stub:
    """SIMULATED network: features are the means of blocks of pixels."""

    space = "inception"

    def features(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return images.reshape(len(images), 16, -1).mean(axis=2).astype(np.float32)

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        return features


def images(count: int, low: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    rng = np.random.default_rng(seed)
    codes = np.stack([np.arange(count) % 2, np.arange(count) // 2 % 2], axis=1).astype(np.int32)
    return rng.integers(low, 256, (count, 8, 8, 3), dtype=np.uint8), codes


@pytest.fixture
def reference() -> InceptionReference:
    train, codes = images(400, 0, seed=1)
    return InceptionReference(Stub(), Stub().features(train), codes, COLUMNS)  # type: ignore[arg-type]


def test_metrics_per_class_are_those_of_the_columns_that_a_model_takes(reference: InceptionReference) -> None:
    samples, codes = images(300, 60, seed=2)
    metrics = reference.metrics(samples, codes, ("mood",), seed=0)
    assert metrics["inception/kid"] > 0
    assert {name for name in metrics if "kid_class" in name} == {
        "inception/kid_class_mood_glad",
        "inception/kid_class_mood_sad",
    }
    assert "inception/fid" not in metrics  # 300 samples are too few
    assert not [name for name in reference.metrics(samples, codes, (), seed=0) if "class" in name]


def test_nearer_samples_are_nearer(reference: InceptionReference) -> None:
    near, far = (reference.metrics(*images(300, low, seed=3), ("mood",), seed=0) for low in (5, 100))
    assert near["inception/kid"] < far["inception/kid"]


@pytest.mark.parametrize("weights", ["", "absent.pth"])
def test_without_weights_a_line_says_which_file_and_option(
    weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    train = images(100, 0, seed=1)
    found, (note,) = open_inception_reference(weights, train[0], train[1], COLUMNS, seed=0)
    assert found is None
    for part in (FILE, SHA256, "evaluate.inception_weights", weights):
        assert part in note
    assert "\n" not in note
