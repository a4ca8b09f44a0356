"""Architecture and sizes of a generator and its discriminator: enough to build them again."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

BATCH_NORM_MOMENTUM = 0.9  # share of the old moments that each batch keeps
FIRST_SIZE = 4  # the generator starts and the discriminator ends at 4 x 4 pixels


class ModelSpec(BaseModel):
    """Sizes of a generator and its discriminator."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: Literal["compact", "style", "dcgan"]
    image_size: int
    channels: int
    latent_size: int
    width: int
    max_width: int
    classes: tuple[int, ...]  # vocabulary size of each condition column; empty = unconditional

    def stages(self) -> list[int]:
        """Resolutions from 4 to `image_size`, doubling."""
        sizes = [FIRST_SIZE]
        while sizes[-1] < self.image_size:
            sizes.append(sizes[-1] * 2)
        return sizes

    def width_at(self, size: int) -> int:
        """Channels at a resolution: `width` at the image's own, doubled per halving, at most `max_width`."""
        return min(self.width * self.image_size // size, self.max_width)
