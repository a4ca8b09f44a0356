"""Decodes the bytes of an image file to an upright 8-bit greyscale or RGB image, or reports why it cannot."""

from __future__ import annotations

import io
import math
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from faceforge.data.preprocess.jpeg import LARGE_IMAGE, decode_jpeg
from faceforge.errors import first_line

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")  # raster formats whose decoders run no interpreter
MAX_PIXELS = 36_000_000  # a larger decoded image is a mistake, or an attack on memory
MAX_JPEG_PIXELS = 120_000_000  # higher, because JPEG can be decoded at a fraction of its size
_ORIENTATION = 0x0112
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SWAPS_AXES = (5, 6, 7, 8)  # EXIF orientations that exchange width and height
_WITHOUT_PALETTE = {"P": "RGB", "1": "L"}
_large_image_lock = threading.Lock()  # one large image per process at a time, so that threads do not add up memory
warnings.filterwarnings("ignore", module=r"PIL\.")  # one line per odd tag per file would hide the progress display


class RejectedError(Exception):
    """This image cannot be used; the message gives the reason in a few words."""


@contextmanager
def open_image(data: bytes) -> Iterator[ImageFile]:
    """Opens an image file's bytes and reads its header, but not its pixels (see `decode_upright`).

    Any exception that a decoder raises inside the `with` block becomes a RejectedError, because one damaged file must
    not end a run.

    Raises:
        RejectedError: empty, not an image, damaged or too large.
    """
    if not data:
        raise RejectedError("empty file")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            pixels, limit = image.width * image.height, MAX_JPEG_PIXELS if image.format == "JPEG" else MAX_PIXELS
            if pixels > limit:
                raise RejectedError(f"too large ({image.width} x {image.height}, above {limit // 10**6} megapixels)")
            with _large_image_lock if pixels > LARGE_IMAGE else nullcontext():
                yield image
    except RejectedError:
        raise
    except UnidentifiedImageError:
        raise RejectedError("not an image, or not one of " + ", ".join(FORMATS)) from None
    except Image.DecompressionBombError:
        raise RejectedError("too large") from None
    except Exception as error:  # decoders fail in many ways
        raise RejectedError(f"damaged: {first_line(error)}") from None


def upright_size(image: Image.Image) -> tuple[int, int]:
    """The (width, height) that an opened image has once it is rotated by its EXIF orientation."""
    swapped = image.getexif().get(_ORIENTATION) in _SWAPS_AXES
    return (image.height, image.width) if swapped else (image.width, image.height)


def decode_upright(image: ImageFile, scale: float) -> Image.Image:
    """Decodes an opened image, rotates it by its EXIF orientation and converts it to mode L or RGB.

    Transparent pixels are blended over white, 16 bits per channel become 8, and an animation gives its first frame.
    An image that is much larger than needed is reduced by a whole factor (with averaging, so it does not alias), to no
    less than twice the needed size.

    Args:
        image: from `open_image`.
        scale: needed size / source size.
    """
    needed, size = (scale * image.width, scale * image.height), image.size
    transpose = _TRANSPOSE.get(image.getexif().get(_ORIENTATION, 1))
    image.draft(None, (2 * math.ceil(needed[0]), 2 * math.ceil(needed[1])))  # lets JPEG decode at a fraction
    full_size_jpeg = image.format == "JPEG" and image.mode == "RGB" and image.size == size
    data = image.fp.getvalue() if full_size_jpeg and isinstance(image.fp, io.BytesIO) else b""
    decoded = decode_jpeg(data) or _load(image)
    if decoded.has_transparency_data:
        decoded = decoded.convert("RGBA")
    elif decoded.mode in _WITHOUT_PALETTE:
        decoded = decoded.convert(_WITHOUT_PALETTE[decoded.mode])
    factor = int(min(decoded.width / needed[0], decoded.height / needed[1]) / 2)
    if factor > 1 and decoded.mode in {"L", "RGB", "RGBA", "CMYK"}:
        decoded = decoded.reduce(factor)
    return _to_8_bit(decoded if transpose is None else decoded.transpose(transpose))


def _load(image: ImageFile) -> Image.Image:
    image.load()
    return image


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Converts any mode without a palette to L or RGB."""
    if image.mode.startswith("I"):  # 16-bit greyscale; Pillow's own conversion would clip it
        return Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))
    if image.mode == "F":
        raise RejectedError("floating-point pixels have no known range")
    if image.mode == "RGBA":
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image if image.mode in {"L", "RGB"} else image.convert("RGB")
