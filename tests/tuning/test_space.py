from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from faceforge.config import PRESETS, resolve
from faceforge.errors import FaceForgeError
from faceforge.tuning.space import parse_space, read_space, settings_text

SPACE = """
"train.learning_rate" = { low = 2e-4, high = 4e-3, log = true }
"model.width" = { low = 8, high = 32 }
[train]
penalty_interval = [1, 2, 4]
spectral_norm = [true, false]
diffaugment = ["", "flip+colour"]
"""


def test_suggested_settings_are_valid_and_readable() -> None:
    space = parse_space(SPACE, "toy", "")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    seen = [space.suggest(study.ask()) for _ in range(20)]
    for settings in seen:
        assert 2e-4 <= settings["train.learning_rate"] <= 4e-3
        assert len(f"{settings['train.learning_rate']:.10g}".lstrip("0.")) <= 3  # digits
        assert isinstance(settings["model.width"], int)
        config = resolve("toy", settings)
        assert resolve("toy", settings_text(settings)) == config  # what is printed means the same
        assert space.values_of(config) == settings
    assert {settings["train.diffaugment"] for settings in seen} == {"", "flip+colour"}
    assert {settings["train.penalty_interval"] for settings in seen} == {1, 2, 4}


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_has_a_default_space(preset: str) -> None:
    space = parse_space("", preset, "")
    assert "train.learning_rate" in space.root
    assert space.values_of(resolve(preset)) is not None  # the preset itself can be proposed


def test_fixed_settings_leave_the_default_space() -> None:
    assert "train.gamma" not in parse_space("", "toy", "train.gamma=3").root


def test_a_preset_outside_the_space_has_no_values() -> None:
    space = parse_space('"train.learning_rate" = { low = 0.01, high = 0.1 }', "toy", "")
    assert space.values_of(resolve("toy")) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"train.learning_rat" = [0.1]', "did you mean 'train.learning_rate'"),
        ('"train.learning_rate" = { low = 0.1, high = 7.0 }', "train.learning_rate = 7.0"),
        ('"train.learning_rate" = { low = 0.1, high = 0.01 }', "low must be below high"),
        ('"train.learning_rate" = { low = 0.0, high = 0.1, log = true }', "above 0"),
        ('"train.learning_rate" = { low = 0.1, hihg = 0.2 }', "high: Field required"),
        ('"train.loss" = ["hinge", "l2"]', "train.loss = 'l2'"),
        ('"train.loss" = []', "train.loss"),
        ('"train.seed" = [1, 2]', "train.seed cannot be varied"),
        ('"ingest.image_size" = [32, 64]', "ingest.image_size cannot be varied"),
        ('"train.gamma" = [1, 2]', "both in the search space and in --set"),
        ("# nothing", "empty"),
        ("not toml", "not valid TOML"),
    ],
)
def test_mistakes_in_a_space_are_reported(text: str, message: str) -> None:
    with pytest.raises(FaceForgeError, match=message):
        parse_space(text, "toy", "train.gamma=3")


def test_a_missing_or_empty_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(FaceForgeError, match=r"none\.toml is unreadable"):
        read_space(tmp_path / "none.toml")
    (tmp_path / "blank.toml").write_text("\n")
    with pytest.raises(FaceForgeError, match=r"blank\.toml is empty"):
        read_space(tmp_path / "blank.toml")
