from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faceforge.errors import FaceForgeError
from faceforge.generate import Generator


@pytest.fixture(scope="module")
def generator(tiny_bundle: Path) -> Generator:
    return Generator.load(tiny_bundle)


@pytest.fixture(scope="module")
def unconditional(tiny_unconditional_bundle: Path) -> Generator:
    return Generator.load(tiny_unconditional_bundle)


def test_open_columns_take_all_combinations_in_turn(generator: Generator) -> None:
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
    "wish, told",
    [
        ({"attributes": {"age": "adlut"}}, "did you mean 'adult'"),
        ({"attributes": {"hair": "red"}}, "no label column 'hair'; it has sex, age"),
        ({"label": "male"}, "say which"),
        ({"labels": {"sex": ["male"], "age": ["old", "child"]}}, "differ"),
        ({"truncation": 2.0}, "between 0 and 1"),
        ({"num_images": -1}, "negative"),
    ],
)
def test_impossible_wishes_are_told(generator: Generator, wish: dict[str, object], told: str) -> None:
    with pytest.raises(FaceForgeError, match=told):
        generator.generate(**wish)  # type: ignore[arg-type]


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(FaceForgeError, match="not a model bundle"):
        Generator.load(tmp_path / "nowhere")
