"""Options of a synthetic image set."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from faceforge.config import Names, Section, Share, parse_settings, read_section

Check = Literal["labels", "copies"]
Format = Literal["folder", "webdataset", "tfds", "coco"]


class SynthesisConfig(Section):
    """How many images to make, which candidates to reject, and which other formats to write.

    Exactly one of `count`, `per_class` and `balance` sets the number of images.
    """

    count: int = Field(0, ge=0, description="total number of images, spread evenly over all combinations of labels")
    per_class: int = Field(0, ge=0, description="images per class, or per combination of the columns in `by`")
    balance: bool = Field(False, description="make what the train split of the data needs for equal class sizes")
    target: int = Field(0, ge=0, description="images per class after balancing; 0 = the size of the largest class")
    by: Names = Field((), description="label columns whose combinations are counted; empty = all columns of the model")
    seed: int = Field(0, ge=0, lt=2**31, description="random seed")
    truncation: Share = Field(
        1.0, description="scale of the latents: below 1 gives more typical faces and less variety"
    )
    reject: tuple[Check, ...] = Field(
        (), description="labels = a classifier predicts another label; copies = nearly identical to a training image"
    )
    drop_worst: float = Field(
        0.0, ge=0, le=0.9, description="share of candidates to reject: those with the lowest discriminator scores"
    )
    max_tries: int = Field(20, ge=1, le=1000, description="give up after this many candidates per requested image")
    formats: tuple[Format, ...] = Field((), description="formats to write in addition to the Parquet image set")
    license: str = Field(
        "", pattern=r"^[a-z0-9.+-]*$", description="licence of the set in its card, as the hub writes it: cc-by-4.0"
    )
    min_label_agreement: Share = Field(
        0.7,
        description="the set is not published if the classifier confirms the label of a smaller share of its images",
    )

    @model_validator(mode="after")
    def _one_amount(self) -> SynthesisConfig:
        amounts = [name for name in ("count", "per_class", "balance") if getattr(self, name)]
        if len(amounts) != 1:
            raise ValueError(f"set exactly one of count, per_class and balance, not {' and '.join(amounts) or 'none'}")
        if self.target and not self.balance:
            raise ValueError("target needs balance")
        if self.by and self.count:
            raise ValueError("by needs per_class or balance")
        return self


def synthesis_config(settings: str | dict[str, Any]) -> SynthesisConfig:
    """The options in `settings`: values by name, or text such as `"per_class=500, reject=labels+copies, seed=1"`.

    Raises:
        FaceForgeError: naming the option, the value and what would be right.
    """
    return read_section(SynthesisConfig, parse_settings(settings) if isinstance(settings, str) else settings)
