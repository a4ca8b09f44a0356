"""From the bytes of any image file to an upright picture of 8 bits in grey or RGB, or the reason why not."""

from __future__ import annotations

import io
import math
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")  # plain rasters: nothing that runs an interpreter
MAX_PIXELS = 36_000_000  # a decompressed image beyond this is a mistake, or an attack on memory
MAX_JPEG_PIXELS = 120_000_000  # JPEG is decoded at a fraction of its size, unless a small part of it is wanted
_BIG = 8_000_000  # pixels; of such images each process decodes one at a time, so that threads do not add up
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that exchange width and height
_JPEG_START, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_JPEG_SCAN, _JPEG_FRAMES = 0xFFDA, {0xFFC0, 0xFFC2}  # baseline and progressive
_JPEG_TABLES = {0xFFE0, 0xFFDB, 0xFFC4, 0xFFDD, 0xFFFE}  # JFIF, quantisation, Huffman, restart interval, comment
_FRAME = struct.Struct(">HHBHHB")  # marker and length of any segment, then what a frame begins with
_INDEXED = {"P": "RGB", "1": "L"}
_one_big = threading.Lock()
warnings.filterwarnings("ignore", module=r"PIL\.")  # a line for every odd tag of every file would drown the progress


class RejectedError(Exception):
    """This image cannot be used; the message says why, in a few words."""


@contextmanager
def opened(data: bytes) -> Iterator[ImageFile]:
    """The image in a file's bytes, its header read, its pixels not yet (see `upright`).

    Whatever decoders raise inside the block on damaged files comes out as RejectedError, because one file must not
    end a run.

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
            with _one_big if pixels > _BIG else nullcontext():
                yield image
    except RejectedError:
        raise
    except UnidentifiedImageError:
        raise RejectedError("not an image, or not one of " + ", ".join(FORMATS)) from None
    except Image.DecompressionBombError:
        raise RejectedError("too large") from None
    except Exception as error:  # decoders fail in many ways
        raise RejectedError(f"damaged: {(str(error).splitlines() or [type(error).__name__])[0]}") from None


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(width, height) of an opened image once it is turned as its EXIF tag says."""
    turned = image.getexif().get(_ORIENTATION) in _SIDEWAYS
    return (image.height, image.width) if turned else (image.width, image.height)


def upright(image: ImageFile, scale: float) -> Image.Image:
    """Decodes an opened image, turns it upright and converts it to L or RGB.

    Transparency is laid over white, 16 bits per channel become 8, of an animation the first frame counts. Pictures
    much larger than needed are reduced on the way by a whole factor (averaging, so nothing aliases), to no less than
    twice what is needed.

    Args:
        image: from `opened`.
        scale: wanted size / source size.
    """
    wanted, size = (scale * image.width, scale * image.height), image.size
    turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    image.draft(None, (2 * math.ceil(wanted[0]), 2 * math.ceil(wanted[1])))  # JPEG can decode at a fraction of its size
    whole = image.format == "JPEG" and image.mode == "RGB" and image.size == size
    data = image.fp.getvalue() if whole and isinstance(image.fp, io.BytesIO) else b""
    picture = whole_jpeg(data) or _loaded(image)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
    elif picture.mode in _INDEXED:
        picture = picture.convert(_INDEXED[picture.mode])
    factor = int(min(picture.width / wanted[0], picture.height / wanted[1]) / 2)
    if factor > 1 and picture.mode in {"L", "RGB", "RGBA", "CMYK"}:
        picture = picture.reduce(factor)
    return _eight_bit(picture if turn is None else picture.transpose(turn))


def plain_jpeg(data: bytes) -> tuple[int, int] | None:
    """Width and height of an RGB JPEG of no great size, without EXIF or other peculiarities; None for other files.

    Looking for its few markers takes a tenth of the time in which Pillow opens a file.
    """
    at, size = 2, None
    while data.startswith(_JPEG_START) and at + _FRAME.size <= len(data):
        marker, length, bits, height, width, channels = _FRAME.unpack_from(data, at)
        if marker == _JPEG_SCAN:
            return size
        if marker in _JPEG_FRAMES:
            size = width, height
            if (bits, channels) != (8, 3) or not 0 < width * height <= _BIG:
                return None
        elif marker not in _JPEG_TABLES or length < 2:
            return None
        at += 2 + length
    return None


def whole_jpeg(data: bytes) -> Image.Image | None:
    """The pixels of an RGB JPEG by OpenCV: the same as Pillow's, in two thirds of the time; None if it cannot.

    A file that lacks its end is left to Pillow, which refuses it: OpenCV would fill it up with grey.
    """
    import cv2

    if not data.rstrip(b"\0").endswith(_JPEG_END):
        return None
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    return None if pixels is None else Image.fromarray(pixels)


def _loaded(image: ImageFile) -> Image.Image:
    image.load()
    return image


def _eight_bit(image: Image.Image) -> Image.Image:
    """L or RGB of any mode without a palette."""
    if image.mode.startswith("I"):  # 16-bit greyscale; Pillow's own conversion would clip it
        return Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))
    if image.mode == "F":
        raise RejectedError("floating-point pixels have no known range")
    if image.mode == "RGBA":
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image if image.mode in {"L", "RGB"} else image.convert("RGB")
