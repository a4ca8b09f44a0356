"""Damaged and malicious image files: ingest lists or stores every one of them and touches nothing else."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from faceforge.config import IngestConfig
from faceforge.data.imageset.reader import ImageSet
from faceforge.data.ingest import preparation
from faceforge.data.ingest.build import build_image_set
from tests.data.conftest import noise

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL", "ignore::Warning:PIL")
FORMATS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "bmp": "BMP", "gif": "GIF", "tif": "TIFF"}
GOOD = 24


def encoded(form: str, seed: int = 0, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(noise(seed)).save(buffer, form, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes, crc: int | None = None) -> bytes:
    check = zlib.crc32(kind + data) if crc is None else crc
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def png(width: int, height: int, *chunks: bytes, colour: int = 2, depth: int = 8) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


def cut_and_flipped() -> Iterator[tuple[str, bytes]]:
    random = np.random.default_rng(0)
    for suffix, form in FORMATS.items():
        whole = encoded(form)
        for share in (0.01, 0.05, 0.2, 0.5, 0.7, 0.9, 0.98):
            yield f"cut-{suffix}-{share}.{suffix}", whole[: max(1, int(len(whole) * share))]
        for number in range(14):
            broken = bytearray(whole)
            for place in random.integers(0, len(whole) if number % 2 else min(200, len(whole)), 1 + number):
                broken[place] = random.integers(0, 256)
            yield f"flipped-{suffix}-{number}.{suffix}", bytes(broken)


def not_images() -> Iterator[tuple[str, bytes]]:
    texts = {
        "empty": b"",
        "text": b"Dear Sir or Madam",
        "html": b"<!doctype html><img src=x onerror=alert(1)>",
        "svg": b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>',
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(/tmp/owned) (w) file closefile\nshowpage\n",
        "pdf": b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>",
        "elf": b"\x7fELF" + bytes(300),
        "script": b"#!/bin/sh\ntouch owned\n",
        "pickle": b"cos\nsystem\n(S'touch owned'\ntR.",
        "zip": b"PK\x03\x04" + bytes(100),
        "zeros": bytes(5000),
        "noise": np.random.default_rng(1).bytes(5000),
        "signature": b"\x89PNG\r\n\x1a\n",
        "magic": b"\xff\xd8\xff",
    }
    for name, data in texts.items():
        for suffix in ("jpg", "png", "tif"):
            yield f"{name}.{suffix}", data


def bombs() -> Iterator[tuple[str, bytes]]:
    row = zlib.compress(bytes(40_000))
    yield "bomb-header.png", png(2**31 - 1, 2**31 - 1, chunk(b"IDAT", row))
    yield "bomb-wide.png", png(100_000_000, 1, chunk(b"IDAT", row))
    yield "bomb-real.png", png(9000, 9000, chunk(b"IDAT", zlib.compress(bytes(9001 * 9000))), colour=0)
    yield "bomb-text.png", png(40, 40, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(80_000_000))))
    yield "bomb-profile.png", png(40, 40, chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(80_000_000))))
    yield "bomb-length.png", b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 2**31 - 1) + b"IHDR" + bytes(50)
    yield "zero-size.png", png(0, 0, chunk(b"IDAT", row))
    yield "bad-check.png", png(40, 40, chunk(b"IDAT", row, crc=1))
    yield "no-pixels.png", png(40, 40)
    whole = encoded("JPEG")
    frame = whole.index(b"\xff\xc0")
    yield "bomb.jpg", whole[: frame + 5] + b"\xff\xff\xff\xff" + whole[frame + 9 :]
    yield "bomb.gif", b"GIF89a" + struct.pack("<HH", 65535, 65535) + bytes(3) + b";"
    yield "bomb.bmp", b"BM" + bytes(12) + struct.pack("<IiiHHI", 40, 2**31 - 1, 2**31 - 1, 1, 24, 0) + bytes(40)
    yield "loop.tif", b"II*\0\x08\0\0\0" + struct.pack("<H", 1) + struct.pack("<HHII", 256, 4, 1, 40) + b"\x08\0\0\0"
    yield "far.tif", b"II*\0\xff\xff\xff\x7f"
    yield "bomb.webp", b"RIFF\xff\xff\xff\x7fWEBPVP8L\xff\xff\xff\x7f\x2f\xff\xff\xff\xff" + bytes(40)


def unusual_but_valid() -> Iterator[tuple[str, bytes]]:
    """Unusual images that must be accepted."""
    base = Image.fromarray(noise(900))

    def saved(image: Image.Image, form: str, **options: Any) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, form, **options)
        return buffer.getvalue()

    exif = Image.Exif()
    exif[0x0112] = 6
    wide = Image.fromarray(np.random.default_rng(901).integers(0, 65536, (40, 60), np.uint16))
    frames = [Image.fromarray(noise(seed)) for seed in (902, 903, 904)]
    yield "cmyk.jpg", saved(Image.fromarray(noise(905)).convert("CMYK"), "JPEG")
    yield "sixteen.png", saved(wide, "PNG")
    yield "sixteen.tif", saved(Image.fromarray(np.asarray(wide)[::-1].copy()), "TIFF")
    yield "palette.gif", saved(base.quantize(16), "GIF")
    yield "one-bit.png", saved(Image.fromarray(noise(906)).convert("1"), "PNG")
    yield "alpha.png", saved(Image.fromarray(np.random.default_rng(907).integers(0, 256, (40, 40, 4), np.uint8)), "PNG")
    yield "grey-alpha.png", saved(Image.fromarray(noise(908)).convert("LA"), "PNG")
    yield "turned.jpg", saved(Image.fromarray(noise(909)), "JPEG", exif=exif.tobytes())
    yield "animated.gif", saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    yield "animated.webp", saved(frames[1], "WEBP", save_all=True, append_images=frames[2:])
    yield "png-called.jpg", encoded("PNG", 910)
    yield "jpg-called.png", encoded("JPEG", 911)
    yield "progressive.jpg", encoded("JPEG", 912, progressive=True)
    yield "with space.png", encoded("PNG", 913)
    yield "-rf.png", encoded("PNG", 914)
    yield "ünïcödé 脸 🙂.png", encoded("PNG", 915)
    yield "x" * 250 + ".png", encoded("PNG", 916)
    yield "UPPER.PNG", encoded("PNG", 917)


FILES = [*cut_and_flipped(), *not_images(), *bombs()]


def settings() -> IngestConfig:
    return IngestConfig.model_validate({"image_size": 32, "holdout": 0.3, "max_rejects": 1.0, "labels": ()})


def tree(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def paths_of(made: ImageSet) -> list[str]:
    kept = [record.path for split in ("train", "holdout") for record in made.records(split)]
    info = made.info
    assert len(info.rejects) == info.reject_count
    assert all(reject.reason and "\n" not in reject.reason for reject in info.rejects)
    return kept + [reject.path for reject in info.rejects] + [duplicate.path for duplicate in info.duplicates]


@pytest.mark.parametrize("processes_from", [1, 10**6])
def test_every_hostile_file_in_a_folder_is_accounted_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes_from: int
) -> None:
    monkeypatch.setattr(preparation, "PROCESSES_FROM", processes_from)
    place = tmp_path / "place"
    root = place / "pictures"
    root.mkdir(parents=True)
    for name, data in [*FILES, *unusual_but_valid()]:
        (root / name).write_bytes(data)
    for seed in range(GOOD):
        (root / f"good-{seed}.png").write_bytes(encoded("PNG", seed + 1))
    (place / "secret.png").write_bytes(encoded("PNG", 1000))
    links = {
        "inside.png": "good-1.png",
        "outside.png": "../secret.png",
        "loop.png": "loop.png",
        "zero.png": "/dev/zero",
    }
    for name, target in {**links, "dangling.png": "gone.png", "up.png": ".."}.items():
        (root / name).symlink_to(target)
    os.mkfifo(root / "pipe.png")
    (root / "folder.png").mkdir()
    with open(os.fsencode(root) + b"/raw-\xff\xfe\n.png", "wb") as stream:
        stream.write(encoded("PNG", 918))
    before = tree(tmp_path)
    monkeypatch.chdir(place)

    made = build_image_set(str(root), tmp_path / "out", settings())

    assert len(FILES) >= 180
    listed = paths_of(made)
    assert len(listed) == len(set(listed)) == len(os.listdir(root)) - 1  # all but the empty folder
    assert len(listed) >= 200 + GOOD
    rejected = {reject.path for reject in made.info.rejects}
    assert not rejected & {f"good-{seed}.png" for seed in range(GOOD)}
    assert not rejected & {name for name, _ in unusual_but_valid()}
    assert {"outside.png", "loop.png", "zero.png", "dangling.png", "up.png", "pipe.png"} <= rejected
    assert {name for name, _ in (*not_images(), *bombs())} <= rejected
    assert {path for path in tree(tmp_path) - before if not path.startswith("out")} == set()
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [".gz", ".json", ".parquet", ".parquet"]
    images, _ = made.load("train")
    assert images.shape[1:] == (32, 32, 3)


def test_every_hostile_member_of_an_archive_is_accounted_for(tmp_path: Path) -> None:
    archive = tmp_path / "place" / "pictures.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in FILES[::3]:
            file.writestr(name, data)
        for name in ("../escaped.png", "/absolute.png", "a/../../up.png", "..\\windows.png", "C:\\drive.png"):
            file.writestr(name, encoded("PNG", len(name) + 2000))
        for seed in range(GOOD):
            file.writestr(f"good-{seed}.png", encoded("PNG", seed + 1))
    before = tree(tmp_path)
    made = build_image_set(str(archive), tmp_path / "out", settings())
    listed = paths_of(made)
    assert len(listed) == len(FILES[::3]) + 5 + GOOD
    assert {path for path in tree(tmp_path) - before if not path.startswith("out")} == set()
    assert not (tmp_path.parent / "escaped.png").exists()
