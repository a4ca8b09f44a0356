"""Which files count as images, by suffix and by content, and what is said about those that are not read."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from faceforge.config import IngestConfig
from faceforge.data.preprocess import formats
from faceforge.data.preprocess.decode import RejectedError
from faceforge.data.preprocess.formats import (
    IMAGE_SUFFIXES,
    SIGNATURE_BYTES,
    is_image_signature,
    unreadable_content,
    unreadable_suffix,
)
from faceforge.data.preprocess.prepare import prepare_image

CONFIG = IngestConfig.model_validate({"image_size": 32})
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8))
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40)


@pytest.mark.parametrize("kind", formats.FORMATS)
def test_every_format_is_read_and_recognised(kind: str) -> None:
    buffer = io.BytesIO()
    NOISE.save(buffer, kind)
    assert prepare_image(buffer.getvalue(), CONFIG).pixels.shape == (32, 32, 3)
    assert is_image_signature(buffer.getvalue()[:SIGNATURE_BYTES])


@pytest.mark.parametrize(
    "head", [b"", b"BM" + b"x" * 40, b"P5: a plan", b"Page 1", b"%PDF-1.7", b"\x93NUMPY\1\0", b"{}", b"MZ\x90\0"]
)
def test_other_files_are_not_taken_for_images(head: bytes) -> None:
    assert not is_image_signature(head)


@pytest.mark.parametrize("path, name", [("a/B.JXL", "JPEG XL"), ("IMG_1.CR2", "camera raw"), ("x.jp2", "JPEG 2000")])
def test_pictures_that_are_not_read_are_known_by_suffix(path: str, name: str) -> None:
    assert unreadable_suffix(path) == f"{name} files are not read; convert it to JPEG or PNG"
    assert not any(suffix in IMAGE_SUFFIXES for suffix in formats.UNREADABLE_SUFFIXES)


def test_readable_and_other_suffixes_have_no_problem() -> None:
    assert not any(map(unreadable_suffix, ["a.jpg", "b.heic", "notes.txt", "cr2"]))


def test_heic_without_its_plugin_is_rejected_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "readable_formats", lambda: formats.FORMATS)
    assert "pip install -r locks/heic.txt" in unreadable_content(HEIC)


def test_heic_that_its_plugin_cannot_read_is_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "readable_formats", lambda: (*formats.FORMATS, formats.HEIF))
    assert unreadable_content(HEIC) == "a damaged HEIC file"


def test_heic_with_its_plugin_is_read() -> None:
    pillow_heif = pytest.importorskip("pillow_heif", reason="the extra `heic` is not installed")
    pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    NOISE.resize((64, 64)).save(buffer, "HEIF", quality=95)
    assert is_image_signature(buffer.getvalue()[:SIGNATURE_BYTES])
    assert prepare_image(buffer.getvalue(), CONFIG).measures.width == 64


def test_an_unknown_file_lists_the_formats() -> None:
    with pytest.raises(RejectedError, match="not an image, or not one of JPEG, PNG, WEBP, AVIF"):
        prepare_image(b"Dear Sir or Madam", CONFIG)
