from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceforge.config import resolve
from faceforge.errors import FaceForgeError
from faceforge.export.export import export_bundle, saved_model_images, sheet_name
from faceforge.export.onnx import onnx_images
from faceforge.inference.generator import Generator
from faceforge.models.bundle import Bundle
from faceforge.models.sampling import draw_latents


@pytest.fixture(scope="module")
def exported(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return export_bundle(tiny_bundle, tmp_path_factory.mktemp("exported") / "export")


def test_every_format_draws_the_same_images(exported: dict[str, Path], tiny_bundle: Path) -> None:
    import keras

    latents, labels = draw_latents(9, 5, 8), np.array([[0, 0], [1, 1], [0, 2], [1, 0], [0, 1]], np.int32)
    expected = Bundle.load(tiny_bundle).generator.predict_on_batch([latents, labels])
    for name in ("keras", "h5"):
        network = keras.saving.load_model(exported[name], compile=False)
        np.testing.assert_allclose(network.predict_on_batch([latents, labels]), expected, atol=1e-5)
    network = keras.models.clone_model(network)  # fresh weights
    assert np.abs(network.predict_on_batch([latents, labels]) - expected).max() > 1e-3
    network.load_weights(exported["weights"])
    np.testing.assert_allclose(network.predict_on_batch([latents, labels]), expected, atol=1e-5)
    np.testing.assert_allclose(saved_model_images(exported["saved_model"], [latents, labels]), expected, atol=1e-5)
    np.testing.assert_allclose(onnx_images(exported["onnx"], [latents, labels]), expected, atol=1e-5)


def test_the_discriminator_is_left_out_unless_asked_for(
    exported: dict[str, Path], tiny_bundle: Path, tmp_path: Path
) -> None:
    released = Generator.load(exported["bundle"])
    np.testing.assert_array_equal(released.generate(6).images, Generator.load(tiny_bundle).generate(6).images)
    images = released.generate(4).images
    for call in (released.discriminate, released.calibrate):
        with pytest.raises(FaceForgeError, match="no discriminator: it was left out .* --with-discriminator"):
            call(images, attributes={"sex": "male", "age": "old"})
    assert not [file for file in exported["listing"].parent.rglob("*") if "discriminator" in file.name]
    asked = export_bundle(tiny_bundle, tmp_path / "asked", with_discriminator=True)
    assert Bundle.load(asked["bundle"]).discriminator is not None
    again = export_bundle(asked["bundle"], tmp_path / "again")  # the default holds for every export
    assert Bundle.load(again["bundle"]).discriminator is None


def test_the_setting_of_training_decides_what_a_pipeline_exports(tiny_bundle: Path, tmp_path: Path) -> None:
    bundle = Bundle.load(tiny_bundle)
    config = resolve("toy", "export.with_discriminator=true").model_dump(mode="json")
    Bundle(bundle.info.model_copy(update={"config": config}), bundle.generator, bundle.discriminator).save(
        tmp_path / "bundle"
    )
    for choice, expected in ((None, True), (False, False)):
        paths = export_bundle(tmp_path / "bundle", tmp_path / str(choice), choice)
        assert (Bundle.load(paths["bundle"]).discriminator is not None) == expected


def test_a_sheet_per_combination_shows_that_combination(exported: dict[str, Path], tiny_bundle: Path) -> None:
    assert {path.name for path in exported["samples"].iterdir()} == {
        "all.png",
        *(f"sex-{sex}_age-{age}.png" for sex in ("female", "male") for age in ("child", "adult", "old")),
    }
    sheet = np.asarray(Image.open(exported["samples"] / "sex-male_age-old.png"))
    drawn = Generator.load(tiny_bundle).generate(64, attributes={"sex": "male", "age": "old"}).images
    assert sheet.shape == (256, 256, 3)
    np.testing.assert_array_equal(sheet[32:64, :32], drawn[8])
    everything = np.asarray(Image.open(exported["sheet"]))
    assert everything.shape == (6 * 32, 256, 3)
    np.testing.assert_array_equal(everything[-32:], sheet[:32])


def test_the_listing_is_complete(exported: dict[str, Path]) -> None:
    root, listing = exported["listing"].parent, json.loads(exported["listing"].read_text())
    there = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert {file["path"] for file in listing["files"]} == there - {"export.json"}
    for file in listing["files"]:
        content = (root / file["path"]).read_bytes()
        assert (file["bytes"], file["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert listing["model"]["labels"]["sex"] == ["female", "male"]


def test_an_unconditional_model_exports_too(tiny_unconditional_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "stale").touch()
    exported = export_bundle(tiny_unconditional_bundle, tmp_path / "out")
    assert not (tmp_path / "out" / "stale").exists()
    latents = draw_latents(2, 3, 8)
    expected = Bundle.load(tiny_unconditional_bundle).generator.predict_on_batch(latents)
    np.testing.assert_allclose(saved_model_images(exported["saved_model"], [latents]), expected, atol=1e-5)
    assert Image.open(exported["sheet"]).size == (256, 256)
    assert [path.name for path in exported["samples"].iterdir()] == ["all.png"]


def test_a_format_with_other_images_is_not_exported(
    tiny_unconditional_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([np.float32(0.5), np.float32("nan")])  # the bundle's, then the first format's
    monkeypatch.setattr("faceforge.export.export._images", lambda *_: next(answers))
    with pytest.raises(FaceForgeError, match=r"generator\.weights\.h5 does not reproduce"):
        export_bundle(tiny_unconditional_bundle, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_bundle_leaves_nothing_behind(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "bundle.json").write_bytes((tiny_bundle / "bundle.json").read_bytes())
    (tmp_path / "bundle" / "generator.keras").write_text("half a file")
    with pytest.raises(FaceForgeError, match=r"generator\.keras is unreadable"):
        export_bundle(tmp_path / "bundle", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(FaceForgeError, match="would replace it"):
        export_bundle(tmp_path / "bundle", tmp_path)


def test_sheet_names_are_safe_and_distinct() -> None:
    assert sheet_name({"expression": "smiling"}) == "expression-smiling"
    assert "/" not in sheet_name({"age": "../60+"})
    assert sheet_name({"age": "a b"}) != sheet_name({"age": "a-b"})
