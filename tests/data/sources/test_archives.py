from __future__ import annotations

import contextlib
import io
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from faceforge.data.ingest.build import build_image_set
from faceforge.data.sources import archives, files
from faceforge.errors import FaceForgeError
from tests.data.sources.conftest import labels_of, listing, opened, picture, problems_of, refuse, settings

Write = Callable[[Path, dict[str, bytes]], Path]
TREE = {
    "photos/dog/1.png": picture(1),
    "photos/cat/2.png": picture(2),
    "photos/cat/3.JPG": picture(3),
    "photos/readme.txt": b"hello",
    "photos/cat/.hidden.png": picture(4),
    "__MACOSX/photos/cat/._2.png": b"resource",
}


def write_zip(file: Path, content: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data, zipfile.ZIP_STORED if "2" in name else zipfile.ZIP_DEFLATED)
    return file


def write_tar(file: Path, content: dict[str, bytes], mode: str = "w", extra: tuple[tarfile.TarInfo, ...] = ()) -> Path:
    with tarfile.open(file, mode) as archive:  # type: ignore[call-overload]
        for info in extra:
            archive.addfile(info)
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_archives_are_read_like_folders(tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"faces.v2.{kind}"
    if kind == "zip":
        write_zip(file, TREE)
    else:
        write_tar(file, TREE, {"tar": "w"}.get(kind, f"w:{kind.removeprefix('tar.')}"))
    source = opened(file)
    assert source.name == "faces.v2"
    assert set(source.stamps()) == {file.name}
    samples = {sample.path: sample for sample in listing(file)}
    assert labels_of(samples.values()) == {
        "dog/1.png": {"label": "dog"},
        "cat/2.png": {"label": "cat"},
        "cat/3.JPG": {"label": "cat"},
    }
    for path, number in [("dog/1.png", 1), ("cat/2.png", 2), ("cat/3.JPG", 3)]:
        assert pickle.loads(pickle.dumps(samples[path])).read() == picture(number)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]  # nothing was unpacked


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_a_table_in_the_archive_labels_it(tmp_path: Path, write: Write) -> None:
    table = b"file_name,mood\nimages/1.png,glad\n2.png,sad\n"
    content = {"set/labels.csv": table, "set/images/1.png": picture(1), "set/images/2.png": picture(2)}
    assert labels_of(listing(write(tmp_path / "a", content))) == {
        "images/1.png": {"mood": "glad"},
        "images/2.png": {"mood": "sad"},
    }


def test_a_table_outside_or_a_pattern_labels_an_archive(tmp_path: Path) -> None:
    file = write_zip(tmp_path / "a.zip", {"1_x.png": picture(1), "2_y.png": picture(2)})
    (tmp_path / "t.csv").write_text("file,mood\n1_x.png,glad\n2_y.png,sad\n")
    assert labels_of(listing(file, tmp_path / "t.csv"))["1_x.png"] == {"mood": "glad"}
    assert labels_of(listing(file, labels_from_name="{n}_{k}", labels=("k",)))["2_y.png"] == {"k": "y"}


@pytest.mark.parametrize(
    "name", ["../../evil.png", "/tmp/evil.png", "a/../../evil.png", "..\\evil.png", "C:\\evil.png"]
)
@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_members_that_lead_out_are_told(tmp_path: Path, write: Write, name: str) -> None:
    file = write(tmp_path / "a", {name: picture(1), "1.png": picture(2), "2.png": picture(3)})
    problems = problems_of(listing(file))
    assert list(problems.values()) == ["its name leads out of the archive"]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_links_and_devices_in_archives_are_told(tmp_path: Path) -> None:
    extra = []
    for name, kind in [("soft.png", tarfile.SYMTYPE), ("hard.png", tarfile.LNKTYPE), ("device.png", tarfile.CHRTYPE)]:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, "/etc/passwd"
        extra.append(info)
    file = write_tar(tmp_path / "a.tar", {"1.png": picture(1)}, extra=tuple(extra))
    assert set(problems_of(listing(file))) == {"soft.png", "hard.png", "device.png"}
    link = zipfile.ZipInfo("soft.png")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("1.png", picture(1))
    assert problems_of(listing(tmp_path / "a.zip")) == {"soft.png": "a link or a device, not a file"}


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_bombs_are_told_and_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    for module in (files, archives):
        monkeypatch.setattr(module, "MAX_FILE_BYTES", 2**20)
    content = {"bomb.png": bytes(2**21), "1.png": picture(1)}
    file = tmp_path / f"a.{kind}"
    write_zip(file, content) if kind == "zip" else write_tar(file, content, "w:gz")
    assert "when unpacked" in problems_of(listing(file))["bomb.png"]


def test_a_zip_member_that_lies_about_its_size_is_an_error(tmp_path: Path) -> None:
    file = write_zip(tmp_path / "a.zip", {"1.png": bytes(10_000), "2.png": picture(2)})
    data = file.read_bytes()
    file.write_bytes(data.replace((10_000).to_bytes(4, "little"), (90).to_bytes(4, "little")))
    samples = {sample.path: sample for sample in listing(file)}
    with pytest.raises(OSError, match="size or checksum"):
        samples["1.png"].read()
    assert samples["2.png"].read() == picture(2)


def test_members_that_overlap_or_are_encrypted_are_told(tmp_path: Path) -> None:
    file = write_zip(tmp_path / "a.zip", {f"{number}.png": picture(number) for number in (1, 2, 3)})
    data = bytearray(file.read_bytes())
    first = data.index(b"PK\x01\x02")
    second = data.index(b"PK\x01\x02", first + 4)
    data[first + 8] |= 1  # encrypted
    data[second + 20 : second + 24] = (10_000).to_bytes(4, "little")  # packed size
    file.write_bytes(data)
    assert problems_of(listing(file)) == {"1.png": "encrypted", "2.png": "overlaps another member"}


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.xz"])
def test_cut_off_archives_are_told(tmp_path: Path, kind: str) -> None:
    content = {f"{n}.png": np.random.default_rng(n).bytes(3000) for n in range(20)}
    file = tmp_path / f"a.{kind}"
    if kind == "zip":
        write_zip(file, content)
    else:
        write_tar(file, content, {"tar": "w"}.get(kind, f"w:{kind.removeprefix('tar.')}"))
    file.write_bytes(file.read_bytes()[:30_500])
    refuse("damaged or cut off", file)


def test_a_tar_with_a_damaged_header_is_told(tmp_path: Path) -> None:
    file = write_tar(tmp_path / "a.tar", {f"{n}.png": picture(n) for n in range(4)})
    data = bytearray(file.read_bytes())
    place = data.index(b"2.png")
    data[place : place + 40] = b"x" * 40
    file.write_bytes(data)
    refuse("damaged header", file)


def test_archives_without_images_are_told(tmp_path: Path) -> None:
    refuse(r"holds no images, but 1 other files \(1 .txt\)$", write_zip(tmp_path / "a.zip", {"readme.txt": b"hello"}))
    refuse("no images that can be used .*leads out", write_tar(tmp_path / "a.tar", {"../1.png": picture(1)}))
    (tmp_path / "a.7z").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(600))
    refuse("a 7-Zip archive; unpack it", tmp_path / "a.7z")


def test_an_archive_gives_the_same_images_as_its_folder(tmp_path: Path) -> None:
    content = {f"{'ab'[n % 2]}/{n}.png": picture(n) for n in range(40)}
    for name, data in content.items():
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(data)
    sources = [
        tmp_path / "folder",
        write_zip(tmp_path / "a.zip", content),
        write_tar(tmp_path / "b.tgz", content, "w:gz"),
    ]
    digests = {
        build_image_set(str(source), tmp_path / f"set{number}", settings(holdout=0.3, min_edge=1)).info.digest
        for number, source in enumerate(sources)
    }
    assert len(digests) == 1


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_damaged_archives_end_in_one_line_or_in_errors_of_single_images(tmp_path: Path, kind: str) -> None:
    content = {f"{'ab'[n % 2]}/{n}.png": picture(n) for n in range(6)} | {
        "labels.csv": b"file,x\na/0.png,1\nb/1.png,2\n"
    }
    file = tmp_path / f"a.{kind}"
    write = {"tar": "w"}.get(kind, f"w:{kind.removeprefix('tar.')}")
    whole = (write_zip(file, content) if kind == "zip" else write_tar(file, content, write)).read_bytes()
    random = np.random.default_rng(0)
    for _ in range(60):
        data = bytearray(whole)
        for place in random.integers(0, len(data), random.integers(1, 12)):
            data[place] = random.integers(256)
        file.write_bytes(data[: random.integers(1, len(data) + 1)] if random.random() < 0.3 else data)
        with contextlib.suppress(FaceForgeError):
            for sample in opened(file).samples():
                with contextlib.suppress(OSError):
                    assert isinstance(sample.read(), bytes)
    assert {path.name for path in tmp_path.iterdir()} == {file.name}
