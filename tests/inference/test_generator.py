from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceforge.errors import FaceForgeError
from faceforge.inference.calibration import Calibration
from faceforge.inference.generator import Generator, Samples


@pytest.fixture(scope="module")
def generator(tiny_bundle: Path) -> Generator:
    return Generator.load(tiny_bundle)


@pytest.fixture(scope="module")
def unconditional(tiny_unconditional_bundle: Path) -> Generator:
    return Generator.load(tiny_unconditional_bundle)


def test_unspecified_columns_cycle_through_all_combinations(generator: Generator) -> None:
    samples = generator.generate(8)
    assert samples.images.shape == (8, 32, 32, 3)
    assert samples.images.dtype == np.uint8
    assert samples.labels["sex"] == ["female"] * 3 + ["male"] * 3 + ["female"] * 2
    assert samples.labels["age"] == ["child", "adult", "old"] * 2 + ["child", "adult"]
    fixed = generator.generate(4, attributes={"age": "old"})
    assert fixed.labels == {"sex": ["female", "male"] * 2, "age": ["old"] * 4}


def test_an_image_depends_on_seed_index_and_label_only(generator: Generator) -> None:
    many = generator.generate(300, seed=3)  # more than one batch
    np.testing.assert_array_equal(generator.generate(10, seed=3).images, many.images[:10])
    later = generator.generate(20, seed=3, start=270)
    np.testing.assert_array_equal(later.images, many.images[270:290])
    assert later.labels["age"] == many.labels["age"][270:290]
    assert not np.array_equal(generator.generate(10, seed=4).images, many.images[:10])


def test_labels_reach_the_network(generator: Generator) -> None:
    women, men = (generator.generate(6, attributes={"sex": sex, "age": "old"}).images for sex in ("female", "male"))
    assert not np.array_equal(women, men)
    mixed = generator.generate(labels={"sex": ["male", "female"] * 3, "age": ["old"] * 6})
    np.testing.assert_array_equal(mixed.images[0::2], men[0::2])
    np.testing.assert_array_equal(mixed.images[1::2], women[1::2])


def test_truncation_narrows(generator: Generator) -> None:
    spread = [
        generator.generate(12, attributes={"sex": "male", "age": "old"}, truncation=t).images.std(axis=0).mean()
        for t in (0.0, 0.5, 1.0)
    ]
    assert spread[0] == 0.0
    assert spread[0] < spread[1] < spread[2]


def test_an_unconditional_model_takes_no_labels(unconditional: Generator) -> None:
    samples = unconditional.generate(seed=1)
    assert samples.images.shape == (16, 32, 32, 1)
    assert samples.labels == {}
    assert len(unconditional.generate(0)) == 0
    with pytest.raises(FaceForgeError, match="takes no labels"):
        unconditional.generate(2, label="smiling")


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"attributes": {"age": "adlut"}}, "did you mean 'adult'"),
        ({"attributes": {"hair": "red"}}, "no label column 'hair'; it has sex, age"),
        ({"label": "male"}, "name the column"),
        ({"labels": {"sex": ["male"], "age": ["old", "child"]}}, "differ"),
        ({"attributes": {"age": 5}}, "age = 5 is not a class"),
        ({"truncation": 2.0}, "between 0 and 1"),
        ({"num_images": -1}, "negative"),
    ],
)
def test_impossible_requests_are_refused(generator: Generator, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(FaceForgeError, match=message):
        generator.generate(**arguments)  # type: ignore[arg-type]


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(FaceForgeError, match="not a model bundle: there is no such folder"):
        Generator.load(tmp_path / "nowhere")


def test_before_the_first_training_a_name_is_told_how_to_get_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(FaceForgeError, match="no folder 'toyfaces', nor a registered model .*mlflow.db.*make run"):
        Generator.load("toyfaces", f"sqlite:///{tmp_path}/mlflow.db")
    assert not list(tmp_path.iterdir())


def test_a_stream_is_the_same_series_in_pieces(generator: Generator) -> None:
    whole = generator.generate(50, attributes={"sex": "male"}, seed=2, start=7)
    pieces = list(generator.stream(50, batch=16, attributes={"sex": "male"}, seed=2, start=7))
    assert [len(piece) for piece in pieces] == [16, 16, 16, 2]
    np.testing.assert_array_equal(np.concatenate([piece.images for piece in pieces]), whole.images)
    assert [name for piece in pieces for name in piece.labels["age"]] == whole.labels["age"]


def test_an_edit_keeps_the_latent_and_all_other_labels(generator: Generator) -> None:
    samples = generator.generate(6, seed=4, truncation=0.7)
    old = generator.edit(samples, attributes={"age": "old"})
    assert old.labels == {"sex": samples.labels["sex"], "age": ["old"] * 6}
    np.testing.assert_array_equal(old.latents, samples.latents)
    np.testing.assert_array_equal(old.images[2], samples.images[2])  # it was old before
    assert not np.array_equal(old.images[0], samples.images[0])
    back = generator.edit(old, attributes={"age": "child"})
    np.testing.assert_array_equal(back[0].images, samples[0].images)
    with pytest.raises(FaceForgeError, match="from another model"):
        generator.edit(Samples(samples.images, {}), attributes={"age": "old"})


def test_an_interpolation_starts_and_ends_at_its_ends(generator: Generator) -> None:
    ends = generator.generate(3, labels={"sex": ["male", "male", "female"], "age": ["old"] * 3}, seed=5)
    way = generator.interpolate(ends, steps=5)
    assert len(way) == 9
    np.testing.assert_array_equal(way[[0, 4, 8]].images, ends.images)
    assert way.labels["sex"] == ["male"] * 6 + ["female"] * 3
    lengths = np.linalg.norm(way.latents, axis=1)
    assert lengths[:5].min() >= min(lengths[0], lengths[4]) - 1e-4  # a straight line would pass nearer to the origin
    seeds = generator.interpolate([1, 2], steps=3, attributes={"sex": "male", "age": "old"})
    expected = generator.generate(1, seed=2, attributes={"sex": "male", "age": "old"})
    np.testing.assert_array_equal(seeds.images[-1:], expected.images)
    with pytest.raises(FaceForgeError, match="at least two"):
        generator.interpolate([1])


def test_ratings_are_calibrated_and_follow_the_discriminator(generator: Generator) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (900, 32, 32, 3), np.uint8)
    codes = np.array([[1, 2], [0, 2]] * 450, np.int32)
    liked = np.argsort(generator.bundle.logits(noise, codes))[-200:]  # what an untrained network takes for real
    real = noise[liked]
    labels = {"sex": ["female" if code == 0 else "male" for code in codes[liked, 0]], "age": ["old"] * 200}
    with pytest.raises(FaceForgeError, match="no calibration"):
        generator.discriminate(real)
    rating = generator.calibrate(real, labels=labels)
    chances = rating.discriminate(real, labels=labels)
    made = generator.generate(200, labels=labels, seed=9)
    assert chances.shape == (200,)
    assert chances.mean() > 0.6 > 0.4 > rating.discriminate(made.images, labels=labels).mean()
    # Labels left open: those that suit an image best.
    assert (rating.discriminate(real) >= chances - 1e-12).all()
    assert (rating.discriminate(real, attributes={"age": "old"}) <= rating.discriminate(real) + 1e-12).all()
    wrong: Any
    for wrong in (real.astype(np.float32), real[:, :16], real[0]):
        with pytest.raises(FaceForgeError, match="uint8"):
            rating.discriminate(wrong)


def test_calibration_comes_with_the_report_beside_a_bundle(tiny_bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_bundle, tmp_path / "bundle")
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"calibration": {"slope": 2.0, "offset": 0.5, "offsets": {}}}))
    assert Generator.load(tmp_path / "bundle").calibration == Calibration(2.0, 0.5)
    report.write_text("{")
    with pytest.raises(FaceForgeError, match="report.json is not the report"):
        Generator.load(tmp_path / "bundle")


def test_an_onnx_file_is_a_model_too(tiny_bundle: Path, generator: Generator, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from faceforge.export.onnx import write_onnx

    write_onnx(generator.bundle, tmp_path / "generator.onnx")  # type: ignore[arg-type]
    light, whole = (one.generate(12, seed=1) for one in (Generator.load(tmp_path / "generator.onnx"), generator))
    assert light.labels == whole.labels
    assert np.abs(light.images.astype(int) - whole.images).max() <= 1


def test_loading_and_generating_print_nothing(tiny_bundle: Path) -> None:
    code = f"from faceforge import Generator; Generator.load({str(tiny_bundle)!r}).generate(3)"
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert result.stdout + result.stderr == ""
