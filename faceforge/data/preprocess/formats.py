"""Which image formats are read, how a file is recognised as one, and what to do about those that are not read."""

from __future__ import annotations

import os
import re
from functools import cache
from importlib.util import find_spec

# Raster formats whose decoders run no interpreter (unlike PostScript's), as Pillow calls them.
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "BMP", "GIF", "TIFF", "PPM")
HEIF = "HEIF"  # read if the package pillow-heif is installed
_HEIC_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
IMAGE_SUFFIXES = (
    frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif", ".bmp", ".gif", ".tif", ".tiff"})
    | {".pgm", ".ppm", ".pbm", ".pnm"}
    | _HEIC_SUFFIXES
)
_RAW = "camera raw"
# Suffixes of pictures that are not read. They count as rejects, so that a loss of many images is noticed.
UNREADABLE_SUFFIXES = {
    **dict.fromkeys((".jxl",), "JPEG XL"),
    **dict.fromkeys((".jp2", ".j2k", ".jpf", ".jpx", ".jpm"), "JPEG 2000"),
    **dict.fromkeys((".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf", ".pef", ".srw"), _RAW),
    **dict.fromkeys((".psd",), "Photoshop"),
    **dict.fromkeys((".exr",), "OpenEXR"),
}
SIGNATURE_BYTES = 32
_SIGNATURE = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF....WEBP|II\*\0|MM\0\*"
    rb"|BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0"  # the size of one of BMP's headers
    rb"|P[1-6]\s+(?:#|\d)"
    rb"|....ftyp(?:avi[fs]|hei[cxms]|hev[cxms]|mif1|msf1)",
    re.DOTALL,
)
_UNREADABLE_SIGNATURES = (
    (re.compile(rb"....ftyp(?:hei[cxms]|hev[cxms]|mif1|msf1)", re.DOTALL), "HEIC"),
    (re.compile(rb"\xff\x0a|\0\0\0\x0cJXL "), "JPEG XL"),
    (re.compile(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"), "JPEG 2000"),
    (re.compile(rb"8BPS"), "Photoshop"),
    (re.compile(rb"\x76\x2f\x31\x01"), "OpenEXR"),
)


@cache
def readable_formats() -> tuple[str, ...]:
    """The names of the formats to open images with: `FORMATS`, and HEIF where pillow-heif is installed."""
    if find_spec("pillow_heif") is None:
        return FORMATS
    import pillow_heif

    pillow_heif.register_heif_opener()
    return (*FORMATS, HEIF)


def is_image_signature(head: bytes) -> bool:
    """Whether a file that begins with these bytes (`SIGNATURE_BYTES` of them) has the signature of an image format."""
    return _SIGNATURE.match(head) is not None


def unreadable_suffix(path: str) -> str:
    """Why a picture with this file suffix is not read and what to do; '' for all other files."""
    name = UNREADABLE_SUFFIXES.get(os.path.splitext(path)[1].lower())
    return _advice(name) if name else ""


def unreadable_heic(path: str) -> str:
    """What to do about a file with a suffix of HEIC if such files are not read here; '' for all other files."""
    suffix = os.path.splitext(path)[1].lower()
    return _advice("HEIC") if suffix in _HEIC_SUFFIXES and HEIF not in readable_formats() else ""


def unreadable_content(data: bytes) -> str:
    """Why a file with this content is not read and what to do."""
    for signature, name in _UNREADABLE_SIGNATURES:
        if signature.match(data):
            return _advice(name)
    return f"not an image, or not one of {', '.join(readable_formats())}"


def _advice(name: str) -> str:
    if name == "HEIC" and HEIF in readable_formats():
        return "a damaged HEIC file"
    if name == "HEIC":
        return (
            "HEIC needs the package pillow-heif (`.venv/bin/pip install -r locks/heic.txt` in a checkout); "
            "or convert it to JPEG"
        )
    return f"{name} files are not read; convert it to JPEG or PNG"
