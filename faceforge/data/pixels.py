"""Encodes pixels as PNG and decodes them, with the digest and the sums that image sets record."""

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
    """An encoded image with its digest and sums.

    Attributes:
        png: the file's bytes.
        sha256: hex digest of shape and pixels; it does not depend on the PNG encoder.
        sums: sum of the pixel values of each channel. Integers, so totals do not depend on the order of addition.
        squares: sum of their squares, likewise.
    """

    png: bytes
    sha256: str
    sums: tuple[int, ...]
    squares: tuple[int, ...]


def encode(pixels: Pixels, png: bytes | None = None) -> Encoded:
    """Encodes pixels uint8 (H, W, C), C = 1 or 3, as PNG; `png` is used instead where the bytes exist already."""
    sums, squares = _moments(pixels)
    return Encoded(png if png is not None else to_png(pixels), pixel_digest(pixels), sums, squares)


def pixel_digest(pixels: Pixels) -> str:
    """Hex SHA-256 of the shape and the values of pixels uint8 (H, W, C)."""
    height, width, channels = pixels.shape
    digest = hashlib.sha256(f"{height}x{width}x{channels}:".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def to_png(pixels: Pixels) -> bytes:
    """Pixels uint8 (H, W, C), C = 1 or 3, as PNG bytes.

    Uses Huffman codes only: zlib's search for repetitions takes several times as long and gains little on photographs.
    """
    import cv2

    ordered = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.shape[-1] == 3 else pixels
    options = [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY]
    data: bytes = cv2.imencode(".png", ordered, options)[1].tobytes()
    return data


def from_bytes(data: bytes, channels: int) -> Pixels:
    """Decodes PNG or JPEG bytes to pixels uint8 (H, W, channels)."""
    with Image.open(io.BytesIO(data), formats=["PNG", "JPEG"]) as image:
        pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"), dtype=np.uint8)
    return pixels[..., None] if channels == 1 else pixels


def workers() -> int:
    """Number of threads or processes to use: the cores available to this process, at most 32."""
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 32)


def map_ordered(
    function: Callable[[_In], _Out], items: Iterable[_In], ahead: int = 4, count: int = 0
) -> Generator[_Out]:
    """Like `map` in `count` threads (0 = `workers()`), in order, with at most `ahead` items per thread in flight."""
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
    """The exact sums of the values of each channel, and of their squares."""
    import cv2

    count = pixels.shape[0] * pixels.shape[1]
    means, deviations = (values[: pixels.shape[-1], 0].tolist() for values in cv2.meanStdDev(pixels))
    # OpenCV sums integers exactly; the rounding errors of its divisions and its square root are far below 0.5 here.
    squares = (round((deviation**2 + mean**2) * count) for mean, deviation in zip(means, deviations, strict=True))
    return tuple(round(mean * count) for mean in means), tuple(squares)
