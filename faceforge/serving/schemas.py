"""Request and response bodies, with the examples shown on the OpenAPI page."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, TypeAdapter, model_validator

from faceforge.serving.limits import MAX_IMAGES

_Text = Annotated[StrictStr, Field(max_length=200)]
_Number = Annotated[StrictInt, Field(ge=-(2**53), le=2**53)]
Label = _Text | StrictBool | _Number
_Labels = Annotated[list[Label], Field(min_length=1, max_length=MAX_IMAGES)]
_Seed = Annotated[StrictInt, Field(ge=0, le=2**63 - 1)]
_Truncation = Annotated[float, Field(ge=0, le=1, description="below 1: typical faces, less variety")]
_Columns = Field(
    None,
    max_length=100,
    description="label column -> class of all images; columns left out cycle through their classes",
)
ATTRIBUTES = TypeAdapter(Annotated[dict[_Text, Label], Field(max_length=100)])  # of the form field `attributes`
_MAX_FIELDS = 32
_ONE = "class of all images, for a model with one label column"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _few_fields(cls, values: Any) -> Any:
        if isinstance(values, dict) and len(values) > _MAX_FIELDS:  # one error for all, since each costs time
            raise ValueError(f"at most {_MAX_FIELDS} fields are accepted")
        return values


class GenerateRequest(_Body):
    """Images to generate; `{}` generates 16."""

    num_images: Annotated[StrictInt, Field(ge=1, le=MAX_IMAGES)] | None = Field(
        None, description="number of images; default: the length of `labels`, else 16"
    )
    label: Label | None = Field(None, description=_ONE)
    labels: _Labels | dict[_Text, _Labels] | None = Field(
        None, description="one class per image, or label column -> one class per image"
    )
    attributes: dict[_Text, Label] | None = _Columns
    seed: _Seed = Field(0, description="the same seed gives the same images")
    truncation: _Truncation = 1.0
    start: Annotated[StrictInt, Field(ge=0, le=2**53)] = Field(
        0, description="number of images of the seed's sequence to skip"
    )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"num_images": 4, "seed": 1},
                {"num_images": 8, "label": "smiling", "seed": 7, "truncation": 0.8},
                {"num_images": 8, "attributes": {"gender": "female", "glasses": True}},
            ]
        }
    )


class InterpolateRequest(_Body):
    """An interpolation from the first image of each seed to that of the next."""

    seeds: list[_Seed] = Field(min_length=2, max_length=16)
    steps: Annotated[StrictInt, Field(ge=2, le=MAX_IMAGES)] = Field(
        8, description="images from one seed to the next, both ends included"
    )
    label: Label | None = Field(None, description=_ONE)
    attributes: dict[_Text, Label] | None = Field(None, max_length=100, description="column -> class of all images")
    truncation: _Truncation = 1.0

    model_config = ConfigDict(json_schema_extra={"examples": [{"seeds": [1, 2], "steps": 8}]})


class GeneratedImage(BaseModel):
    """A generated image."""

    png: str = Field(description="PNG file, base64")
    labels: dict[str, str] = Field(description="label column -> class it was generated for")


class GeneratedImages(BaseModel):
    """Generated images, and the model that made them."""

    model: str = Field(examples=["models:/toyfaces/3"])
    images: list[GeneratedImage]


class Rating(BaseModel):
    """How real an uploaded image looks to the model's discriminator."""

    file: str = Field(description="file name as uploaded", examples=["me.jpg"])
    probability_real: float = Field(
        ge=0, le=1, description="calibrated: 80 % of the images rated 0.8 are real, if half of all images are"
    )


class Ratings(BaseModel):
    """One rating per uploaded file, in the same order."""

    model: str = Field(examples=["models:/toyfaces/3"])
    images: list[Rating]


class ModelFacts(BaseModel):
    """The model that is served."""

    model: str = Field(examples=["models:/toyfaces/3"])
    loaded: str = Field(description="time of loading, ISO 8601, UTC")
    image_size: int
    channels: int
    labels: dict[str, list[str]] = Field(description="label columns and their classes; empty = unconditional")
    rates_images: bool = Field(description="whether /v1/discriminate works: the model has a calibrated discriminator")
    dataset_digest: str = Field(description="digest of the image set it was trained on")
    limits: dict[str, Any] = Field(description="limits on requests")


class Health(BaseModel):
    """State of the server."""

    status: str = Field(examples=["ok"])


class Problem(BaseModel):
    """Why a request was refused, and what is expected."""

    detail: str = Field(examples=["expression = 'smilling' is not a class of the model; did you mean 'smiling'?"])
