"""Decodes the bytes of any image file to an upright 8-bit sRGB or greyscale image, or reports why it cannot.

This is the only decoder of foreign images: ingest, `faceforge fid` and the HTTP service all use it.
"""

from __future__ import annotations

import io
import math
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from faceforge.data.preprocess.colour import to_srgb
from faceforge.data.preprocess.formats import HEIF, readable_formats, unreadable_content
from faceforge.data.preprocess.high_depth import decode_high_depth
from faceforge.data.preprocess.jpeg import LARGE_IMAGE, decode_jpeg, too_many_scans
from faceforge.errors import first_line

MAX_PIXELS = 36_000_000  # a larger decoded image is a mistake, or an attack on memory
MAX_JPEG_PIXELS = 120_000_000  # higher, because JPEG can be decoded at a fraction of its size
MAX_HEIF_PIXELS = 50_000_000  # the largest photographs that phones store in this format
MAX_READS = 300_000  # of pieces of one file: about a second in Pillow's parsers; usual files have a few thousand
MAX_SLOW_BYTES = 1_000_000  # of files in formats that Pillow decodes in Python: run-length BMP and plain-text PNM
_SLOW_DECODERS = {"bmp_rle", "ppm_plain"}
_JPEG = ("JPEG", "MPO")  # MPO: the JPEG of phones that add a second picture, such as a gain map
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


class _BoundedReader(io.BytesIO):
    """A file in memory that ends the parsing of files with millions of chunks, segments or bytes of padding."""

    reads = 0

    def read(self, size: int | None = -1) -> bytes:
        self.reads += 1
        if self.reads > MAX_READS:
            raise RejectedError("built of too many small pieces; save it again with a usual encoder")
        return super().read(size)


@contextmanager
def open_image(data: bytes) -> Iterator[ImageFile]:
    """Opens an image file's bytes and reads its header, but not its pixels (see `decode_upright`).

    Any exception that a decoder raises inside the `with` block becomes a RejectedError, because one damaged file must
    not end a run.

    Raises:
        RejectedError: empty, not an image, damaged, too large, or so built that decoding would take seconds.
    """
    if not data:
        raise RejectedError("empty file")
    try:
        with Image.open(_BoundedReader(data), formats=readable_formats()) as image:
            _check_cost(image, data)
            with _large_image_lock if image.width * image.height > LARGE_IMAGE else nullcontext():
                yield image
    except RejectedError:
        raise
    except UnidentifiedImageError:
        raise RejectedError(unreadable_content(data)) from None
    except Image.DecompressionBombError:
        raise RejectedError("too large") from None
    except Exception as error:  # decoders fail in many ways
        raise RejectedError(f"damaged: {first_line(error)}") from None


def upright_size(image: Image.Image) -> tuple[int, int]:
    """The (width, height) that an opened image has once it is rotated by its EXIF orientation.

    Decodes PNG files, whose EXIF data may follow the pixels.
    """
    swapped = image.getexif().get(_ORIENTATION) in _SWAPS_AXES
    return (image.height, image.width) if swapped else (image.width, image.height)


def decode_upright(image: ImageFile, data: bytes, scale: float = 1.0) -> Image.Image:
    """Decodes an opened image, rotates it by its EXIF orientation and converts it to mode L or RGB, in sRGB.

    Transparent pixels are blended over white, more than 8 bits per channel become 8, colour profiles are applied, and
    an animation gives its first frame. An image that is much larger than needed is reduced by a whole factor (with
    averaging, so it does not alias), to no less than twice the needed size.

    Args:
        image: from `open_image`.
        data: the bytes it was opened from; some are decoded by OpenCV.
        scale: needed size / source size.

    Raises:
        RejectedError: the range of its pixel values is unknown.
    """
    needed = scale * image.width, scale * image.height
    transpose = _TRANSPOSE.get(image.getexif().get(_ORIENTATION, 1))
    decoded = _decode(image, data, needed)
    if decoded.mode == "F":
        raise RejectedError("floating-point pixels have no known range")
    if decoded.has_transparency_data:
        decoded = decoded.convert("RGBA")
    elif decoded.mode in _WITHOUT_PALETTE:
        decoded = decoded.convert(_WITHOUT_PALETTE[decoded.mode])
    factor = int(min(decoded.width / needed[0], decoded.height / needed[1]) / 2)
    if factor > 1 and decoded.mode in {"L", "RGB", "RGBA", "CMYK"}:
        decoded = decoded.reduce(factor)
    decoded = to_srgb(decoded, image.info.get("icc_profile"))
    if decoded.mode == "RGBA":
        decoded = Image.alpha_composite(Image.new("RGBA", decoded.size, "white"), decoded)
    decoded = decoded if decoded.mode in {"L", "RGB"} else decoded.convert("RGB")
    return decoded if transpose is None else decoded.transpose(transpose)


def _check_cost(image: ImageFile, data: bytes) -> None:
    """Rejects what would take too much memory or time to decode."""
    size, is_jpeg = image.size, image.format in _JPEG
    limit = MAX_JPEG_PIXELS if is_jpeg else MAX_HEIF_PIXELS if image.format == HEIF else MAX_PIXELS
    if size[0] * size[1] > limit:
        raise RejectedError(f"too large ({size[0]} x {size[1]}, above {limit // 10**6} megapixels)")
    if is_jpeg and too_many_scans(data, size):
        raise RejectedError("too many progressive scans; save it again with a usual encoder")
    slow = image.tile and image.tile[0].codec_name in _SLOW_DECODERS
    if slow and len(data) > MAX_SLOW_BYTES:
        raise RejectedError(f"more than {MAX_SLOW_BYTES // 10**6} MB in a slow format; save it as PNG")


def _decode(image: ImageFile, data: bytes, needed: tuple[float, float]) -> Image.Image:
    """The pixels by the fastest decoder that decodes them right, 8 bits per channel."""
    if (decoded := decode_high_depth(image, data)) is not None:
        return decoded
    size = image.size
    image.draft(None, (2 * math.ceil(needed[0]), 2 * math.ceil(needed[1])))  # lets JPEG decode at a fraction
    full_size_jpeg = image.format in _JPEG and image.mode == "RGB" and image.size == size
    if full_size_jpeg and (pixels := decode_jpeg(data)) is not None:
        return Image.fromarray(pixels)
    image.load()
    return image
