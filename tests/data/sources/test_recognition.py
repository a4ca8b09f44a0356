"""Images without a known suffix are recognised by content; pictures that cannot be read count as rejects."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceforge.config import IngestConfig
from faceforge.data.ingest.build import build_image_set
from faceforge.data.sources import open_source
from faceforge.errors import FaceForgeError

CONFIG = IngestConfig.model_validate({"image_size": 32, "labels": (), "holdout": 0.3})


def encoded(seed: int, kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 40), np.uint8)).save(buffer, kind)
    return buffer.getvalue()


# As in the Yale faces, ORL and exports by content hash.
FILES = {
    "subject01.happy": encoded(1, "GIF"),
    "subject01.sad": encoded(2, "GIF"),
    "s1/1.pgm": encoded(3, "PPM"),
    "0a1b2c": encoded(4, "JPEG"),
    "IMG_1.JPG": encoded(5, "JPEG"),
    "IMG_1.CR2": b"II*\0\x10\0\0\0CR\2",  # the same picture as IMG_1.JPG
    "notes.happy": b"not an image",
    "readme": b"",
}
IMAGES = {"subject01.happy", "subject01.sad", "s1/1.pgm", "0a1b2c", "IMG_1.JPG"}


def folder(root: Path) -> Path:
    for name, data in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def zip_file(root: Path) -> Path:
    with zipfile.ZipFile(root.with_suffix(".zip"), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)
    return root.with_suffix(".zip")


def tar_file(root: Path, kind: str) -> Path:
    path = root.with_suffix(f".{kind}")
    with tarfile.open(path, "w:gz" if kind == "tar.gz" else "w") as archive:
        for name, data in FILES.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "tar.gz"])
def test_images_are_recognised_by_content(tmp_path: Path, kind: str) -> None:
    writers: dict[str, Callable[[Path], Path]] = {
        "folder": folder,
        "zip": zip_file,
        "tar": partial(tar_file, kind="tar"),
        "tar.gz": partial(tar_file, kind="tar.gz"),
    }
    path = writers[kind](tmp_path / "faces")
    source = open_source(str(path), CONFIG)
    assert {sample.path: sample.read() for sample in source.samples()} == {name: FILES[name] for name in IMAGES}
    (note,) = source.notes
    assert note.startswith("skipped: 3 files that are not images (")
    assert all(each in note for each in ("1 .happy", "1 .cr2", "1 without suffix"))


def test_pictures_that_are_not_read_count_as_rejects(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number}.png").write_bytes(encoded(number, "PNG"))
    for number in range(3):
        (tmp_path / f"raw{number}.nef").write_bytes(encoded(100 + number, "TIFF"))  # its preview must not be taken
    with pytest.raises(FaceForgeError, match=r"\(raw0.nef, raw1.nef: camera raw files are not read; convert it to"):
        build_image_set(str(tmp_path), tmp_path.with_name("set"), CONFIG)
    info = build_image_set(
        str(tmp_path), tmp_path.with_name("set"), CONFIG.model_copy(update={"max_rejects": 0.2})
    ).info
    assert [reject.path for reject in info.rejects] == ["raw0.nef", "raw1.nef", "raw2.nef"]
