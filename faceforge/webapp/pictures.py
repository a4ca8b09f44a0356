"""Images for the browser: a responsive gallery, and files for download."""

from __future__ import annotations

import base64
import csv
import io
import zipfile
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from faceforge.data.overview.contact_sheet import image_grid
from faceforge.data.pixels import to_png

STYLE = """
<style>
.block-container { padding-top: 4rem; }
.ff-gallery { display: grid; gap: 6px; grid-template-columns: repeat(auto-fill, minmax(min(var(--tile), 100%), 1fr)); }
.ff-gallery.ff-single { grid-template-columns: minmax(0, 320px); }
.ff-gallery figure { margin: 0; }
.ff-gallery img { width: 100%; aspect-ratio: 1; border-radius: 6px; display: block; }
.ff-gallery figcaption { font-size: 0.75rem; opacity: 0.75; text-align: center; padding-top: 2px;
  overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
</style>
"""


def gallery(images: NDArray[np.uint8], captions: Sequence[str] = (), tile: int = 96) -> str:
    """HTML of a responsive gallery of images uint8 (N, H, W, C), in columns of about `tile` pixels."""
    figures = []
    for number, pixels in enumerate(images):
        caption = escape(captions[number]) if captions else ""
        below = f"<figcaption title='{caption}'>{caption}</figcaption>" if caption else ""
        source = base64.b64encode(to_png(pixels)).decode()
        alt = caption or f"generated face {number + 1}"
        figures.append(f"<figure><img alt='{alt}' src='data:image/png;base64,{source}'>{below}</figure>")
    single = " ff-single" if len(images) == 1 else ""
    return f"{STYLE}<div class='ff-gallery{single}' style='--tile: {tile}px'>{''.join(figures)}</div>"


def grid_png(images: NDArray[np.uint8]) -> bytes:
    """A PNG contact sheet of images uint8 (N, H, W, C), about as wide as high."""
    return to_png(image_grid(images, max(1, round(len(images) ** 0.5)), pad=1))


def zipped(images: NDArray[np.uint8], labels: Mapping[str, Sequence[str]]) -> bytes:
    """A ZIP of one PNG per image and `labels.csv`, which `faceforge ingest` reads."""
    buffer, table = io.BytesIO(), io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["file_name", *labels])
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, pixels in enumerate(images):
            name = f"{number:05d}.png"
            archive.writestr(zipfile.ZipInfo(name), to_png(pixels))
            writer.writerow([name, *(column[number] for column in labels.values())])
        archive.writestr(zipfile.ZipInfo("labels.csv"), table.getvalue())
    return buffer.getvalue()
