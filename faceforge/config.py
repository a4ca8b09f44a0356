"""Presets and settings: every number a run depends on, named, typed and validated before work starts.

A configuration is a preset plus `section.field=value` settings. The command line, the pipeline's
parameters and the Make targets are views of the same fields:

>>> resolve("toy", "train.kimg=20, augment.flip=false").train.kimg
20.0
"""

from __future__ import annotations

import json
import re
from difflib import get_close_matches
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from faceforge.errors import FaceForgeError, explain
from faceforge.presets import PRESETS

ImageSize = Literal[32, 64, 128, 256]
Names = tuple[str, ...]
Share = Annotated[float, Field(ge=0, le=1)]
Changes = tuple[Literal["flip", "translation", "colour", "cutout", "noise"], ...]


class Section(BaseModel):
    """A frozen group of fields that refuses unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


AnySection = TypeVar("AnySection", bound=Section)


class IngestConfig(Section):
    """How a source becomes an image set."""

    image_size: ImageSize = Field(64, description="edge of the square images, pixels")
    channels: Literal[1, 3] = Field(3, description="1 = greyscale, 3 = RGB")
    labels: Names | None = Field(None, description="label columns to keep; unset = all that the source declares")
    labels_from_name: str = Field(
        "", description="labels are fields of the file names, as in {age}_{gender}_{race}_{stamp}; empty = they are not"
    )
    missing: Literal["reject", "class"] = Field(
        "reject", description="images without a label: reject = leave out and list; class = give them the class unknown"
    )
    data_dir: str = Field("", description="tfds: folder of prepared data sets; empty = where TFDS keeps them")
    crop: Literal["centre", "box", "landmarks", "face", "none"] = Field(
        "centre",
        description="centre = central square; box / landmarks = as annotated; face = found; none = refuse non-square",
    )
    crop_size: int = Field(
        0, ge=0, description="edge of the central square, source pixels (CelebA: 108 or 148); 0 = as large as possible"
    )
    crop_margin: float = Field(
        0.25, ge=0, le=2, description="what to keep around a box or face on each side, as a share of it"
    )
    min_edge: int = Field(8, ge=1, description="least edge of what is kept of an image, source pixels")
    max_aspect: float = Field(4.0, ge=1, description="greatest ratio of the longer to the shorter edge")
    min_contrast: float = Field(
        0.01, ge=0, le=0.5, description="least standard deviation of the grey levels (0..1); below, an image is uniform"
    )
    min_sharpness: float = Field(
        0.0, ge=0, description="least variance of the Laplacian (grey 0..255, after resizing); 0 = blur is allowed"
    )
    near_duplicates: int = Field(
        4,
        ge=-1,
        le=8,
        description="perceptual hashes (64 bits) that differ in so many bits are copies; such go from train; -1 = keep",
    )
    min_class: int = Field(5, ge=1, description="least number of training images of every class")
    holdout: float = Field(0.1, gt=0, le=0.5, description="share of images frozen for evaluation, chosen by content")
    max_rejects: Share = Field(0.05, description="share of unreadable files above which ingest fails")
    limit: int = Field(0, ge=0, description="take at most this many images (0 = all); toyfaces: how many to draw")


class AugmentConfig(Section):
    """How the training split is enlarged. The holdout is never touched."""

    flip: bool = Field(False, description="add the mirror image of every training image")
    copies: int = Field(0, ge=0, le=20, description="jittered copies to add per training image")
    colour: Share = Field(0.1, description="strength of brightness/contrast/saturation jitter in copies")
    geometry: Share = Field(0.05, description="strength of shift/scale/rotation jitter in copies")
    balance: Names = Field(
        (), description="oversample until every combination of these label columns is equally frequent"
    )


class ModelConfig(Section):
    """The two networks."""

    family: Literal["compact", "residual", "dcgan"] = Field(
        "compact",
        description="compact = small and quick to learn; residual = larger, for GPUs; dcgan = as the paper",
    )
    latent_size: int = Field(64, ge=2, le=1024, description="dimensions of the latent vector")
    width: int = Field(32, ge=4, le=512, description="channels at the highest resolution of the generator")
    max_width: int = Field(
        128, ge=4, le=2048, description="channels are doubled per halving of the resolution up to this"
    )


class TrainConfig(Section):
    """The training recipe and its budget."""

    labels: Names | None = Field(None, description="condition on these columns; unset = all; empty = unconditional")
    init_from: str = Field(
        "", description="start from this bundle, or `models:/NAME@ALIAS`: whatever fits; empty = fresh weights"
    )
    kimg: float = Field(50.0, gt=0, description="budget, in thousands of real images shown to the discriminator")
    epochs: float = Field(0.0, ge=0, description="budget in passes over the training set; replaces kimg when above 0")
    minutes: float = Field(
        0.0, ge=0, description="budget in minutes of training; replaces kimg and epochs when above 0"
    )
    patience: int = Field(
        0, ge=0, le=1000, description="stop after so many checks on the holdout without a better one; 0 = never"
    )
    batch_size: int = Field(16, ge=2, le=4096, description="images per step, over all GPUs and machines")
    loss: Literal["relativistic", "bce", "hinge", "wasserstein"] = Field(
        "relativistic", description="relativistic pairing, non-saturating BCE, hinge, or Wasserstein"
    )
    label_smoothing: float = Field(0.0, ge=0, lt=0.5, description="bce only: real images count as real by 1 minus this")
    optimizer: Literal["adam", "rmsprop"] = "adam"
    learning_rate: float = Field(5e-4, gt=0, le=1)
    beta1: float = Field(0.0, ge=0, lt=1, description="Adam only")
    beta2: float = Field(0.9, gt=0, lt=1, description="Adam's beta2, or RMSprop's rho")
    beta2_final: float | None = Field(
        None, gt=0, lt=1, description="beta2 at the end of the budget (cosine in between); unset = stays"
    )
    lr_decay: bool = Field(True, description="cosine decay of the learning rate to a tenth over the budget")
    penalty: Literal["r1", "r1+r2", "interpolates"] = Field(
        "r1+r2", description="where the discriminator's slope is punished: real images, fakes too, or between them"
    )
    gamma: float = Field(20.0, ge=0, description="weight of the penalty; 0 = none")
    gamma_final: float = Field(1.0, ge=0, description="gamma at the end of the budget (cosine in between)")
    penalty_interval: int = Field(
        8, ge=1, le=64, description="penalties are computed every so many steps, with weight x interval (1: every step)"
    )
    spectral_norm: bool = Field(False, description="divide the discriminator's kernels by their largest singular value")
    diffaugment: Changes = Field(
        (), description="changes to all that the discriminator sees: flip, translation, colour, cutout, noise"
    )
    diffaugment_strength: Share = Field(1.0, description="share of images that are changed; of noise, how much")
    diffaugment_target: Share = Field(
        0.0, description="adapt the strength, from 0, to hold the overfitting signal here (0.6); 0 = it stays"
    )
    label_dropout: Share = Field(0.0, description="share of training images whose labels both networks do not see")
    label_ramp: Share = Field(0.0, description="share of the budget over which labels come to count in full")
    ema_kimg: float = Field(2.0, ge=0, description="half-life of the generator's moving average; 0 = none")
    seed: int = Field(0, ge=0, lt=2**31)
    precision: Literal["auto", "float32", "mixed_bfloat16"] = Field(
        "auto", description="auto = mixed_bfloat16 where the processor or a GPU computes in it, else float32"
    )
    xla: Literal["auto", "on", "off"] = Field("auto", description="compile by XLA; auto = on a GPU")
    log_points: int = Field(100, ge=20, le=10_000, description="how many points each loss curve gets")
    grids: int = Field(8, ge=5, le=200, description="how many sample grids are drawn, and checks made, over the budget")
    checkpoints: int = Field(10, ge=1, le=1000, description="how many checkpoints are written over the budget")

    @model_validator(mode="after")
    def _consistent(self) -> TrainConfig:
        if self.label_smoothing and self.loss != "bce":
            raise ValueError(f"train.label_smoothing has no meaning for the loss {self.loss!r}, only for 'bce'")
        if self.diffaugment_target and not self.diffaugment:
            raise ValueError("train.diffaugment_target needs train.diffaugment: the changes whose strength it adapts")
        if self.loss == "wasserstein" and not (self.gamma or self.spectral_norm):
            raise ValueError(
                "train.loss=wasserstein means nothing while nothing bounds the discriminator's slope: set train.gamma, "
                "or train.spectral_norm=true"
            )
        return self


class EvaluateConfig(Section):
    """How a model is judged and when it is promoted."""

    samples: int = Field(2048, ge=100, description="generated images to judge; FID takes no fewer than 2,048")
    seed: int = Field(0, ge=0, lt=2**31, description="seed of latents and labels of the judged samples")
    inception_weights: str = Field(
        "", description="weights of the FID network: path, address, or `download`; empty = no inception metrics"
    )
    classifier_epochs: int = Field(
        6, ge=1, le=200, description="passes of the domain classifier over the training split"
    )
    min_label_agreement: Share = Field(0.7, description="below this share of the real holdout's accuracy: reject")
    min_recall: Share = Field(0.0, description="below this domain recall: reject")
    max_frechet: float | None = Field(None, gt=0, description="above this domain/frechet: reject; unset = no limit")
    max_copies: Share = Field(
        0.05, description="above this share of samples that are copies of training images (unseen images: 0.01): reject"
    )
    min_improvement: Share = Field(
        0.02, description="relative drop of domain/frechet that a new champion must surely bring"
    )
    max_agreement_drop: Share = Field(
        0.05, description="domain/label_agreement that a new champion may lose, surely no more"
    )
    max_recall_drop: Share = Field(0.1, description="domain/recall that a new champion may lose, surely no more")
    confidence: float = Field(
        0.95, ge=0.5, lt=1, description="share of the intervals that hold the true number; 'surely' means this"
    )
    resamples: int = Field(200, ge=100, le=10_000, description="bootstrap draws behind each interval")


class Config(Section):
    """Everything one pipeline run depends on, besides its source."""

    preset: str
    ingest: IngestConfig
    augment: AugmentConfig
    model: ModelConfig
    train: TrainConfig
    evaluate: EvaluateConfig

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        chosen, kept = self.train.labels, self.ingest.labels
        if chosen and kept is not None and (missing := [name for name in chosen if name not in kept]):
            raise ValueError(f"train.labels names {missing} which ingest.labels {list(kept)} does not keep")
        if self.model.family == "dcgan" and self.train.gamma:
            raise ValueError(
                "train.gamma: penalties hold each image's slope, and the batch norm of model.family=dcgan ties images "
                "together; set train.gamma=0, or take another family"
            )
        return self


def preset_names() -> list[str]:
    """Names of the shipped presets, in the order of the documentation."""
    return list(PRESETS)


def resolve(preset: str = "toy", settings: str | dict[str, Any] = "") -> Config:
    """The configuration made of a preset and settings that override its fields.

    Args:
        preset: one of `preset_names()`.
        settings: `{"section.field": value}`, or the same as text, `"train.kimg=20, train.labels=gender+age"`. In
            text, members of a list are joined by `+`, an empty value is an empty list, `none` unsets a field, and
            quotes hold a value with commas together.

    Raises:
        FaceForgeError: naming the field, the value and what would be right.
    """
    if preset not in PRESETS:
        raise FaceForgeError(f"preset {preset!r} does not exist; presets: {', '.join(PRESETS)}")
    sections: dict[str, Any] = {name: dict(values) for name, values in PRESETS[preset].items() if name != "summary"}
    for name in _SECTIONS:
        sections.setdefault(name, {})
    for key, value in (parse_settings(settings) if isinstance(settings, str) else settings).items():
        section, _, field = key.partition(".")
        if section not in _SECTIONS or field not in _SECTIONS[section].model_fields:
            raise FaceForgeError(f"setting {key!r} does not exist{_suggestion(key)}")
        sections[section][field] = _read(value, _SECTIONS[section], field) if isinstance(value, str) else value
    try:
        return Config(preset=preset, **sections)
    except ValidationError as error:
        raise FaceForgeError(explain(error)) from None


def read_section(section: type[AnySection], settings: dict[str, Any]) -> AnySection:
    """A section from values by field; text is read as `resolve` reads it.

    Raises:
        FaceForgeError: naming the field, the value and what would be right.
    """
    for field in settings:
        if field not in section.model_fields:
            close = get_close_matches(field, section.model_fields, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(section.model_fields)}"
            raise FaceForgeError(f"setting {field!r} does not exist{hint}")
    values = {
        name: _read(value, section, name) if isinstance(value, str) else value for name, value in settings.items()
    }
    try:
        return section.model_validate(values)
    except ValidationError as error:
        raise FaceForgeError(explain(error)) from None


def parse_settings(text: str) -> dict[str, str]:
    """`"a.b=1, c.d='x, y'"` -> `{"a.b": "1", "c.d": "x, y"}`: quotes keep commas together."""
    found: dict[str, str] = {}
    for item in filter(None, (part.strip() for part in _SETTING.findall(text))):
        key, equals, value = item.partition("=")
        if not equals:
            raise FaceForgeError(f"setting {item!r} lacks '='; write section.field=value, for example train.kimg=20")
        value = value.strip()
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        found[key.strip()] = value[1:-1] if quoted else value
    return found


def as_json(config: BaseModel) -> str:
    """The resolved configuration as sorted, indented JSON."""
    return json.dumps(config.model_dump(mode="json"), indent=2, sort_keys=True)


def flatten(config: Config) -> dict[str, Any]:
    """`{"section.field": value}` of every field, for parameter logging."""
    dumped = config.model_dump(mode="json")
    flat: dict[str, Any] = {"preset": dumped.pop("preset")}
    for section, values in dumped.items():
        flat.update({f"{section}.{field}": value for field, value in values.items()})
    return flat


_SETTING = re.compile(r"""(?:"[^"]*"|'[^']*'|[^,\n])+""")
_SECTIONS: dict[str, type[Section]] = {
    "ingest": IngestConfig,
    "augment": AugmentConfig,
    "model": ModelConfig,
    "train": TrainConfig,
    "evaluate": EvaluateConfig,
}


def _read(text: str, section: type[Section], field: str) -> Any:
    """A setting's text as the Python value pydantic should see."""
    if text.lower() == "none":
        return None
    if "tuple" in str(section.model_fields[field].annotation):
        return tuple(filter(None, (part.strip() for part in text.split("+"))))
    return int(text) if text.lstrip("-").isdigit() else text


def _suggestion(key: str) -> str:
    known = [f"{name}.{field}" for name, section in _SECTIONS.items() for field in section.model_fields]
    close = get_close_matches(key, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; sections: {', '.join(_SECTIONS)}"


def labels_option(config: IngestConfig, labels: str | None) -> tuple[IngestConfig, str | None]:
    """Reads an option `labels`: a CSV or Parquet file with labels, or columns to keep (`gender,age_group`).

    Returns:
        the configuration with the columns set, and the path of the file; None: there is none.
    """
    if not labels:
        return config, None
    if labels.lower().endswith((".csv", ".tsv", ".parquet", ".pq")):
        return config, labels
    names = tuple(filter(None, (name.strip() for name in re.split(r"[,+]", labels))))
    return (config.model_copy(update={"labels": names}) if names else config), None
