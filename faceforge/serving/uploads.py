"""From uploaded files to the pixels that a model rates, or the reason why not, before anything large is decoded."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np

from faceforge.config import IngestConfig
from faceforge.data.pixels import Pixels
from faceforge.data.preprocess.decode import RejectedError, opened
from faceforge.data.preprocess.prepare import prepare_image
from faceforge.serving.limits import DECODERS, UPLOAD_PIXELS

_decoding = threading.BoundedSemaphore(DECODERS)


class RefusedError(Exception):
    """An upload that is not rated.

    Attributes:
        status: of the HTTP answer: 413 = too many pixels, 422 = not an image, or one that cannot be used.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def read_uploads(files: Sequence[tuple[str, BinaryIO]], spec: Any) -> Pixels:
    """Uploaded files as ingest would prepare them: upright, cut to their central square, of the model's size.

    Args:
        files: name and content of each; read one by one, so that waiting uploads need no memory.
        spec: of the model.

    Returns:
        uint8 (N, H, W, C).

    Raises:
        RefusedError: one of them cannot be used; the message names it.
    """
    config = IngestConfig.model_validate({"image_size": spec.image_size, "channels": spec.channels})
    return np.stack([_read(name, stream, config) for name, stream in files])


def _read(name: str, stream: BinaryIO, config: IngestConfig) -> Pixels:
    with _decoding:
        data = stream.read()
        try:
            with opened(data) as image:
                width, height = image.size
            if width * height > UPLOAD_PIXELS:
                raise RefusedError(413, f"{name}: {width} x {height} pixels; at most {UPLOAD_PIXELS:,} are taken")
            return prepare_image(data, config).pixels
        except RejectedError as error:
            raise RefusedError(422, f"{name}: {error}") from None
