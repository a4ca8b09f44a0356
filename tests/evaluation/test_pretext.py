"""The label-free task: what is chosen is what is done, and nothing else."""

import numpy as np
import pytest

from faceforge.evaluation.pretext import pretext_tasks, transform


@pytest.mark.parametrize("channels", [1, 3])
def test_choices_describe_what_was_done(channels: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (200, 8, 8, channels), dtype=np.uint8)
    turned, chosen = transform(images, seed=1)
    assert turned.shape == images.shape
    assert turned.dtype == np.uint8
    assert chosen.shape == (200, 3)
    for task, classes in enumerate(pretext_tasks(channels).values()):
        assert set(chosen[:, task]) == set(range(classes))  # every transformation occurs
    for image, result, (quarter, colour, coarse) in zip(images, turned, chosen, strict=True):
        expected = np.rot90(image, quarter)
        expected = np.roll(expected, colour, axis=-1) if channels == 3 else (255 - expected if colour else expected)
        if coarse:
            corner = expected[:2, :2].astype(float).mean(axis=(0, 1))
            np.testing.assert_array_equal(result[0, 0], np.rint(corner))
            np.testing.assert_array_equal(result[::2, ::2], result[1::2, 1::2])
        else:
            np.testing.assert_array_equal(result, expected)


def test_same_seed_same_result_and_the_input_is_left_alone() -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
    before = images.copy()
    first, second = transform(images, seed=3), transform(images, seed=3)
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    np.testing.assert_array_equal(images, before)
    assert (transform(images, seed=4)[1] != first[1]).any()
