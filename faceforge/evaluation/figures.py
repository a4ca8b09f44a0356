"""Tables and pictures as data: the diagnostics return them and the report renders them."""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

SHOWN_EDGE = 64  # small images are enlarged to about this many pixels


class Table(BaseModel):
    """Rows of text and numbers under named columns; None = not available.

    Attributes:
        title: what it shows.
        caption: how to read it.
        columns: names.
        rows: a cell per column.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    title: str
    caption: str
    columns: list[str]
    rows: list[list[str | int | float | None]]


class Picture(NamedTuple):
    """A picture of the report.

    Attributes:
        section: prefix of the metrics that it belongs to, or `samples`, `paired`, `differences`.
        title: heading.
        caption: how to read it.
        png: content of a PNG file.
        width: displayed width in CSS pixels; 0 = the default.
    """

    section: str
    title: str
    caption: str
    png: bytes
    width: int = 0


def picture(section: str, title: str, caption: str, image: NDArray[np.uint8], edge: int) -> Picture:
    """A picture from a contact sheet uint8 (H, W, C) whose tiles have `edge` pixels; small tiles are enlarged."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, "PNG")
    return Picture(section, title, caption, buffer.getvalue(), image.shape[1] * max(1, round(SHOWN_EDGE / edge)))
