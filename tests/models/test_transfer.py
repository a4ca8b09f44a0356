from __future__ import annotations

import keras
import numpy as np
import pytest

from faceforge.errors import FaceForgeError
from faceforge.models.build import build_networks
from faceforge.models.bundle import Bundle, BundleInfo
from faceforge.models.spec import ModelSpec
from faceforge.models.transfer import transfer

MOODS = {"mood": ["glad", "sad", "calm"], "hat": ["no", "yes"]}


def spec(labels: dict[str, list[str]], **changes: object) -> ModelSpec:
    sizes = {"family": "compact", "image_size": 32, "channels": 3, "latent_size": 8, "width": 8, "max_width": 8}
    return ModelSpec.model_validate({**sizes, "classes": tuple(len(c) for c in labels.values()), **changes})


def bundle(labels: dict[str, list[str]], **changes: object) -> Bundle:
    made = spec(labels, **changes)
    info = BundleInfo(
        spec=made, labels=labels, loss="relativistic", dataset_digest="d", config={}, training={}, versions={}
    )
    networks = build_networks(made, seed=1)
    for variable in (v for network in networks for v in network.variables):
        variable.assign(variable + 0.1 * np.random.default_rng(2).random(variable.shape, np.float32))  # trained
    return Bundle(info, *networks)


def draw(network: keras.Model, codes: list[list[int]] | None = None) -> np.ndarray:
    """Images, or logits of images, that are the same for equal networks."""
    given = np.random.default_rng(0).normal(size=(4, *network.inputs[0].shape[1:])).astype("float32")
    rows = np.asarray(codes, "int32")
    return np.asarray(network([given, rows] if codes is not None else given))


def test_the_same_architecture_is_copied_completely(tmp_path: object) -> None:
    source = bundle(MOODS)
    networks = build_networks(source.info.spec, seed=3)
    result = transfer(source, MOODS, *networks)
    assert result.taken == result.total
    assert result.summary().endswith("(100 %) start from the source")
    codes = [[0, 0], [1, 1], [2, 0], [0, 1]]
    for ours, theirs in zip(networks, (source.generator, source.discriminator), strict=True):
        np.testing.assert_array_equal(draw(ours, codes), draw(theirs, codes))


def test_a_release_bundle_gives_its_generator() -> None:
    whole = bundle(MOODS)
    networks = build_networks(whole.info.spec, seed=3)
    fresh = draw(networks[1], [[0, 0], [1, 1], [2, 0], [0, 1]])
    result = transfer(Bundle(whole.info, whole.generator, None), MOODS, *networks)
    assert result.taken == whole.generator.count_params()
    assert "new in the discriminator: " in result.summary()
    codes = [[0, 0], [1, 1], [2, 0], [0, 1]]
    np.testing.assert_array_equal(draw(networks[0], codes), draw(whole.generator, codes))
    np.testing.assert_array_equal(draw(networks[1], codes), fresh)


def test_labels_are_matched_by_name() -> None:
    source = bundle(MOODS)
    labels = {"hat": ["yes", "no"], "mood": ["calm", "cross", "glad"]}
    networks = build_networks(spec(labels), seed=3)
    result = transfer(source, labels, *networks)
    assert result.new_labels == ["mood=cross"]
    assert result.total - result.taken == 16  # one row of 8 in each network
    theirs, ours = [[0, 0], [2, 1], [0, 1], [2, 0]], [[1, 2], [0, 0], [0, 2], [1, 0]]  # the same in other numbers
    for network, before in zip(networks, (source.generator, source.discriminator), strict=True):
        np.testing.assert_allclose(draw(network, ours), draw(before, theirs), atol=1e-5)


@pytest.mark.parametrize("family", ["compact", "style", "dcgan"])
@pytest.mark.parametrize("labels", [{"age": ["young", "old"]}, {"age": ["young", "old"], "hat": ["yes", "no"]}])
def test_a_model_of_other_label_columns_starts_from_the_mean_of_its_classes(
    family: str, labels: dict[str, list[str]]
) -> None:
    """Every new class starts as the source with the mean of the classes of the column that is gone."""
    source = bundle(MOODS, family=family)
    networks = build_networks(spec(labels, family=family), seed=3)
    result = transfer(source, labels, *networks)
    assert result.new_labels == ["age"]
    assert result.fresh == {"generator": [], "discriminator": []}
    assert source.discriminator is not None
    for column in (0, 1) if len(labels) == 1 else (0,):  # the source's columns that are gone
        for network in (source.generator, source.discriminator):
            embeddings = network.get_layer(f"embedding_{column}").embeddings
            embeddings.assign(np.tile(np.asarray(embeddings).mean(axis=0), (embeddings.shape[0], 1)))
    for ours, theirs in zip(networks, (source.generator, source.discriminator), strict=True):
        if len(labels) == 1:
            first, then = [[0], [1], [0], [1]], [[0, 0]] * 4
        else:
            first, then = [[0, 0], [1, 0], [0, 1], [1, 1]], [[0, 1], [0, 1], [0, 0], [0, 0]]  # hat yes, yes, no, no
        np.testing.assert_allclose(draw(ours, first), draw(theirs, then), atol=1e-5)


@pytest.mark.parametrize("family", ["compact", "style", "dcgan"])
def test_a_model_without_labels_can_learn_some(family: str) -> None:
    """New columns and levels of noise change nothing at first."""
    source = bundle({}, family=family)
    generator, discriminator = build_networks(spec(MOODS, family=family), seed=3, weighted=True, levels=4)
    result = transfer(source, MOODS, generator, discriminator)
    assert result.new_labels == ["mood", "hat"]
    assert result.fresh == {"generator": [], "discriminator": []}
    rng = np.random.default_rng(0)
    latents, images = rng.normal(size=(4, 8)).astype("float32"), rng.normal(size=(4, 32, 32, 3)).astype("float32")
    extra = [np.array([[0, 1]] * 4, "int32"), np.ones((4, 1), "float32")]
    np.testing.assert_allclose(
        np.asarray(generator([latents, *extra])), np.asarray(source.generator(latents)), atol=1e-5
    )
    assert source.discriminator is not None
    logits = np.asarray(discriminator([images, *extra, np.full((4, 1), 3, "int32")]))
    np.testing.assert_allclose(logits, np.asarray(source.discriminator(images)), atol=1e-5)


def test_a_larger_resolution_starts_from_the_inner_layers() -> None:
    source = bundle(MOODS)
    networks = build_networks(spec(MOODS, image_size=64, width=4), seed=3)
    before = networks[0].get_layer("conv64").kernel.numpy()
    result = transfer(source, MOODS, *networks)
    assert result.fresh == {"generator": ["conv64", "norm64", "image"], "discriminator": ["conv32", "down16"]}
    assert "new in the generator: conv64, norm64, image" in result.summary()
    for name in ("first", "conv16", "conv32"):
        np.testing.assert_array_equal(networks[0].get_layer(name).kernel, source.generator.get_layer(name).kernel)
    np.testing.assert_array_equal(networks[0].get_layer("conv64").kernel, before)


def test_a_model_with_no_fitting_layer_is_refused() -> None:
    networks = build_networks(spec({}, family="dcgan", width=16, max_width=32, latent_size=5), seed=3)
    before = [weights for network in networks for weights in network.get_weights()]
    with pytest.raises(FaceForgeError, match="no layer of the model .* fits: it is compact, width 8 up to 8"):
        transfer(bundle(MOODS), {}, *networks)
    after = [weights for network in networks for weights in network.get_weights()]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
