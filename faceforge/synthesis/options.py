"""What a synthetic image set is made by."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from faceforge.config import Names, Section, Share, parse_settings, read_section

Check = Literal["labels", "copies"]
Format = Literal["folder", "webdataset", "tfds", "coco"]


class SynthesisConfig(Section):
    """How many images of what, which of them to refuse, and what to write beside the Parquet image set.

    Just one of `count`, `per_class` and `balance` says how many.
    """

    count: int = Field(0, ge=0, description="so many images in all, spread evenly over all combinations of labels")
    per_class: int = Field(0, ge=0, description="so many images of every class, or combination of classes of `by`")
    balance: bool = Field(False, description="what the train split of the data lacks for equal classes")
    target: int = Field(
        0, ge=0, description="images per class that balancing fills up to; 0 = as many as the largest class has"
    )
    by: Names = Field((), description="label columns whose combinations are counted; empty = all of the model's")
    seed: int = Field(0, ge=0, lt=2**31, description="of the latents")
    truncation: Share = Field(1.0, description="scales the latents: below 1 typical faces, less variety")
    reject: tuple[Check, ...] = Field(
        (), description="labels = a classifier sees another label; copies = nearly a training image"
    )
    drop_worst: float = Field(
        0.0, ge=0, le=0.9, description="share of candidates to refuse, those the discriminator finds least real"
    )
    max_tries: int = Field(20, ge=1, le=1000, description="candidates per wanted image after which to give up")
    formats: tuple[Format, ...] = Field((), description="written beside the Parquet image set")
    min_label_agreement: Share = Field(
        0.7, description="below this share of images in which the classifier sees their label: not published"
    )

    @model_validator(mode="after")
    def _one_amount(self) -> SynthesisConfig:
        given = [name for name in ("count", "per_class", "balance") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(f"say how many with just one of count, per_class and balance, not {given or 'none'}")
        if self.target and not self.balance:
            raise ValueError("target belongs to balance")
        if self.by and self.count:
            raise ValueError("by belongs to per_class and balance")
        return self


def synthesis_config(settings: str | dict[str, Any]) -> SynthesisConfig:
    """The options in `settings`: values by name, or text such as `"per_class=500, reject=labels+copies, seed=1"`.

    Raises:
        FaceForgeError: naming the option, the value and what would be right.
    """
    return read_section(SynthesisConfig, parse_settings(settings) if isinstance(settings, str) else settings)
