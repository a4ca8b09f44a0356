"""Architecture and sizes of a generator and its discriminator: enough to build them again."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

BATCH_NORM_MOMENTUM = 0.9  # share of the old moments that each batch keeps
FIRST_SIZE = 4  # the generator starts and the discriminator ends at 4 x 4 pixels


class ModelSpec(BaseModel):
    """Sizes of a generator and its discriminator."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: Literal["compact", "style", "dcgan"]
    image_size: int = Field(ge=FIRST_SIZE, le=1024)
    channels: Literal[1, 3]
    latent_size: int = Field(ge=1, le=4096)
    width: int = Field(ge=1, le=4096)
    max_width: int = Field(ge=1, le=4096)
    classes: tuple[
        Annotated[int, Field(ge=1, le=100_000)], ...
    ]  # vocabulary size of each condition column; empty = unconditional

    def stages(self) -> list[int]:
        """Resolutions from 4 to `image_size`, doubling."""
        sizes = [FIRST_SIZE]
        while sizes[-1] < self.image_size:
            sizes.append(sizes[-1] * 2)
        return sizes

    def width_at(self, size: int) -> int:
        """Channels at a resolution: `width` at the image's own, doubled per halving, at most `max_width`."""
        return min(self.width * self.image_size // size, self.max_width)
