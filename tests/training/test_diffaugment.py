from typing import Any

import numpy as np
import pytest
from keras import ops
from numpy.typing import NDArray

from faceforge.compute import backend
from faceforge.training.diffaugment import DRAWS, LEVELS, adapt, change, diffuse, overfitting

KINDS = ("flip", "colour", "translation", "cutout")
Array = NDArray[Any]


def batch(seed: int, count: int = 40, height: int = 16, width: int = 24, channels: int = 3) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    images = rng.uniform(-1, 1, (count, height, width, channels)).astype("float32")
    return images, rng.random((count, DRAWS)).astype("float32")


def changed(images: Array, draws: Array, strength: float, kinds: tuple[str, ...]) -> Array:
    return np.asarray(change(ops.array(images), ops.array(draws), ops.array(np.float32(strength)), kinds))


# References, image by image and in the steps of the paper.


def flipped(image: Array, draws: Array, strength: float) -> Array:
    return image[:, ::-1] if draws[0] < strength / 2 else image


def coloured(image: Array, draws: Array, strength: float) -> Array:
    if draws[1] >= strength:
        return image
    image = image + (draws[2] - 0.5)
    grey = image.mean(axis=2, keepdims=True)
    image = (image - grey) * (2 * draws[3]) + grey
    return np.asarray((image - image.mean()) * (draws[4] + 0.5) + image.mean())


def translated(image: Array, draws: Array, strength: float) -> Array:
    if draws[5] >= strength:
        return image
    for axis in (0, 1):
        most = image.shape[axis] // 8
        shift = int(draws[6 + axis] * (2 * most + 1)) - most
        image = np.roll(image, shift, axis)
        rows = np.moveaxis(image, axis, 0)
        rows[: max(shift, 0)] = 0
        rows[len(rows) + min(shift, 0) :] = 0
    return image


def cut(image: Array, draws: Array, strength: float) -> Array:
    if draws[8] >= strength:
        return image
    spans = []
    for axis in (0, 1):
        half = image.shape[axis] // 4
        centre = int(draws[9 + axis] * (image.shape[axis] + 1))
        spans.append(slice(max(centre - half, 0), centre + half))
    image = image.copy()
    image[tuple(spans)] = 0
    return image


REFERENCES = {"flip": flipped, "colour": coloured, "translation": translated, "cutout": cut}


@pytest.mark.parametrize("kinds", [(kind,) for kind in KINDS] + [KINDS, ("flip", "cutout")])
@pytest.mark.parametrize("strength", [0.6, 1.0])
def test_images_change_as_in_the_paper(kinds: tuple[str, ...], strength: float) -> None:
    images, draws = batch(0)
    expected = []
    for image, row in zip(images.astype("float64"), draws, strict=True):
        for kind in ("colour", "flip", "translation", "cutout"):
            image = REFERENCES[kind](image, row, strength) if kind in kinds else image
        expected.append(image)
    np.testing.assert_allclose(changed(images, draws, strength, kinds), expected, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_strength_is_the_share_of_images_that_change(kind: str) -> None:
    images, draws = batch(1, 400)
    moved = [
        np.any(changed(images, draws, strength, (kind,)) != images, axis=(1, 2, 3)) for strength in (0.0, 0.4, 1.0)
    ]
    assert not moved[0].any()
    # A shift of (0, 0) and one side of the coin leave an image as it is.
    share = {"flip": 0.5, "translation": 1 - 1 / (5 * 7)}.get(kind, 1.0)
    assert moved[1].mean() == pytest.approx(0.4 * share, abs=0.07)
    assert moved[2].mean() == pytest.approx(share, abs=0.07)
    assert not np.any(moved[1] & ~moved[2])


def test_no_kinds_leave_images_unchanged() -> None:
    images, draws = batch(2, 4)
    np.testing.assert_array_equal(changed(images, draws, 1.0, ()), images)
    np.testing.assert_array_equal(changed(images, draws, 1.0, ("noise",)), images)


def test_each_kind_reads_its_own_draws() -> None:
    images, draws = batch(3, 6)
    readers = []
    for column in range(DRAWS):
        other = draws.copy()
        other[:, column] = (other[:, column] + 0.5) % 1
        kinds = {
            kind
            for kind in KINDS
            if not np.array_equal(changed(images, draws, 0.5, (kind,)), changed(images, other, 0.5, (kind,)))
        }
        readers.append(kinds)
    assert all(len(kinds) == 1 for kinds in readers[:11])
    assert readers[11:] == [set(), set()]  # the noise's


def test_grey_images_have_no_saturation() -> None:
    images, draws = batch(4, channels=1)
    other = draws.copy()
    other[:, 3] = 0.1
    out = changed(images, draws, 1.0, ("colour",))
    np.testing.assert_allclose(out, changed(images, other, 1.0, ("colour",)), atol=1e-6)
    assert out.shape == images.shape
    assert np.all(out.std(axis=(1, 2, 3)) / images.std(axis=(1, 2, 3)) == pytest.approx(draws[:, 4] + 0.5, rel=1e-4))


def test_all_shifts_are_equally_likely() -> None:
    count = 5 * 200
    images = np.zeros((count, 16, 16, 1), "float32")
    images[:, 8, 8] = 1
    draws = np.zeros((count, DRAWS), "float32")
    draws[:, 6] = (np.arange(count) + 0.5) / count
    draws[:, 7] = 0.5
    rows = np.argmax(changed(images, draws, 1.0, ("translation",))[:, :, 8, 0], axis=1)
    assert np.bincount(rows - 6).tolist() == [200] * 5


@pytest.mark.parametrize("kind", [*KINDS, "noise"])
def test_gradients_flow_back_through_the_same_transformation(kind: str) -> None:
    """<change(x) - change(0), y> = <x, pullback(y)>: all changes are affine."""
    images, draws = batch(5, 8)
    noise, cotangent = (np.random.default_rng(s).normal(size=images.shape).astype("float32") for s in (1, 2))

    def function(x: Any) -> Any:
        if kind == "noise":
            return diffuse(x, ops.array(draws), ops.array(noise), ops.ones(()))[0]
        return change(x, ops.array(draws), ops.ones(()), (kind,))

    output, pullback = backend.vjp(function, ops.array(images))
    (gradient,) = pullback(ops.array(cotangent))
    there = np.sum((np.asarray(output) - np.asarray(function(ops.zeros(images.shape)))) * cotangent)
    assert there == pytest.approx(np.sum(images * np.asarray(gradient)), rel=1e-4)


def levels_of(count: int, strength: float) -> Array:
    draws = np.zeros((count, DRAWS), "float32")
    draws[:, 11] = 0.25  # not one of those that stay clean
    draws[:, 12] = (np.arange(count) + 0.5) / count
    pixels = ops.zeros((count, 1, 1, 1))
    levels = diffuse(pixels, ops.array(draws), pixels, ops.array(np.float32(strength)))[1]
    assert levels.shape == (count, 1)
    return np.asarray(levels)[:, 0]


@pytest.mark.parametrize("strength, top", [(1.0, LEVELS - 1), (0.5, 32), (5 / 63, 5), (1 / 63, 1)])
def test_higher_levels_are_likelier_in_proportion(strength: float, top: int) -> None:
    counts = np.bincount(levels_of(50_000, strength), minlength=LEVELS)
    expected = np.arange(LEVELS) * (np.arange(LEVELS) <= top)
    assert np.abs(counts - 50_000 * expected / expected.sum()).max() <= 2


def test_strength_zero_adds_no_noise() -> None:
    images, draws = batch(6)
    noisy, levels = diffuse(ops.array(images), ops.array(draws), ops.ones(images.shape), ops.zeros(()))
    np.testing.assert_array_equal(noisy, images)
    assert not np.asarray(levels).any()


def test_half_of_the_images_stay_clean() -> None:
    images, draws = batch(7, 400)
    noisy, levels = (np.asarray(x) for x in diffuse(images, draws, np.ones_like(images), ops.ones(())))
    clean = levels[:, 0] == 0
    assert levels.dtype == np.int32
    assert clean.mean() == pytest.approx(0.5, abs=0.08)
    np.testing.assert_array_equal(noisy[clean], images[clean])
    assert np.all(noisy[~clean] != images[~clean])


def test_noise_follows_the_chain() -> None:
    """The chain walked step by step: x -> sqrt(1 - beta) x, variance -> (1 - beta) variance + beta."""
    images, draws = batch(8)
    noise = np.random.default_rng(0).normal(size=images.shape).astype("float32")
    noisy, levels = (np.asarray(x) for x in diffuse(images, draws, noise, ops.ones(())))
    for image, drawn, result, level in zip(images, noise, noisy, levels[:, 0], strict=True):
        scale, variance = 1.0, 0.0
        for step in range(round(1000 * level / (LEVELS - 1))):
            beta = 1e-4 + (0.02 - 1e-4) * step / 999
            scale, variance = scale * np.sqrt(1 - beta), (1 - beta) * variance + beta
        np.testing.assert_allclose(result, scale * image + 0.05 * np.sqrt(variance) * drawn, atol=1e-5)


def test_overfitting_counts_pairs() -> None:
    real, fake = np.array([[1.0], [2.0], [3.0]], "float32"), np.array([[0.0], [2.0], [5.0]], "float32")
    ahead = [(r > f) + 0.5 * (r == f) for r in (1, 2, 3) for f in (0, 2, 5)]
    assert float(overfitting(real, fake)) == pytest.approx(2 * np.mean(ahead) - 1)
    assert float(overfitting(real + 10, fake)) == 1
    assert float(overfitting(real, fake + 10)) == -1
    assert float(overfitting(fake, fake)) == 0


def test_strength_follows_the_signal_within_its_bounds() -> None:
    assert float(adapt(0.5, 0.7, 0.6, 0.01)) == pytest.approx(0.51)
    assert float(adapt(0.5, 0.2, 0.6, 0.01)) == pytest.approx(0.49)
    assert float(adapt(0.995, 0.7, 0.6, 0.01)) == 1
    assert float(adapt(0.005, 0.2, 0.6, 0.01)) == 0
