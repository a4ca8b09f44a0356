from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceforge.config import Config, as_json, flatten, preset_names, resolve
from faceforge.errors import FaceForgeError


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_valid(name: str) -> None:
    assert Config.model_validate_json(as_json(resolve(name))) == resolve(name)


def test_the_classical_preset_is_the_published_one() -> None:
    config = resolve("dcgan128")
    train = config.train
    assert (config.ingest.image_size, config.model.latent_size, train.batch_size) == (128, 100, 32)
    assert (train.optimizer, train.learning_rate, train.loss, train.epochs) == ("rmsprop", 1e-4, "bce", 30)
    assert train.labels == ()


def test_settings_override_fields_whether_text_or_values() -> None:
    text = resolve("toy", "train.kimg=3, train.labels=a+b, ingest.labels=none, augment.flip=true, augment.balance=")
    values = resolve("toy", {"train.kimg": 3, "train.labels": ("a", "b"), "augment.flip": True})
    assert text == values
    assert text.train.labels == ("a", "b")
    assert resolve("dcgan64", "train.labels=none").train.labels is None


@pytest.mark.parametrize(
    ("preset", "settings", "said"),
    [
        ("tory", "", "preset 'tory' does not exist; presets: toy, "),
        ("toy", "train.kmig=3", "did you mean 'train.kimg'?"),
        ("toy", "trian.kimg=3", "did you mean 'train.kimg'?"),
        ("toy", "train.kimg", "lacks '='"),
        ("toy", "train.kimg=-1", "train.kimg = -1: Input should be greater than 0"),
        ("toy", "train.kimg=nan", "finite"),
        ("toy", f"train.kimg={'9' * 5000}", "finite"),
        ("toy", "ingest.image_size=--64", "ingest.image_size = '--64': Input should be 32"),
        ("toy", "ingest.image_size=²", "ingest.image_size = '²': Input should be 32"),
        ("toy", "ingest.image_size=48", "ingest.image_size = 48: Input should be 32, 64, 128 or 256"),
        ("toy", "train.label_smoothing=0.1", "applies to the loss 'bce' only"),
        ("toy", "train.diffaugment_target=0.6", "needs train.diffaugment"),
        ("toy", "ingest.labels=a, train.labels=b", "which are not in ingest.labels ['a']"),
    ],
)
def test_a_bad_value_is_refused_in_one_line(preset: str, settings: str, said: str) -> None:
    with pytest.raises(FaceForgeError) as caught:
        resolve(preset, settings)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_numbers_after_a_comma_belong_to_the_value_before() -> None:
    config = resolve("toy", "ingest.bins=age:0,13,25; score:q4, train.kimg=3")
    assert (config.ingest.bins, config.train.kimg) == ("age:0,13,25; score:q4", 3)


@given(st.text(max_size=60))
def test_no_text_of_settings_raises_anything_else(text: str) -> None:
    with suppress(FaceForgeError):
        resolve("toy", text)


def test_flat_names_are_those_of_settings() -> None:
    flat = flatten(resolve("toy"))
    assert flat["preset"] == "toy"
    assert flat["train.kimg"] == resolve("toy").train.kimg


PRIVATE = "train.dp_epsilon=1, train.loss=bce, train.gamma=0"


def test_differential_privacy_names_every_setting_that_it_does_not_allow() -> None:
    assert resolve("toy", PRIVATE).train.dp_epsilon == 1
    with pytest.raises(
        FaceForgeError, match=r"dp_epsilon \(differential privacy\) needs train.loss=bce or hinge, train.gamma=0"
    ):
        resolve("toy", "train.dp_epsilon=1")


@pytest.mark.parametrize(
    "setting, reason",
    [
        ("train.spectral_norm=true", "train.spectral_norm=false"),
        ("train.diffaugment=flip, train.diffaugment_target=0.6", "train.diffaugment_target=0"),
        ("train.patience=3", "train.patience=0"),
        ("train.minutes=3", "in place of train.minutes"),
        ("model.family=dcgan", "batch norm"),
        ("augment.flip=true", "augment.flip=false"),
    ],
)
def test_differential_privacy_refuses(setting: str, reason: str) -> None:
    with pytest.raises(FaceForgeError, match=f"train.dp_epsilon.*{reason}"):
        resolve("toy", f"{PRIVATE}, {setting}")
