"""Bodies of requests and answers, with the examples that the OpenAPI page shows."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from faceforge.serving.limits import MAX_IMAGES

_Text = Annotated[StrictStr, Field(max_length=200)]
_Number = Annotated[StrictInt, Field(ge=-(2**53), le=2**53)]
Label = _Text | StrictBool | _Number
_Labels = Annotated[list[Label], Field(min_length=1, max_length=MAX_IMAGES)]
_Seed = Annotated[StrictInt, Field(ge=0, le=2**63 - 1)]
_Truncation = Annotated[float, Field(ge=0, le=1, description="below 1: typical faces, less variety")]
_Columns = Field(None, max_length=100, description="column -> class of all images; columns left out take turns")
_ONE = "class of all images, for a model of one label column"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class GenerateRequest(_Body):
    """Which images to draw; `{}` draws 16."""

    num_images: Annotated[StrictInt, Field(ge=1, le=MAX_IMAGES)] | None = Field(
        None, description="how many; unset: as many as `labels`, else 16"
    )
    label: Label | None = Field(None, description=_ONE)
    labels: _Labels | dict[_Text, _Labels] | None = Field(
        None, description="a class per image; or column -> a class per image"
    )
    attributes: dict[_Text, Label] | None = _Columns
    seed: _Seed = Field(0, description="the same seed gives the same images")
    truncation: _Truncation = 1.0
    start: Annotated[StrictInt, Field(ge=0, le=2**53)] = Field(
        0, description="skip so many images of the seed's series"
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
    """A walk from the first image of each seed to that of the next."""

    seeds: list[_Seed] = Field(min_length=2, max_length=16)
    steps: Annotated[StrictInt, Field(ge=2, le=MAX_IMAGES)] = Field(8, description="images per leg, ends included")
    label: Label | None = Field(None, description=_ONE)
    attributes: dict[_Text, Label] | None = Field(None, max_length=100, description="column -> class of all images")
    truncation: _Truncation = 1.0

    model_config = ConfigDict(json_schema_extra={"examples": [{"seeds": [1, 2], "steps": 8}]})


class DrawnImage(BaseModel):
    """A generated image."""

    png: str = Field(description="PNG file, base64")
    labels: dict[str, str] = Field(description="column -> class it was drawn for")


class DrawnImages(BaseModel):
    """Generated images, and what made them."""

    model: str = Field(examples=["models:/faceforge/3"])
    images: list[DrawnImage]


class Rating(BaseModel):
    """How real an uploaded image looks to the model's discriminator."""

    file: str = Field(description="the file's name as it was sent", examples=["me.jpg"])
    probability_real: float = Field(
        ge=0, le=1, description="calibrated: of images rated 0.8, 80 % are real where half of all are"
    )


class Ratings(BaseModel):
    """One rating per uploaded file, in their order."""

    model: str = Field(examples=["models:/faceforge/3"])
    images: list[Rating]


class ModelFacts(BaseModel):
    """The model that is served."""

    model: str = Field(examples=["models:/faceforge/3"])
    loaded: str = Field(description="when, ISO 8601, UTC")
    image_size: int
    channels: int
    labels: dict[str, list[str]] = Field(description="label columns and their classes; empty = unconditional")
    rates_images: bool = Field(description="whether /v1/discriminate works: the model has a calibrated discriminator")
    dataset_digest: str = Field(description="of the images it was trained on")
    limits: dict[str, Any] = Field(description="what a request may ask for")


class Health(BaseModel):
    """State of the server."""

    status: str = Field(examples=["ok"])


class Problem(BaseModel):
    """Why a request was not served, and what would be right."""

    detail: str = Field(examples=["expression = 'smilling' is not a class of the model; did you mean 'smiling'?"])
