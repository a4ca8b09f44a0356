import keras
import numpy as np
import pytest

from faceforge.models.build import build_networks
from faceforge.models.flops import macs, step_flops
from faceforge.models.spec import ModelSpec


def test_the_standard_dcgan64_has_the_published_arithmetic() -> None:
    spec = ModelSpec(
        family="dcgan", image_size=64, channels=3, latent_size=100, width=64, max_width=512, classes=()
    )  # fmt: skip
    generator, discriminator = (macs(network) for network in build_networks(spec))
    assert generator == pytest.approx(104.6e6, rel=1e-3)
    assert discriminator == pytest.approx(103.8e6, rel=1e-3)
    # The tutorial's step, without the gradients it wastes, computes the fakes' logits twice: 2.29 GFLOP. Ours once.
    tutorial = 2 * (3 * generator + 8 * discriminator)
    assert tutorial == pytest.approx(2.29e9, rel=0.01)
    assert step_flops(generator, discriminator, penalised=0, interval=1) == tutorial - 2 * discriminator


def test_layers_are_counted_by_hand() -> None:
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(5, 3, strides=2, padding="same")(image)  # 4 x 4 pixels come out
    x = keras.layers.Conv2DTranspose(7, 4, strides=2, padding="same")(x)  # 4 x 4 go in
    x = keras.layers.Dense(2)(keras.layers.Flatten()(x))
    assert macs(keras.Model(image, x)) == 16 * 9 * 3 * 5 + 16 * 16 * 5 * 7 + 8 * 8 * 7 * 2


def test_the_cost_of_penalties_is_divided_by_their_interval() -> None:
    costs = [step_flops(10, 100, penalised, interval) for penalised, interval in ((0, 4), (1, 4), (2, 4), (2, 8))]
    np.testing.assert_allclose(np.diff(costs), [200, 200, -200])


def test_penalties_that_share_the_pass_save_its_recomputation() -> None:
    separate, shared = (step_flops(10, 100, penalised=2, interval=1, shared=shared) for shared in (False, True))
    assert separate - shared == 2 * 3 * 100  # real and fake images forward, fake logits back to their pixels
