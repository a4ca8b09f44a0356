from itertools import product
from typing import Any

import keras
import numpy as np
import pytest

from faceforge.compute import backend
from faceforge.models.build import FAMILIES, build_networks, plain_networks
from faceforge.models.spec import ModelSpec


def spec(family: str, **changes: object) -> ModelSpec:
    sizes = {"image_size": 32, "channels": 3, "latent_size": 8, "width": 4, "max_width": 8, "classes": ()}
    return ModelSpec.model_validate({"family": family, **sizes, **changes})


def values(network: keras.Model) -> dict[str, np.ndarray]:
    return {variable.path: np.asarray(variable) for variable in network.variables}


def inputs(count: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, 8)).astype("float32"), rng.integers(0, 2, (count, columns)).astype("int32")


@pytest.mark.parametrize(("family", "channels", "classes"), list(product(FAMILIES, [1, 3], [(), (3,), (2, 5)])))
def test_shapes_of_every_family_and_condition(family: str, channels: int, classes: tuple[int, ...]) -> None:
    generator, discriminator = build_networks(spec(family, channels=channels, classes=classes))
    latents, labels = inputs(2, len(classes))
    images = np.asarray(generator([latents, labels] if classes else latents))
    assert images.shape == (2, 32, 32, channels)
    logits = np.asarray(discriminator([images, labels] if classes else images))
    assert logits.shape == (2, 1)
    assert images.dtype == logits.dtype == np.float32


def test_the_standard_dcgan64_has_the_published_size() -> None:
    generator, discriminator = build_networks(spec("dcgan", image_size=64, latent_size=100, width=64, max_width=512))
    # 3.577 M and 2.766 M weights, plus biases at the image and first/last discriminator layers and BN statistics.
    count = [sum(int(np.prod(v.shape)) for v in network.trainable_variables) for network in (generator, discriminator)]
    assert count[0] == pytest.approx(3.577e6, rel=1e-3)
    assert count[1] == pytest.approx(2.766e6, rel=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_labels_matter_to_both_networks(family: str) -> None:
    generator, discriminator = build_networks(spec(family, classes=(2, 3)))
    latents = inputs(1, 2)[0].repeat(2, 0)
    labels = np.array([[0, 0], [0, 2]], "int32")
    images = np.asarray(generator([latents, labels]))
    assert not np.allclose(images[0], images[1])
    logits = np.asarray(discriminator([images[:1].repeat(2, 0), labels]))
    assert logits[0, 0] != logits[1, 0]


def test_weights_depend_on_the_seed_only() -> None:
    first, again, other = (build_networks(spec("compact"), seed=seed)[0].get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("family", FAMILIES)
def test_names_of_weights_depend_on_role_and_resolution_only(family: str) -> None:
    small = [values(network) for network in build_networks(spec(family, width=8, classes=(3,)))]
    large = [values(network) for network in build_networks(spec(family, image_size=64, width=4, classes=(3,)))]
    assert set(small[0]) < set(large[0])  # the larger generator has further layers
    first = ("conv16", "down16")  # the discriminator's first layer: of folded pixels, or with a bias
    assert all(path.startswith(first) for path in set(small[1]) - set(large[1]))
    for ours, theirs in zip(small, large, strict=True):
        common = [path for path in set(ours) & set(theirs) if not path.startswith(("image", *first))]
        assert all(ours[path].shape == theirs[path].shape for path in common)


@pytest.mark.parametrize(("family", "classes"), list(product(FAMILIES, [(), (2, 3)])))
def test_networks_for_training_have_the_same_weights_and_give_back_plain_ones(
    family: str, classes: tuple[int, ...]
) -> None:
    sizes = spec(family, classes=classes)
    trained = build_networks(sizes, seed=5, weighted=True, levels=4)
    for plain, network in zip(build_networks(sizes, seed=5), trained, strict=True):
        ours, theirs = values(plain), values(network)
        assert all(np.array_equal(ours[path], theirs[path]) for path in ours)
    extra = ["labels", "weights"] if classes else []
    assert [given.name for given in trained[0].inputs] == ["latents", *extra]
    assert [given.name for given in trained[1].inputs] == ["images", *extra, "levels"]

    for variable in (v for network in trained for v in network.variables):  # as if it had learnt something
        variable.assign(variable + 0.1 * np.random.default_rng(1).random(variable.shape, np.float32))
    generator, discriminator = plain_networks(sizes, *trained)
    latents, labels = inputs(6, len(classes))
    labelled, weighted = ([labels], [labels, np.ones((6, 1), "float32")]) if classes else ([], [])
    images = np.asarray(trained[0]([latents, *weighted] if classes else latents))
    np.testing.assert_array_equal(np.asarray(generator([latents, *labelled] if classes else latents)), images)
    level0, level3 = (np.asarray(trained[1]([images, *weighted, np.full((6, 1), level, "int32")])) for level in (0, 3))
    plain = np.asarray(discriminator([images, *labelled] if classes else images))
    np.testing.assert_allclose(plain, level0, rtol=1e-4, atol=1e-5)
    assert not np.allclose(level0, level3, rtol=1e-4)


def test_weights_of_labels_scale_their_part() -> None:
    generator, discriminator = build_networks(spec("compact", classes=(2, 3)), weighted=True)
    latents, labels = inputs(1, 2)
    weights = np.array([[0.0], [0.5], [1.0]], "float32")
    given = [latents.repeat(3, 0), labels.repeat(3, 0), weights]
    first = np.asarray(keras.Model(generator.inputs, generator.get_layer("first").output)(given))
    images = np.asarray(generator(given))
    logits = np.asarray(discriminator([images[:1].repeat(3, 0), labels.repeat(3, 0), weights])).ravel()
    # The generator's first layer and the logits are linear in the embedding.
    np.testing.assert_allclose(first[1], (first[0] + first[2]) / 2, atol=1e-5)
    assert not np.allclose(first[0], first[2], atol=1e-3)
    assert logits[1] == pytest.approx((logits[0] + logits[2]) / 2, abs=1e-5)
    assert abs(logits[2] - logits[0]) > 1e-3
    other = np.asarray(discriminator([images[:1], 1 - labels % 2, weights[:1]])).ravel()
    assert other[0] == pytest.approx(logits[0], abs=1e-6)  # labels of weight 0 do not count


@pytest.mark.parametrize(("family", "size"), list(product(FAMILIES, [32, 64, 128, 256])))
def test_every_weight_learns(family: str, size: int) -> None:
    """Gradients of a loss with R1, finite, reach all weights."""
    generator, discriminator = build_networks(spec(family, image_size=size, classes=(2,)), levels=2)
    ops, rng = keras.ops, np.random.default_rng(1)
    latents, labels = (ops.convert_to_tensor(array) for array in inputs(2, 1))
    levels = ops.zeros((2, 1), "int32")
    real = ops.convert_to_tensor(rng.uniform(-1, 1, (2, size, size, 3)).astype("float32"))

    def judge(weights: list, images: Any) -> Any:
        moments = [variable.value for variable in discriminator.non_trainable_variables]
        return discriminator.stateless_call(weights, moments, [images, labels, levels], training=True)[0]

    def loss(weights: tuple) -> Any:
        ours, theirs = weights
        moments = [variable.value for variable in generator.non_trainable_variables]
        fake = generator.stateless_call(ours, moments, [latents, labels], training=True)[0]
        assert fake.shape == real.shape
        _, pull = backend.vjp(lambda images: ops.sum(judge(theirs, images)), real)
        (slope,) = pull(ops.ones(()))
        return ops.mean(judge(theirs, fake) - judge(theirs, real)) + ops.sum(ops.square(slope))

    weights = tuple(
        [ops.convert_to_tensor(variable.numpy()) for variable in network.trainable_variables]
        for network in (generator, discriminator)
    )
    _, pull = backend.vjp(loss, weights)
    (gradients,) = pull(ops.ones(()))
    for network, part in zip((generator, discriminator), gradients, strict=True):
        for variable, gradient in zip(network.trainable_variables, part, strict=True):
            array = np.asarray(ops.convert_to_tensor(gradient))
            assert np.isfinite(array).all()
            if variable.path != "logit/bias":  # it cancels in this loss
                assert np.abs(array).max() > 0, variable.path
