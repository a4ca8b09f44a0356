from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from faceforge.cli.main import main
from faceforge.data.imageset.reader import ImageSet
from faceforge.files import exclusive_lock


def run(*arguments: str | Path | int) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["generate", *map(str, arguments)])
    return result.exit_code, result.output


def test_a_set_is_made_and_told(tiny_bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "faces"
    code, said = run("--model", tiny_bundle, "--per-class", 6, "--by", "sex", "--format", "folder", "--out", out)
    assert code == 0, said
    assert f"{out}: 12 images by bundle" in said
    assert "sex female, age child: 2" in said
    assert ImageSet.open(out).info.counts["train"].classes["sex"] == {"female": 6, "male": 6}
    assert (out / "folder" / "metadata.csv").is_file()


def test_mistakes_are_one_line_and_leave_nothing(tiny_bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "faces"
    cases = {
        "exactly one of count, per_class and balance": (),
        "by names 'hair'": ("--per-class", 3, "--by", "hair"),
        "is not an image set": ("--balance", tmp_path),
        "truncation = 3.0": ("--count", 3, "--truncation", 3),
        "needs a classifier": ("--count", 3, "--reject", "labels"),
        "name it with --data": ("--count", 3, "--reject", "copies"),
        "is not the output of faceforge evaluate": ("--count", 3, "--report", tmp_path),
    }
    for told, options in cases.items():
        code, said = run("--model", tiny_bundle, "--out", out, *options)
        assert code == 2
        (line,) = said.strip().splitlines()
        assert line.startswith("error: ")
        assert told in line, line
        assert not list(tmp_path.iterdir())


def test_a_second_generate_into_the_same_folder_is_refused_and_harms_nothing(tiny_bundle: Path, tmp_path: Path) -> None:
    out, work = tmp_path / "faces", tmp_path / ".faces.work"
    work.mkdir()
    (work / "part-of-the-other").touch()
    with exclusive_lock(work):  # as the other process holds it
        code, output = run("--model", tiny_bundle, "--count", 3, "--out", out)
    assert code == 2
    assert f"another generate is writing to {out}; wait for it" in output.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == [".faces.work"]
    assert (work / "part-of-the-other").exists()
    assert run("--model", tiny_bundle, "--count", 3, "--out", out)[0] == 0
