"""From uploaded files to the pixels that the discriminator takes; bad files are refused before they are decoded."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np

from faceforge.config import IngestConfig
from faceforge.data.pixels import Pixels
from faceforge.data.preprocess.decode import RejectedError, open_image
from faceforge.data.preprocess.prepare import prepare_image
from faceforge.serving.batching import TooSlowError, time_left
from faceforge.serving.limits import DECODERS, UPLOAD_PIXELS

_decoding = threading.BoundedSemaphore(DECODERS)


class RefusedError(Exception):
    """An upload that cannot be rated.

    Attributes:
        status: HTTP status of the response: 413 = too many pixels, 422 = not an image, or an unusable one.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def read_uploads(files: Sequence[tuple[str, BinaryIO]], spec: Any) -> Pixels:
    """Uploaded files, prepared as by ingest: upright, cropped to the central square, resized to the model's size.

    Args:
        files: name and content of each; read one by one, so that queued uploads need no memory.
        spec: architecture and sizes of the model.

    Returns:
        uint8 (N, H, W, C).

    Raises:
        TooSlowError: no decoder became free within the time limit of the request.
        RefusedError: a file cannot be used; the message names it.
    """
    config = IngestConfig.model_validate({"image_size": spec.image_size, "channels": spec.channels})
    return np.stack([_read(name, stream, config) for name, stream in files])


def _read(name: str, stream: BinaryIO, config: IngestConfig) -> Pixels:
    left = time_left()
    if not _decoding.acquire(timeout=-1 if left is None else left):
        raise TooSlowError  # other uploads took all decoders for the whole time limit of this request
    try:
        return _decode(name, stream.read(), config)
    except RejectedError as error:
        raise RefusedError(422, f"{name}: {error}") from None
    finally:
        _decoding.release()


def _decode(name: str, data: bytes, config: IngestConfig) -> Pixels:
    with open_image(data) as image:
        width, height = image.size
    if width * height > UPLOAD_PIXELS:
        raise RefusedError(413, f"{name}: {width} x {height} pixels; at most {UPLOAD_PIXELS:,} are accepted")
    return prepare_image(data, config).pixels
