"""Pictures of a report: contact sheets of samples and of real images."""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.data.sheet import image_grid
from faceforge.evaluation.judging import Judged
from faceforge.evaluation.yardstick import Yardstick
from faceforge.models.bundle import Bundle
from faceforge.models.sampling import draw_latents, label_combinations

SHEET_ROWS, SHEET_COLUMNS = 16, 10
PAIRED_ROWS, PAIRED_COLUMNS = 10, 8
SHOWN_EDGE = 64  # small images are enlarged to about this many pixels


class Picture(NamedTuple):
    """An image of the page.

    Attributes:
        section: the group of metrics it belongs to, or `samples`, `paired`, `differences`.
        title: heading.
        caption: how to read it.
        png: content of a PNG file.
        width: as shown, in CSS pixels; 0 = as it is.
    """

    section: str
    title: str
    caption: str
    png: bytes
    width: int = 0


def picture(section: str, title: str, caption: str, image: NDArray[np.uint8], edge: int) -> Picture:
    """A sheet of images (uint8 (H, W, C)) whose single images have `edge` pixels; small ones are shown enlarged."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, "PNG")
    return Picture(section, title, caption, buffer.getvalue(), image.shape[1] * max(1, round(SHOWN_EDGE / edge)))


def sample_sheet(bundle: Bundle, seed: int) -> NDArray[np.uint8]:
    """A grid of samples: a row per combination of classes (the first `SHEET_ROWS`), the same latents in every row."""
    combinations = label_combinations(bundle.info.labels)[:SHEET_ROWS]
    rows = len(combinations) if bundle.info.labels else SHEET_COLUMNS // 2
    latents = draw_latents(seed, SHEET_COLUMNS * (1 if bundle.info.labels else rows), bundle.info.spec.latent_size)
    if bundle.info.labels:
        latents = np.tile(latents, (rows, 1))
    labels = np.repeat(combinations, len(latents) // len(combinations), axis=0)
    return image_grid(bundle.generate(latents, labels), columns=SHEET_COLUMNS, pad=1)


def real_and_generated(judged: Judged, yardstick: Yardstick) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Two sheets of equal layout, unsorted and unpicked: holdout images, and samples asked for the same labels.

    A row shows one combination of the labels that the model takes, the most frequent first.
    """
    columns = [list(yardstick.vocabularies).index(name) for name in judged.columns]
    n = yardstick.compared
    keys, counts = np.unique(judged.labels[:n][:, columns], axis=0, return_counts=True)
    if not columns:
        return tuple(
            image_grid(images[: PAIRED_COLUMNS * PAIRED_COLUMNS], PAIRED_COLUMNS, pad=1)
            for images in (yardstick.holdout, judged.samples)
        )  # type: ignore[return-value]
    rows = []
    for key in keys[np.argsort(-counts, kind="stable")][:PAIRED_ROWS]:
        there = np.flatnonzero((judged.labels[:n][:, columns] == key).all(axis=1))
        rows.append(there[np.arange(PAIRED_COLUMNS) % len(there)])
    chosen = np.concatenate(rows)
    return (
        image_grid(yardstick.holdout[chosen], PAIRED_COLUMNS, pad=1),
        image_grid(judged.samples[chosen], PAIRED_COLUMNS, pad=1),
    )
