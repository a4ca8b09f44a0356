"""What can be told apart and what cannot, where the answer is known."""

import numpy as np
import pytest

from faceforge.data.sources.toyfaces import draw_toyfaces
from faceforge.errors import FaceForgeError
from faceforge.evaluation.diagnostics.linear import fit_linear
from faceforge.evaluation.diagnostics.pixel_features import pixel_features
from faceforge.evaluation.diagnostics.two_sample import two_sample_test

FACES, CODES = draw_toyfaces(900, 32, seed=3)
REAL, OTHERS = FACES[:200], FACES[200:400]


def accuracy(fake: np.ndarray) -> float:
    return two_sample_test(REAL, fake).metrics["two_sample/accuracy_pixels"]


def test_a_set_against_itself_is_a_guess() -> None:
    assert accuracy(REAL) == 0.5
    assert accuracy(REAL[::-1]) == 0.5  # wherever the copies stand


def test_other_images_of_the_same_kind_cannot_be_told() -> None:
    metrics = two_sample_test(REAL, OTHERS).metrics
    assert metrics["two_sample/accuracy_pixels"] == pytest.approx(0.5, abs=0.06)
    assert metrics["two_sample/accuracy_pixels_low"] < 0.5 < metrics["two_sample/accuracy_pixels_high"]


def test_blur_noise_and_repetition_give_a_model_away() -> None:
    blurred = ((OTHERS.astype(np.uint16) + np.roll(OTHERS, 1, axis=2)) // 2).astype(np.uint8)
    noise = np.random.default_rng(0).normal(0, 8, OTHERS.shape)
    assert accuracy(blurred) > 0.9
    assert accuracy(np.clip(OTHERS + noise, 0, 255).astype(np.uint8)) > 0.9
    assert accuracy(OTHERS[np.arange(200) % 10]) > 0.9


def test_shows_what_it_finds_most_fake() -> None:
    fake = OTHERS.copy()
    fake[::2] = 255 - fake[::2]  # every other sample is a negative
    found = two_sample_test(REAL, fake)
    negatives = {image.tobytes() for image in fake[::2]}
    assert len(found.most_fake) == 16
    assert all(image.tobytes() in negatives for image in found.most_fake)
    assert not any(image.tobytes() in negatives for image in found.most_real)


def test_other_spaces_are_measured_beside_the_pixels() -> None:
    rng = np.random.default_rng(0)
    spaces = {"apart": (rng.normal(0, 1, (200, 4)), rng.normal(3, 1, (200, 4))), "same": (np.ones((200, 2)),) * 2}
    metrics = two_sample_test(REAL, OTHERS, spaces).metrics
    assert metrics["two_sample/accuracy_apart"] > 0.95
    assert metrics["two_sample/accuracy_same"] == 0.5
    assert np.isnan(
        two_sample_test(REAL, OTHERS, {"x": (np.full((200, 1), np.nan),) * 2}).metrics["two_sample/accuracy_x"]
    )


def test_refuses_too_few_with_the_minimum() -> None:
    with pytest.raises(FaceForgeError, match="at least 50"):
        two_sample_test(REAL[:10], OTHERS)


def test_fixed_features_and_a_linear_classifier_know_toy_expressions() -> None:
    features, codes = pixel_features(FACES), CODES[:, 0]
    classifier = fit_linear(features[:600], codes[:600], 3)
    assert (classifier.predict(features[600:]) == codes[600:]).mean() > 0.95


@pytest.mark.parametrize("shape", [(3, 8, 8, 1), (2, 50, 50, 3), (1, 128, 128, 1)])
def test_features_take_all_sizes_and_channels(shape: tuple[int, ...]) -> None:
    features = pixel_features(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    assert features.shape == (shape[0], 324 + (64 + 128) * shape[3])
    assert features.dtype == np.float32
    assert np.isfinite(features).all()


def test_linear_classifier_knows_gaussians_and_absent_classes() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 1, (2000, 2)), rng.normal(2, 1, (200, 2))])
    codes = np.repeat([0, 2], [2000, 200])
    plain, balanced = fit_linear(x, codes, 3), fit_linear(x, codes, 3, balanced=True)
    assert np.isneginf(plain.scores(x)[:, 1]).all()
    middle = np.ones((1, 2))  # between the two: equal odds, but for the frequencies
    odds = np.diff(balanced.scores(middle)[:, [0, 2]])[0, 0]
    assert odds == pytest.approx(0, abs=0.3)
    assert odds - np.diff(plain.scores(middle)[:, [0, 2]])[0, 0] == pytest.approx(np.log(10))
