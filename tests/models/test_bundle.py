from pathlib import Path

import numpy as np
import pytest

from faceforge.errors import FaceForgeError
from faceforge.models.build import build_networks
from faceforge.models.bundle import Bundle, BundleInfo
from faceforge.models.ranges import from_uint8, to_uint8
from faceforge.models.spec import ModelSpec


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    spec = ModelSpec(family="compact", image_size=32, channels=3, latent_size=8, width=4, max_width=8, classes=(2,))
    info = BundleInfo(
        spec=spec, labels={"mood": ["glad", "sad"]}, loss="relativistic", dataset_digest="d", config={}, training={},
        versions={},
    )  # fmt: skip
    made = Bundle(info, *build_networks(spec, seed=1))
    made.save(tmp_path_factory.mktemp("bundle") / "b")
    return made


def folder(tmp_path: Path, bundle: Bundle) -> Path:
    return bundle.save(tmp_path / "bundle")


def test_saving_and_loading_keeps_everything(tmp_path: Path, bundle: Bundle) -> None:
    loaded = Bundle.load(folder(tmp_path, bundle))
    latents = np.random.default_rng(0).normal(size=(5, 8)).astype("float32")
    labels = np.array([[0], [1], [0], [1], [1]], "int32")
    images = bundle.generate(latents, labels)
    assert images.dtype == np.uint8
    assert images.shape == (5, 32, 32, 3)
    np.testing.assert_array_equal(loaded.generate(latents, labels), images)
    np.testing.assert_array_equal(loaded.logits(images, labels), bundle.logits(images, labels))
    assert loaded.info == bundle.info


def test_the_batch_size_does_not_matter(bundle: Bundle) -> None:
    latents = np.random.default_rng(0).normal(size=(7, 8)).astype("float32")
    labels = np.zeros((7, 1), "int32")
    np.testing.assert_allclose(
        bundle.generate(latents, labels, batch=3).astype(int), bundle.generate(latents, labels).astype(int), atol=1
    )


def test_images_are_the_rounded_and_clipped_outputs(bundle: Bundle) -> None:
    bundle.generator.get_layer("image").bias.assign([0.9, -0.9, 0.0])  # many values beyond [-1, 1]
    latents, labels = np.random.default_rng(0).normal(size=(5, 8)).astype("float32"), np.zeros((5, 1), "int32")
    outputs = np.asarray(bundle.generator.predict_on_batch([latents, labels]))
    assert outputs.max() > 1
    np.testing.assert_array_equal(bundle.generate(latents, labels), to_uint8(outputs))
    assert bundle.generate(latents[:0], labels[:0]).shape == (0, 32, 32, 3)


def test_a_damaged_network_is_reported_in_one_line(tmp_path: Path, bundle: Bundle) -> None:
    path = folder(tmp_path, bundle)
    (path / "generator.keras").write_bytes(b"no archive")
    with pytest.raises(FaceForgeError, match="generator.keras is unreadable"):
        Bundle.load(path)
    with pytest.raises(FaceForgeError, match="has no bundle.json"):
        BundleInfo.read(tmp_path)


def test_a_family_that_does_not_exist_is_reported_in_one_line(tmp_path: Path, bundle: Bundle) -> None:
    path = folder(tmp_path, bundle)
    text = (path / "bundle.json").read_text()
    (path / "bundle.json").write_text(text.replace('"family": "compact"', '"family": "residual"'))
    expected = r"bundle.json is unreadable: spec\.family.*'compact', 'style' or 'dcgan'"
    with pytest.raises(FaceForgeError, match=expected) as refused:
        Bundle.load(path)
    assert "\n" not in str(refused.value)


def test_uint8_and_back_is_exact() -> None:
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_uint8(from_uint8(levels)), levels)
    assert to_uint8(np.array([-3.0, 3.0])).tolist() == [0, 255]
