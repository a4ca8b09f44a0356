"""The network against the features that torch-fidelity computed with the same stand-in weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError
from faceforge.evaluation.inception import network
from faceforge.evaluation.inception.extractor import Inception
from faceforge.evaluation.inception.resize import resize_tf1

REFERENCE = Path(__file__).parents[1] / "reference" / "inception_reference.npz"
SETS = ("smooth32", "smooth64", "smooth150", "noise299")
Arrays = dict[str, NDArray[Any]]


@pytest.fixture(scope="module")
def reference() -> Arrays:
    with np.load(REFERENCE) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def weights(standin: Arrays, save_zip: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_zip(tmp_path_factory.mktemp("weights") / "standin.pth", standin)


@pytest.fixture(scope="module")
def exact(weights: Path) -> Inception:
    return Inception.load(str(weights), "float32")


@pytest.mark.parametrize("name", SETS)
def test_features_and_logits_equal_the_reference(name: str, exact: Inception, reference: Arrays) -> None:
    features = exact.features(reference[f"{name}_images"][:8])
    assert features.dtype == np.float32
    expected = reference[f"{name}_2048"][:8]
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5 * expected.max())
    logits = reference[f"{name}_logits_unbiased"][:8]
    np.testing.assert_allclose(exact.logits(features), logits, rtol=1e-4, atol=1e-5 * np.abs(logits).max())


def test_early_features_equal_the_reference(standin: Arrays, reference: Arrays) -> None:
    whole = network.inception_network(standin, "float32")
    pooled = keras.layers.GlobalAveragePooling2D()(whole.get_layer("pool2").output)
    early = keras.Model(whole.input, pooled)
    images = (resize_tf1(reference["smooth64_images"][:2].astype(np.float32), network.SIZE) - 128) / 128
    np.testing.assert_allclose(np.asarray(early(images)), reference["smooth64_192"][:2], rtol=1e-4, atol=1e-5)


def test_sizes_may_be_mixed_and_company_does_not_matter(exact: Inception, reference: Arrays) -> None:
    images = [reference[f"{name}_images"][0] for name in SETS]
    expected = np.stack([reference[f"{name}_2048"][0] for name in SETS])
    np.testing.assert_allclose(exact.features(images), expected, rtol=1e-4, atol=1e-5 * expected.max())


def test_grey_images_are_the_same_as_their_three_equal_channels(exact: Inception, reference: Arrays) -> None:
    grey = reference["smooth64_images"][:2, ..., :1]
    np.testing.assert_array_equal(exact.features(grey), exact.features(np.repeat(grey, 3, axis=-1)))


def test_other_weights_carry_another_name_and_a_note(exact: Inception) -> None:
    assert exact.space == "inception_unverified"
    assert "standin.pth" in exact.file.note
    assert exact.identity == f"{exact.file.sha256}:float32"


def test_refuses_what_are_no_images(exact: Inception) -> None:
    with pytest.raises(FaceForgeError, match=r"float64 \(2, 4, 4\); give uint8"):
        exact.features(np.zeros((1, 2, 4, 4)))
    assert exact.features([]).shape == (0, 2048)


def test_bfloat16_stays_close(weights: Path, exact: Inception, reference: Arrays) -> None:
    quick = Inception.load(str(weights), "bfloat16")
    images, expected = reference["smooth64_images"][:8], reference["smooth64_2048"][:8]
    features = quick.features(images)
    assert features.dtype == np.float32
    assert np.linalg.norm(features - expected) < 0.01 * np.linalg.norm(expected)
    assert quick.identity != exact.identity


@pytest.mark.parametrize("shape", [(32, 32), (64, 64), (150, 90), (299, 299), (500, 400)])
def test_resizing_equals_tensorflow_1(shape: tuple[int, int]) -> None:
    images = np.random.default_rng(0).uniform(0, 255, (2, *shape, 3)).astype(np.float32)
    expected = tf.compat.v1.image.resize_bilinear(images, (299, 299), align_corners=False, half_pixel_centers=False)
    np.testing.assert_allclose(resize_tf1(images, 299), expected, rtol=1e-6, atol=1e-4)
    np.testing.assert_array_equal(resize_tf1(images[0], 299), resize_tf1(images, 299)[0])
