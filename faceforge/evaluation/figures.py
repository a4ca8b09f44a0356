"""Tables and pictures as data: the diagnostics return them and the report renders them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from faceforge.data.pixels import to_png

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


class Strip(NamedTuple):
    """A named row of images.

    Attributes:
        name: what the row shows, for example the class.
        images: a contact sheet uint8 (H, W, C) for each column of the `Strips`.
    """

    name: str
    images: tuple[NDArray[np.uint8], ...]


class Strips(NamedTuple):
    """Rows of images with a name for every row.

    Attributes:
        columns: their names.
        rows: in order.
        edge: pixels of one image.
    """

    columns: tuple[str, ...]
    rows: list[Strip]
    edge: int


class Picture(NamedTuple):
    """A picture of the report.

    Attributes:
        section: prefix of the metrics that it belongs to, or `differences`.
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
    return Picture(section, title, caption, to_png(image), shown_width(image, edge))


def shown_width(image: NDArray[np.uint8], edge: int) -> int:
    """Width in CSS pixels of a contact sheet uint8 (H, W, C) whose tiles have `edge` pixels."""
    return int(image.shape[1] * max(1, round(SHOWN_EDGE / edge)))
