"""Ingest continues after being killed, does nothing for an unchanged source, and reports what has changed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from faceforge.config import IngestConfig
from faceforge.data.imageset.reader import ImageSet
from faceforge.data.ingest import build, parts, preparation
from faceforge.data.ingest.build import build_image_set, prepare_share
from faceforge.errors import FaceForgeError
from tests.data.conftest import MakeFolder


def settings(**fields: Any) -> IngestConfig:
    return IngestConfig.model_validate({"image_size": 32, "holdout": 0.3, "min_class": 1, **fields})


def contents(made: ImageSet) -> list[Any]:
    return [made.info, *made.records("train"), *made.records("holdout")]


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "MIN_SAMPLES", 4)


SLOW = """
import sys, time
from faceforge.config import IngestConfig
from pathlib import Path
from faceforge.data.ingest import parts, preparation
from faceforge.data.ingest.build import build_image_set
parts.MIN_SAMPLES = 4
preparation.PROCESSES_FROM = int(sys.argv[3])
original = parts.Parts.write
def slow(self, part, rows):
    original(self, part, rows)
    time.sleep(0.15)
parts.Parts.write = slow
build_image_set(sys.argv[1], Path(sys.argv[2]), IngestConfig(image_size=32, holdout=0.3, min_class=1))
"""


@pytest.mark.parametrize("processes_from", [1, 1000])
def test_ingest_continues_after_being_killed(
    make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_parts: None, processes_from: int
) -> None:
    root = make_folder(*(f"{kind}/{number}.png" for kind in ("cat", "dog") for number in range(30)))
    out, work = tmp_path / "set", tmp_path / ".set.parts"
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(root), str(out), str(processes_from)])
    deadline = time.monotonic() + 60
    while len(list(work.glob("*.parquet"))) < 3:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    before = {path.name: path.stat().st_mtime_ns for path in work.glob("*.parquet")}
    assert 3 <= len(before) < 15

    written: list[tuple[int, int]] = []
    original = parts.Parts.write

    def write(self: parts.Parts, part: tuple[int, int], outcomes: Any) -> None:
        written.append(part)
        original(self, part, outcomes)

    monkeypatch.setattr(parts.Parts, "write", write)
    resumed = build_image_set(str(root), out, settings())
    assert len(written) == 15 - len(before)
    assert not work.exists()
    assert contents(resumed) == contents(build_image_set(str(root), tmp_path / "undisturbed", settings()))


def test_settings_of_the_selection_use_the_prepared_parts(
    make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_parts: None
) -> None:
    root = make_folder(*(f"{number}.png" for number in range(18)))
    for number in range(2):
        (root / f"z{number}.jpg").write_text("Dear Sir or Madam")
    with pytest.raises(FaceForgeError, match="raise ingest.max_rejects"):
        build_image_set(str(root), tmp_path / "set", settings())
    kept = len(list((tmp_path / ".set.parts").glob("*.parquet")))
    assert kept == 4

    def only_the_rest(*_: object, **__: object) -> None:
        raise RuntimeError("prepares")

    monkeypatch.setattr(parts.Parts, "write", only_the_rest)
    with pytest.raises(RuntimeError, match="prepares"):
        build_image_set(str(root), tmp_path / "set", settings(max_rejects=0.2))
    assert len(list((tmp_path / ".set.parts").glob("*.parquet"))) == kept
    with pytest.raises(RuntimeError, match="prepares"):
        build_image_set(str(root), tmp_path / "set", settings(image_size=64))
    assert not list(tmp_path.glob(".set.parts/*.parquet"))  # another size: nothing of that is of use


def test_an_unchanged_source_is_not_read_again(
    classes_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = build_image_set(str(classes_folder), tmp_path / "set", settings())
    with monkeypatch.context() as patch:
        patch.setattr(build, "prepare_parts", None)
        assert build_image_set(str(classes_folder), tmp_path / "set", settings()).info == made.info
    assert "is up to date" in capsys.readouterr().err

    (classes_folder / "cat" / "0.png").unlink()
    (classes_folder / "dog" / "new.png").write_bytes((classes_folder / "dog" / "1.png").read_bytes())
    os.utime(classes_folder / "dog" / "3.png", (1, 1))
    build_image_set(str(classes_folder), tmp_path / "set", settings(holdout=0.4))
    message = capsys.readouterr().err
    assert "holdout was 0.3 and is 0.4" in message
    assert "1 added (dog/new.png)" in message
    assert "1 removed (cat/0.png)" in message
    assert "1 changed (dog/3.png)" in message

    next(iter(made.shards("train"))).unlink()
    build_image_set(str(classes_folder), tmp_path / "set", settings(holdout=0.4))
    assert "lacks shards" in capsys.readouterr().err


def test_another_decoder_version_rebuilds_the_set(
    classes_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    build_image_set(str(classes_folder), tmp_path / "set", settings())
    monkeypatch.setattr("cv2.__version__", "4.0")
    build_image_set(str(classes_folder), tmp_path / "set", settings())
    assert "is rebuilt: opencv was" in capsys.readouterr().err


def test_shares_prepared_apart_make_the_same_set(make_folder: MakeFolder, tmp_path: Path, small_parts: None) -> None:
    root = make_folder(*(f"{kind}/{number}.png" for kind in ("cat", "dog") for number in range(15)))
    (root / "cat" / "broken.png").write_text("no")
    alone = build_image_set(str(root), tmp_path / "alone", settings())
    shares = [tmp_path / f"share{number}" for number in range(3)]
    for number, folder in enumerate(shares):
        prepare_share(str(root), folder, settings(), share=number, shares=3)
    assert all(list(folder.glob("*.parquet")) for folder in shares)
    merged = build_image_set(str(root), tmp_path / "merged", settings(), prepared=shares)
    assert contents(merged) == contents(alone)
    assert not (tmp_path / ".merged.parts").exists()

    (root / "cat" / "later.png").write_bytes((root / "cat" / "1.png").read_bytes())
    with pytest.raises(FaceForgeError, match=r"prepared from something else: .*1 added \(cat/later.png\)"):
        build_image_set(str(root), tmp_path / "again", settings(), prepared=shares)
    with pytest.raises(FaceForgeError, match="holds no prepared images"):
        build_image_set(str(root), tmp_path / "again", settings(), prepared=[tmp_path])


def test_shares_without_a_part_are_fine(classes_folder: Path, tmp_path: Path) -> None:
    shares = [tmp_path / f"share{number}" for number in range(3)]
    for number, folder in enumerate(shares):
        prepare_share(str(classes_folder), folder, settings(), share=number, shares=3)
    assert [len(list(folder.glob("*.parquet"))) for folder in shares] == [0, 0, 1]
    merged = build_image_set(str(classes_folder), tmp_path / "merged", settings(), prepared=shares)
    assert contents(merged) == contents(build_image_set(str(classes_folder), tmp_path / "alone", settings()))


def test_two_at_once_do_not_mix(classes_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = build.prepare_parts

    def meanwhile(*arguments: Any) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(build, "prepare_parts", original)
            with pytest.raises(FaceForgeError, match="another ingest is writing"):
                build_image_set(str(classes_folder), tmp_path / "set", settings())
        assert (tmp_path / ".set.parts").exists()  # it is the other's
        original(*arguments)

    monkeypatch.setattr(build, "prepare_parts", meanwhile)
    assert build_image_set(str(classes_folder), tmp_path / "set", settings()).info.counts["train"].total > 0


def test_threads_and_processes_make_the_same(
    classes_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    for number, limit in enumerate((1, 1000)):
        monkeypatch.setattr(preparation, "PROCESSES_FROM", limit)
        made.append(contents(build_image_set(str(classes_folder), tmp_path / str(number), settings())))
    assert made[0] == made[1]
