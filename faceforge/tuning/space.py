"""The search space: which settings a search varies, and between which values.

A TOML file names any settings of the sections `model`, `train` and `augment`: a range, or a list of choices.

    "train.learning_rate" = { low = 2e-4, high = 4e-3, log = true }
    "train.penalty_interval" = [1, 2, 4, 8]
    "train.diffaugment" = ["", "flip+colour+translation+cutout"]
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError, model_validator

from faceforge.config import Config, parse_settings, resolve
from faceforge.errors import FaceForgeError, explain

if TYPE_CHECKING:
    from optuna.trial import Trial

Value = bool | int | float | str
Settings = dict[str, Any]  # "section.field" -> value, as `faceforge.config.resolve` takes them

SECTIONS = ("model", "train", "augment")
FIXED = ("train.seed", "train.labels", "train.kimg", "train.epochs", "train.minutes", "train.patience", "train.grids")
DIGITS = 3  # significant digits of sampled numbers, so that settings are readable


class Range(BaseModel):
    """Numbers from `low` to `high`; whole numbers if both ends are."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    low: int | float
    high: int | float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError("low must be below high, and above 0 with log = true")
        return self

    def suggest(self, trial: Trial, name: str) -> Value:
        """A value for one trial."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, log=self.log)
        return float(f"{trial.suggest_float(name, self.low, self.high, log=self.log):.{DIGITS}g}")

    def examples(self) -> tuple[Value, ...]:
        """Values that must be valid for the whole range to be."""
        return self.low, self.high

    def includes(self, value: Any) -> bool:
        """Whether the range contains a value."""
        return isinstance(value, int | float) and self.low <= value <= self.high


class Choices(RootModel[tuple[Value, ...]]):
    """A list of values."""

    model_config = ConfigDict(frozen=True)

    root: tuple[Value, ...] = Field(min_length=1)

    def suggest(self, trial: Trial, name: str) -> Value:
        """A value for one trial."""
        return cast(Value, trial.suggest_categorical(name, self.root))

    def examples(self) -> tuple[Value, ...]:
        """Values that must be valid for the whole list to be."""
        return self.root

    def includes(self, value: Any) -> bool:
        """Whether the list contains a value."""
        return value in self.root


class SearchSpace(RootModel[dict[str, Range | Choices]]):
    """Setting -> the values to try."""

    model_config = ConfigDict(frozen=True)

    def suggest(self, trial: Trial) -> Settings:
        """Settings for one trial."""
        return {name: dimension.suggest(trial, name) for name, dimension in self.root.items()}

    def values_of(self, config: Config) -> Settings | None:
        """The values of these settings in a configuration; None if one of them lies outside the space."""
        values = {name: _read(config, name) for name in self.root}
        return values if all(self.root[name].includes(value) for name, value in values.items()) else None


def read_space(path: Path) -> str:
    """The text of a file with a search space.

    Raises:
        FaceForgeError: it cannot be read, or is empty.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FaceForgeError(f"search space {path} is unreadable: {error}") from None
    if not text.strip():
        raise FaceForgeError(f"search space {path} is empty; name at least one setting to vary")
    return text


def parse_space(text: str, preset: str, settings: str) -> SearchSpace:
    """Parses and checks a search space.

    Args:
        text: TOML; empty: the default space of the preset's model family.
        preset: the preset that the search starts from.
        settings: settings that are the same in all trials.

    Raises:
        FaceForgeError: the text is not TOML, or names a setting or value that does not exist.
    """
    fixed = parse_settings(settings)
    if not text.strip():
        family = resolve(preset, settings).model.family
        content: dict[str, Any] = {
            name: values for name, values in _DEFAULTS.get(family, _DEFAULT).items() if name not in fixed
        }
    else:
        content = _parse(text)
    space = SearchSpace({name: _dimension(name, values) for name, values in content.items()})
    if not space.root:
        raise FaceForgeError("the search space is empty; name at least one setting to vary")
    for name, dimension in space.root.items():
        if name in FIXED or name.partition(".")[0] not in SECTIONS:
            raise FaceForgeError(f"search space: {name} cannot be varied; choose settings of {', '.join(SECTIONS)}")
        if name in fixed:
            raise FaceForgeError(f"{name} is both in the search space and in --set; remove one of them")
        for value in dimension.examples():
            resolve(preset, {**fixed, name: value})
    return space


def settings_text(settings: Settings) -> str:
    """Settings as `--set` takes them: `train.learning_rate=0.001, train.penalty_interval=2`."""
    return ", ".join(
        f"{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in settings.items()
    )


def _dimension(name: str, values: Any) -> Range | Choices:
    try:
        return Range.model_validate(values) if isinstance(values, dict) else Choices.model_validate(values)
    except ValidationError as error:
        raise FaceForgeError(f"search space: {name}: {explain(error)}") from None


def _parse(text: str) -> dict[str, Any]:
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FaceForgeError(f"the search space is not valid TOML: {error}") from None
    # `[train]` with `learning_rate = ...` below it means the same as `"train.learning_rate" = ...`.
    sections = {name: content.pop(name) for name in SECTIONS if isinstance(content.get(name), dict)}
    nested = {f"{section}.{field}": values for section, fields in sections.items() for field, values in fields.items()}
    return content | nested


def _read(config: Config, name: str) -> Any:
    section, _, field = name.partition(".")
    value = getattr(getattr(config, section), field)
    return "+".join(value) if isinstance(value, tuple) else value


_DEFAULT: dict[str, Any] = {
    "train.learning_rate": {"low": 2e-4, "high": 4e-3, "log": True},
    "train.penalty_interval": [1, 2, 4, 8],
    "train.gamma": {"low": 1.0, "high": 30.0, "log": True},
    "train.gamma_final": {"low": 0.1, "high": 5.0, "log": True},
    "train.ema_kimg": {"low": 0.5, "high": 50.0, "log": True},
}
_DEFAULTS: dict[str, dict[str, Any]] = {
    "dcgan": {
        "train.learning_rate": {"low": 5e-5, "high": 1e-3, "log": True},
        "train.batch_size": [16, 32, 64, 128],
        "train.label_smoothing": {"low": 0.0, "high": 0.2},
        "train.ema_kimg": [0, 2, 10],
    },
}
