"""From the bytes of any image file to square pixels of the wanted size, or the reason why not."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from faceforge.config import IngestConfig
from faceforge.data.pixels import Pixels

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")  # plain rasters: nothing that runs an interpreter
MAX_PIXELS = 64_000_000  # a decompressed image beyond this is a mistake, or an attack on memory
_MODES = {1: "L", 3: "RGB"}


class RejectedError(Exception):
    """This image cannot be used; the message says why, in a few words."""


def prepare(data: bytes | Pixels, config: IngestConfig) -> Pixels:
    """Decodes, turns upright, crops, resizes and converts one image.

    Downscaling filters with a Lanczos kernel as wide as the reduction, so that nothing aliases; smaller images are
    enlarged with the same kernel. Transparency is laid over white, 16-bit greyscale becomes 8-bit.

    Args:
        data: a file's bytes, or pixels uint8 (H, W, 3).
        config: size, channels and crop.

    Returns:
        uint8 (image_size, image_size, channels).

    Raises:
        RejectedError: not an image, damaged, too large, or not square where `crop` is `none`.
    """
    if not isinstance(data, bytes):
        return np.atleast_3d(np.asarray(_fit(Image.fromarray(data), config)))
    if not data:
        raise RejectedError("empty file")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise RejectedError(f"too large ({image.width} x {image.height} pixels)")
            # JPEG can decode at a fraction of its size: no less than twice what is needed, so quality does not suffer.
            image.draft(None, (2 * config.image_size, 2 * config.image_size))
            return np.atleast_3d(np.asarray(_fit(_eight_bit(ImageOps.exif_transpose(image)), config)))
    except RejectedError:
        raise
    except UnidentifiedImageError:
        raise RejectedError("not an image, or not one of " + ", ".join(FORMATS)) from None
    except Image.DecompressionBombError:
        raise RejectedError("too large") from None
    except Exception as error:  # decoders fail in many ways on damaged files, and one file must not end the run
        raise RejectedError(f"damaged: {(str(error).splitlines() or [type(error).__name__])[0]}") from None


def _eight_bit(image: Image.Image) -> Image.Image:
    """Any mode as L or RGB."""
    if image.mode.startswith("I"):  # 16-bit greyscale; Pillow's own conversion would clip it
        return Image.fromarray((np.clip(np.asarray(image, np.int64), 0, 65535) // 257).astype(np.uint8))
    if image.mode == "F":
        raise RejectedError("floating-point pixels have no known range")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image if image.mode in {"L", "RGB"} else image.convert("L" if image.mode == "1" else "RGB")


def _fit(image: Image.Image, config: IngestConfig) -> Image.Image:
    size, edge = config.image_size, min(image.size)
    if config.crop == "none" and image.width != image.height:
        raise RejectedError(f"not square ({image.width} x {image.height}) and ingest.crop is none")
    image = image.convert(_MODES[config.channels])
    left, top = (image.width - edge) // 2, (image.height - edge) // 2
    if (left, top, edge) == (0, 0, size) and image.size == (size, size):
        return image
    return image.resize((size, size), Image.Resampling.LANCZOS, box=(left, top, left + edge, top + edge))
