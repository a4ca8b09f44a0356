"""Pixels to lossless bytes and back, with what the image set records about them."""

from __future__ import annotations

import hashlib
import io
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
_In = TypeVar("_In")
_Out = TypeVar("_Out")


@dataclass(frozen=True)
class Encoded:
    """An image as it is stored.

    Attributes:
        png: lossless bytes.
        sha256: hex digest of shape and pixels, so the same picture has the same digest whatever the encoder.
        sums: per channel, the sum of all pixel values; whole numbers, so statistics do not depend on the order.
        squares: per channel, the sum of their squares.
    """

    png: bytes
    sha256: str
    sums: tuple[int, ...]
    squares: tuple[int, ...]


def encode(pixels: Pixels, png: bytes | None = None) -> Encoded:
    """Stores pixels uint8 (H, W, C), C 1 or 3. `png` is kept where the caller already has the encoded bytes."""
    sums, squares = _moments(pixels)
    return Encoded(png if png is not None else to_png(pixels), pixel_digest(pixels), sums, squares)


def pixel_digest(pixels: Pixels) -> str:
    """Hex SHA-256 of shape and values of uint8 (H, W, C)."""
    height, width, channels = pixels.shape
    digest = hashlib.sha256(f"{height}x{width}x{channels}:".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def to_png(pixels: Pixels) -> bytes:
    """PNG bytes of uint8 (H, W, C), C 1 or 3.

    Huffman codes only: zlib's search for repetitions takes several times as long, and finds few in photographs.
    """
    import cv2

    ordered = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.shape[-1] == 3 else pixels
    how = [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY]
    data: bytes = cv2.imencode(".png", ordered, how)[1].tobytes()
    return data


def from_bytes(data: bytes, channels: int) -> Pixels:
    """Stored image bytes as uint8 (H, W, C)."""
    with Image.open(io.BytesIO(data), formats=["PNG", "JPEG"]) as image:
        pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"), dtype=np.uint8)
    return pixels[..., None] if channels == 1 else pixels


def workers() -> int:
    """How many threads or processes to work in: the cores this process may use, 32 at most."""
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 32)


def map_ordered(
    function: Callable[[_In], _Out], items: Iterable[_In], ahead: int = 4, count: int = 0
) -> Generator[_Out]:
    """Like `map`, in `count` threads (0 = `workers()`), in order, with only `ahead` items per thread in flight."""
    count = count or workers()
    waiting: deque[Future[_Out]] = deque()
    pool = ThreadPoolExecutor(count)
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > count * ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _moments(pixels: Pixels) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Per channel, the sums of the values and of their squares, exactly."""
    import cv2

    count = pixels.shape[0] * pixels.shape[1]
    means, deviations = (found[: pixels.shape[-1], 0].tolist() for found in cv2.meanStdDev(pixels))
    # OpenCV sums up whole numbers; what its two divisions and its root have rounded is far below one half here.
    squares = (round((deviation**2 + mean**2) * count) for mean, deviation in zip(means, deviations, strict=True))
    return tuple(round(mean * count) for mean in means), tuple(squares)
