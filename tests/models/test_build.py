from itertools import product

import numpy as np
import pytest

from faceforge.models.build import build_networks
from faceforge.models.spec import ModelSpec


def spec(family: str, **changes: object) -> ModelSpec:
    sizes = {"image_size": 32, "channels": 3, "latent_size": 8, "width": 4, "max_width": 8, "classes": ()}
    return ModelSpec.model_validate({"family": family, **sizes, **changes})


@pytest.mark.parametrize(
    ("family", "size", "channels", "classes"),
    list(product(["compact", "dcgan"], [32, 64, 128], [1, 3], [(), (3,), (2, 5)])),
)
def test_shapes_of_every_family_size_and_condition(
    family: str, size: int, channels: int, classes: tuple[int, ...]
) -> None:
    generator, discriminator = build_networks(spec(family, image_size=size, channels=channels, classes=classes))
    latents, labels = np.zeros((2, 8), "float32"), np.zeros((2, len(classes)), "int32")
    images = np.asarray(generator([latents, labels] if classes else latents))
    assert images.shape == (2, size, size, channels)
    logits = np.asarray(discriminator([images, labels] if classes else images))
    assert logits.shape == (2, 1)
    assert logits.dtype == np.float32


def test_the_standard_dcgan64_has_the_published_size() -> None:
    generator, discriminator = build_networks(spec("dcgan", image_size=64, latent_size=100, width=64, max_width=512))
    # 3.577 M and 2.766 M weights, plus biases at the image and first/last discriminator layers and BN statistics.
    count = [sum(int(np.prod(v.shape)) for v in network.trainable_variables) for network in (generator, discriminator)]
    assert count[0] == pytest.approx(3.577e6, rel=1e-3)
    assert count[1] == pytest.approx(2.766e6, rel=1e-3)


@pytest.mark.parametrize("family", ["compact", "dcgan"])
def test_labels_matter_to_both_networks(family: str) -> None:
    generator, discriminator = build_networks(spec(family, classes=(2, 3)))
    latents = np.random.default_rng(0).normal(size=(1, 8)).astype("float32").repeat(2, 0)
    labels = np.array([[0, 0], [0, 2]], "int32")
    images = np.asarray(generator([latents, labels]))
    assert not np.allclose(images[0], images[1])
    logits = np.asarray(discriminator([images[:1].repeat(2, 0), labels]))
    assert logits[0, 0] != logits[1, 0]


def test_weights_depend_on_the_seed_only() -> None:
    first, again, other = (build_networks(spec("compact"), seed=seed)[0].get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
