"""Presets and settings: every parameter of a run, named, typed and validated before work starts.

A configuration is a preset plus `section.field=value` settings. The command line, the pipeline's
parameters and the Make targets are views of the same fields:

>>> resolve("toy", "train.kimg=20, augment.flip=false").train.kimg
20.0
"""

from __future__ import annotations

import json
import re
from difflib import get_close_matches
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from faceforge.errors import FaceForgeError, explain, without_passwords
from faceforge.presets import PRESETS

ImageSize = Literal[32, 64, 128, 256]
Names = tuple[str, ...]
Share = Annotated[float, Field(ge=0, le=1)]
Changes = tuple[Literal["flip", "translation", "colour", "cutout", "noise"], ...]


class Section(BaseModel):
    """A frozen group of fields that refuses unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _without_password(cls, value: Any) -> Any:
        if isinstance(value, str) and without_passwords(value) != value:
            raise ValueError("settings are stored with the run; give the address without user and password")
        return value


AnySection = TypeVar("AnySection", bound=Section)


class IngestConfig(Section):
    """How a source becomes an image set."""

    image_size: ImageSize = Field(64, description="edge of the square images, pixels")
    channels: Literal[1, 3] = Field(3, description="1 = greyscale, 3 = RGB")
    labels: Names | None = Field(None, description="label columns to keep; unset = all columns of the source")
    labels_from_name: str = Field(
        "",
        description="pattern of file names that hold labels, as {age}_{gender}_{race}_{stamp}; empty = names hold none",
    )
    missing: Literal["reject", "class"] = Field(
        "reject",
        description="images without a label: reject = leave them out and list them; class = label them unknown",
    )
    bins: str = Field(
        "",
        description="numbers as classes: edges, as in age:0,13,25,40,60, or quantiles, as in age:q4; join by ;",
    )
    group: str = Field(
        "",
        description="keep images of a group (a person) in one split: a column, folder, or a pattern {person}_{number}",
    )
    image_column: str = Field("", description="column of images where a table or arrays have several; empty = `image`")
    data_dir: str = Field("", description="tfds: folder of prepared data sets; empty = the default folder of TFDS")
    crop: Literal["centre", "box", "landmarks", "face", "none"] = Field(
        "centre",
        description="centre = central square; box / landmarks = annotated; face = detected; none = square images only",
    )
    face_model: str = Field(
        "",
        description="YuNet as an ONNX file, to detect faces and their landmarks; empty = OpenCV's cascade, for boxes",
    )
    crop_size: int = Field(
        0, ge=0, description="edge of the central square, source pixels (CelebA: 108 or 148); 0 = as large as possible"
    )
    crop_margin: float = Field(
        0.25, ge=0, le=2, description="margin around a box or face on each side, as a share of its size"
    )
    min_edge: int = Field(8, ge=1, description="smallest edge of the cropped image, source pixels")
    max_aspect: float = Field(4.0, ge=1, description="largest ratio of the longer to the shorter edge")
    min_contrast: float = Field(
        0.01,
        ge=0,
        le=0.5,
        description="smallest standard deviation of grey levels (0..1); images below it are rejected as uniform",
    )
    min_sharpness: float = Field(
        0.0,
        ge=0,
        description="smallest variance of the Laplacian (grey 0..255, after resizing); 0 = blurred images are kept",
    )
    near_duplicates: int = Field(
        4,
        ge=-1,
        le=8,
        description="near duplicates differ in at most this many bits of their perceptual hash; -1 = keep them",
    )
    min_class: int = Field(5, ge=1, description="smallest number of training images of every class")
    holdout: float = Field(0.1, gt=0, le=0.5, description="share of images kept for evaluation, chosen by content")
    max_rejects: Share = Field(0.05, description="share of unreadable files above which ingest fails")
    limit: int = Field(0, ge=0, description="take at most this many images (0 = all); toyfaces: how many to draw")


class AugmentConfig(Section):
    """How the training split is enlarged. The holdout stays unchanged."""

    flip: bool = Field(False, description="add the mirror image of every training image")
    copies: int = Field(0, ge=0, le=20, description="jittered copies to add per training image")
    colour: Share = Field(0.1, description="strength of brightness/contrast/saturation jitter in copies")
    geometry: Share = Field(0.05, description="strength of shift/scale/rotation jitter in copies")
    balance: Names = Field(
        (), description="oversample until every combination of these label columns is equally frequent"
    )


class ModelConfig(Section):
    """The two networks."""

    family: Literal["compact", "style", "dcgan"] = Field(
        "compact",
        description="compact = trains quickly; style = the same with a mapping network; dcgan = Radford et al. (2016)",
    )
    latent_size: int = Field(64, ge=2, le=1024, description="dimensions of the latent vector")
    width: int = Field(32, ge=4, le=512, description="channels at the highest resolution of the generator")
    max_width: int = Field(
        128, ge=4, le=2048, description="largest number of channels; it doubles whenever the resolution halves"
    )


class TrainConfig(Section):
    """The training recipe and its budget."""

    labels: Names | None = Field(None, description="label columns to condition on; unset = all; empty = unconditional")
    init_from: str = Field(
        "",
        description="initial weights from this bundle or `models:/NAME@ALIAS`, as far as they fit; empty = random",
    )
    kimg: float = Field(50.0, gt=0, description="budget, in thousands of real images shown to the discriminator")
    epochs: float = Field(0.0, ge=0, description="budget in passes over the training set; replaces kimg when above 0")
    minutes: float = Field(
        0.0, ge=0, description="budget in minutes of training; replaces kimg and epochs when above 0"
    )
    patience: int = Field(
        0, ge=0, le=1000, description="stop after this many holdout checks without improvement; 0 = never"
    )
    batch_size: int = Field(16, ge=2, le=4096, description="images per step, over all GPUs and machines")
    loss: Literal["relativistic", "bce", "hinge", "wasserstein"] = Field(
        "relativistic", description="relativistic pairing, non-saturating BCE, hinge, or Wasserstein"
    )
    label_smoothing: float = Field(0.0, ge=0, lt=0.5, description="bce only: the target of real images is 1 minus this")
    optimizer: Literal["adam", "rmsprop"] = "adam"
    learning_rate: float = Field(5e-4, gt=0, le=1)
    beta1: float = Field(0.0, ge=0, lt=1, description="Adam only")
    beta2: float = Field(0.9, gt=0, lt=1, description="Adam's beta2, or RMSprop's rho")
    beta2_final: float | None = Field(
        None, gt=0, lt=1, description="beta2 at the end of the budget (cosine in between); unset = stays"
    )
    lr_decay: bool = Field(True, description="cosine decay of the learning rate to a tenth over the budget")
    penalty: Literal["r1", "r1+r2", "interpolates"] = Field(
        "r1+r2",
        description="gradient penalty at real images (r1), at real and fake ones (r1+r2), or in between (interpolates)",
    )
    gamma: float = Field(20.0, ge=0, description="weight of the penalty; 0 = none")
    gamma_final: float = Field(1.0, ge=0, description="gamma at the end of the budget (cosine in between)")
    penalty_interval: int = Field(
        8, ge=1, le=64, description="steps between penalties, whose weight is multiplied by it (lazy regularisation)"
    )
    spectral_norm: bool = Field(False, description="divide the discriminator's kernels by their largest singular value")
    diffaugment: Changes = Field(
        (),
        description="augmentations of all images that the discriminator sees: flip, translation, colour, cutout, noise",
    )
    diffaugment_strength: Share = Field(1.0, description="share of images that are augmented; for noise, its amount")
    diffaugment_target: Share = Field(
        0.0,
        description="adapt the strength so that the overfitting signal stays at this value (0.6); 0 = fixed strength",
    )
    label_dropout: Share = Field(0.0, description="share of training images whose labels are hidden from both networks")
    label_ramp: Share = Field(0.0, description="share of the budget over which the weight of labels rises to 1")
    ema_kimg: float = Field(2.0, ge=0, description="half-life of the generator's moving average; 0 = none")
    discriminator_steps: int = Field(1, ge=1, le=1000, description="discriminator updates per generator update")
    dp_epsilon: float = Field(
        0.0,
        ge=0,
        le=500,
        description="train with differential privacy at this epsilon (loss bce or hinge, gamma 0); 0 = without",
    )
    dp_delta: float = Field(
        1e-5, gt=0, lt=1, description="delta of differential privacy; well below 1 / training images"
    )
    dp_clip: float = Field(
        1.0, gt=0, description="norm to which the discriminator's gradient of each image is clipped, with dp_epsilon"
    )
    seed: int = Field(0, ge=0, lt=2**31)
    precision: Literal["auto", "float32", "mixed_bfloat16"] = Field(
        "auto", description="auto = mixed_bfloat16 if the processor or GPU supports it, else float32"
    )
    xla: Literal["auto", "on", "off"] = Field("auto", description="compile with XLA; auto = only on a GPU")
    log_points: int = Field(100, ge=20, le=10_000, description="points per loss curve")
    grids: int = Field(8, ge=5, le=200, description="sample grids and holdout checks over the budget")
    checkpoints: int = Field(10, ge=1, le=1000, description="checkpoints over the budget")
    checkpoint_minutes: float = Field(
        5.0, ge=0, description="a further checkpoint when there was none for this many minutes of training; 0 = never"
    )

    @model_validator(mode="after")
    def _consistent(self) -> TrainConfig:
        if self.label_smoothing and self.loss != "bce":
            raise ValueError(f"train.label_smoothing applies to the loss 'bce' only, not to {self.loss!r}")
        if self.diffaugment_target and not self.diffaugment:
            raise ValueError("train.diffaugment_target needs train.diffaugment, whose strength it adapts")
        if self.loss == "wasserstein" and not (self.gamma or self.spectral_norm):
            raise ValueError(
                "train.loss=wasserstein needs a bound on the discriminator's gradient: set train.gamma or "
                "train.spectral_norm=true"
            )
        if self.dp_epsilon and (changes := self._not_private()):
            raise ValueError(f"train.dp_epsilon (differential privacy) needs {', '.join(changes)}")
        return self

    def _not_private(self) -> list[str]:
        """Settings that training with differential privacy does not allow, each as what to set instead."""
        refused = {
            "train.loss=bce or hinge": self.loss not in ("bce", "hinge"),
            "train.gamma=0": self.gamma > 0,
            "train.spectral_norm=false": self.spectral_norm,
            "train.diffaugment_target=0": self.diffaugment_target > 0,
            "train.patience=0": self.patience > 0,
            "train.kimg or train.epochs in place of train.minutes": self.minutes > 0,
        }
        return [change for change, wrong in refused.items() if wrong]


class EvaluateConfig(Section):
    """How a model is evaluated and when it is promoted."""

    samples: int = Field(2048, ge=100, description="generated images to evaluate; FID needs at least 2,048")
    seed: int = Field(0, ge=0, lt=2**31, description="seed of the latents and labels of these images")
    inception_weights: str = Field(
        "", description="weights of the FID network: path, address, or `download`; empty = no inception metrics"
    )
    face_model: str = Field(
        "", description="YuNet as an ONNX file, to find faces in samples and holdout images; empty = OpenCV's cascade"
    )
    classifier_epochs: int = Field(6, ge=1, le=200, description="epochs of the domain classifier on the training split")
    min_label_agreement: Share = Field(0.7, description="reject below this share of the accuracy on the real holdout")
    min_recall: Share = Field(0.0, description="reject below this domain/recall")
    max_frechet: float | None = Field(None, gt=0, description="reject above this domain/frechet; unset = no limit")
    max_copies: Share = Field(
        0.05, description="reject above this share of samples that copy training images (unseen real images: 0.01)"
    )
    max_near_exact_copies: int = Field(2, ge=0, description="hold above this number of near-exact training images")
    min_class_agreement: Share = Field(
        0.5, description="hold if a class is surely below this share of the agreement of its real images"
    )
    min_class_diversity: Share = Field(0.5, description="hold if a class is below this share of its real diversity")
    max_frechet_ratio: float = Field(
        30.0, gt=0, description="hold a first version above this multiple of the real images' domain/frechet"
    )
    min_recall_ratio: Share = Field(
        0.15, description="hold a first version below this share of the real images' domain/recall"
    )
    min_improvement: Share = Field(
        0.02, description="smallest relative drop of domain/frechet for promotion, beyond the confidence interval"
    )
    max_agreement_drop: Share = Field(
        0.05, description="largest loss of domain/label_agreement for promotion, by the confidence interval"
    )
    max_recall_drop: Share = Field(
        0.1, description="largest loss of domain/recall for promotion, by the confidence interval"
    )
    confidence: float = Field(0.95, ge=0.5, lt=1, description="confidence level of the intervals")
    resamples: int = Field(200, ge=100, le=10_000, description="bootstrap resamples per interval")


class ExportConfig(Section):
    """What an export hands out."""

    with_discriminator: bool = Field(
        False, description="include the discriminator, from which one can tell which images it was trained on"
    )


class Config(Section):
    """All settings of a pipeline run, besides its source."""

    preset: str
    ingest: IngestConfig
    augment: AugmentConfig
    model: ModelConfig
    train: TrainConfig
    evaluate: EvaluateConfig
    export: ExportConfig

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        chosen, kept = self.train.labels, self.ingest.labels
        if chosen and kept is not None and (missing := [name for name in chosen if name not in kept]):
            raise ValueError(f"train.labels names {missing} which are not in ingest.labels {list(kept)}")
        if self.model.family == "dcgan" and self.train.gamma:
            raise ValueError(
                "train.gamma: gradient penalties are per image, but batch norm (model.family=dcgan) mixes the images "
                "of a batch; set train.gamma=0, or choose another family"
            )
        if self.train.dp_epsilon:
            if self.model.family == "dcgan":
                raise ValueError(
                    "train.dp_epsilon: clipping is per image, but batch norm (model.family=dcgan) mixes the images of "
                    "a batch; choose another family"
                )
            if self.augment.flip or self.augment.copies or self.augment.balance:
                raise ValueError(
                    "train.dp_epsilon protects single images, and augment.* makes several of each; set "
                    "augment.flip=false, augment.copies=0 and augment.balance= (empty), and use train.diffaugment"
                )
        return self


def preset_names() -> list[str]:
    """Names of the presets, in the order of the documentation."""
    return list(PRESETS)


def resolve(preset: str = "toy", settings: str | dict[str, Any] = "") -> Config:
    """The configuration of a preset, with some of its fields overridden by settings.

    Args:
        preset: one of `preset_names()`.
        settings: `{"section.field": value}`, or the same as text, `"train.kimg=20, train.labels=gender+age"`. In
            text, list members are joined by `+`, an empty value is an empty list, `none` unsets a field, and quotes
            enclose a value with commas.

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
    """A section with the given values by field; text is parsed as in `resolve`.

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
    """Parses `"a.b=1, c.d='x, y', e.f=1,2"` into `{"a.b": "1", "c.d": "x, y", "e.f": "1,2"}`; quotes protect commas."""
    settings: dict[str, str] = {}
    key = ""
    for item in filter(None, (part.strip() for part in _SETTING.findall(text))):
        if key and _CONTINUED.match(item):
            settings[key.strip()] += f",{item}"
            continue
        key, equals, value = item.partition("=")
        if not equals:
            raise FaceForgeError(f"setting {item!r} lacks '='; write section.field=value, for example train.kimg=20")
        value = value.strip()
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        settings[key.strip()] = value[1:-1] if quoted else value
    return settings


def as_json(config: BaseModel) -> str:
    """The configuration as sorted, indented JSON."""
    return json.dumps(config.model_dump(mode="json"), indent=2, sort_keys=True)


def flatten(config: Config) -> dict[str, Any]:
    """All fields as `{"section.field": value}`, for logging as parameters."""
    dumped = config.model_dump(mode="json")
    flat: dict[str, Any] = {"preset": dumped.pop("preset")}
    for section, values in dumped.items():
        flat.update({f"{section}.{field}": value for field, value in values.items()})
    return flat


_SETTING = re.compile(r"""(?:"[^"]*"|'[^']*'|[^,\n])+""")
_CONTINUED = re.compile(r"-?\d[\d.]*\s*(;|$)")  # a number after a comma within a value, as in age:0,13,25
_INTEGER = re.compile(r"-?[0-9]{1,18}")  # longer ones stay text, for a field's own check
_SECTIONS: dict[str, type[Section]] = {
    "ingest": IngestConfig,
    "augment": AugmentConfig,
    "model": ModelConfig,
    "train": TrainConfig,
    "evaluate": EvaluateConfig,
    "export": ExportConfig,
}


def _read(text: str, section: type[Section], field: str) -> Any:
    """The Python value of a setting's text, for pydantic to validate."""
    if text.lower() == "none":
        return None
    if _takes_tuple(section.model_fields[field].annotation):
        return tuple(filter(None, (part.strip() for part in text.split("+"))))
    return int(text) if _INTEGER.fullmatch(text) else text


def _takes_tuple(annotation: Any) -> bool:
    """Whether a field's type is a tuple, or a union with one."""
    return get_origin(annotation) is tuple or any(get_origin(member) is tuple for member in get_args(annotation))


def _suggestion(key: str) -> str:
    known = [f"{name}.{field}" for name, section in _SECTIONS.items() for field in section.model_fields]
    close = get_close_matches(key, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; sections: {', '.join(_SECTIONS)}"


def labels_option(config: IngestConfig, labels: str | None) -> tuple[IngestConfig, str | None]:
    """Reads an option `labels`: a file of labels (CSV, JSON, Parquet, ...), or columns to keep (`gender,age_group`).

    Returns:
        the configuration with the columns set, and the path of the file; None: there is none.
    """
    if not labels:
        return config, None
    if labels.lower().endswith((".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet", ".pq")):
        return config, labels
    names = tuple(filter(None, (name.strip() for name in re.split(r"[,+]", labels))))
    return (config.model_copy(update={"labels": names}) if names else config), None
