"""Checks of the images without building them; local/test_containers.py runs those that are."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from faceforge import __version__

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "k8s" / "images"
DOCKERFILE = (FOLDER / "Dockerfile").read_text()
IMAGES = ("faceforge-core", "faceforge-train", "faceforge-serve")


def pins(lock: str) -> dict[str, str]:
    """Package -> version; those for one Python version only are read as well."""
    text = (ROOT / "locks" / f"{lock}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==([^ ;\\]+)", text, re.MULTILINE))


def stage(name: str) -> str:
    found = re.search(rf"^FROM \S+ AS {name}\n(.*?)(?=^FROM |\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL)
    assert found, name
    return found[1]


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_runs_as_an_ordinary_user_and_is_labelled(image: str) -> None:
    text = stage(image)
    assert re.findall(r"^USER (\S+)", text, re.MULTILINE) == ["10001:0"]
    assert f'org.opencontainers.image.title="{image}"' in text
    assert 'org.opencontainers.image.revision="${REVISION}"' in text
    assert "ENV FACEFORGE_REVISION=${REVISION}" in text
    assert text.index("USER") > text.index("RUN")


def test_everything_that_is_installed_is_locked_with_hashes() -> None:
    installing = re.findall(r"^RUN .*pip install.*$", DOCKERFILE, re.MULTILINE)
    assert len(installing) == 6
    for line in installing:
        assert "--require-hashes -r locks/" in line or "--no-deps /wheel/*.whl" in line
    for lock in ("core", "serve", "cpu", "gpu"):
        text = (ROOT / "locks" / f"{lock}.txt").read_text()
        entries = re.split(r"\n(?=[a-z0-9])", text)
        assert all("--hash=sha256:" in entry for entry in entries), lock


def test_core_has_what_its_steps_need_and_no_tensorflow() -> None:
    core = pins("core")
    assert {"kfp", "kfp-kubernetes", "mlflow", "pyarrow", "boto3", "psycopg2-binary", "setuptools"} <= set(core)
    assert not [name for name in core if name.startswith(("tensorflow", "keras", "nvidia", "streamlit"))]
    assert not any(name.startswith("kfp") for name in pins("serve"))


@pytest.mark.parametrize("lock", ["cpu", "gpu"])
def test_the_layer_on_top_of_core_replaces_nothing_of_it(lock: str) -> None:
    core, above = pins("core"), pins(lock)
    shared = set(core) & set(above)
    assert len(shared) > 100
    assert {name: above[name] for name in shared} == {name: core[name] for name in shared}


def test_steps_and_images_agree_on_names() -> None:
    from components import IMAGE, TRAIN_IMAGE

    assert (f"faceforge-core:{__version__}", f"faceforge-train:{__version__}") == (IMAGE, TRAIN_IMAGE)


def test_the_bill_of_materials_lists_python_and_debian_packages(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text(
        "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36-9+deb12u10\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n"
    )
    code = (
        f"import sys, json; sys.path.insert(0, {str(FOLDER)!r}); from pathlib import Path; import sbom\n"
        f"print(json.dumps(sbom.bill('x', Path({str(status)!r}))))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    document = json.loads(out)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.5")
    found = {entry["purl"]: entry for entry in document["components"]}
    assert f"pkg:pypi/kfp@{pins('core')['kfp']}" in found
    assert "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64" in found
    assert not any("gone" in purl for purl in found)
    references = [entry["bom-ref"] for entry in document["components"]]
    assert len(references) == len(set(references))


def script(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(FOLDER / "build.sh"), *arguments],
        env={"PATH": os.environ["PATH"], **variables},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
def test_shellcheck_is_content() -> None:
    found = subprocess.run(["shellcheck", str(FOLDER / "build.sh")], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """A SIMULATED container engine, which prints what it is asked to standard error."""
    program = tmp_path / "podman"
    program.write_text(
        '#!/bin/sh\nprintf "[%s]" "$@" >&2; echo >&2\ncase "$2" in inspect) echo 300000000;; esac\n'
        'case "$*" in *sbom.json*) echo "{}";; esac\n'
    )
    program.chmod(0o755)
    return program


def test_the_three_images_are_built_tried_and_listed(engine: Path, tmp_path: Path) -> None:
    bills = tmp_path / "bills"
    result = script(
        "build", ENGINE=str(engine), REGISTRY="r.example/team/", TAG="1.0", LOCK="gpu", SBOM=str(bills),
        BUILD_FLAGS="--build-arg PYTHON_IMAGE=r.example/python:3.11",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    for image in IMAGES:
        assert f"[--target][{image}][--tag][r.example/team/{image}:1.0][--build-arg][LOCK=gpu]" in result.stderr
        assert f"r.example/team/{image}:1.0 " in result.stdout
        assert json.loads((bills / f"{image}.cdx.json").read_text()) == {}
    assert result.stdout.count("300 MB") == 3
    assert result.stderr.count("[--read-only]") == 3
    assert result.stderr.count("[--build-arg][PYTHON_IMAGE=r.example/python:3.11]") == 3


def test_images_are_tagged_with_the_version_unless_a_tag_is_given(engine: Path, tmp_path: Path) -> None:
    result = script("build", ENGINE=str(engine), TAG="", SBOM=str(tmp_path / "bills"))
    assert all(f"[--tag][{image}:{__version__}]" in result.stderr for image in IMAGES)


def test_pushing_needs_a_registry(engine: Path) -> None:
    assert script("push", ENGINE=str(engine)).stderr.startswith("error: where to? make images-push REGISTRY=")
    pushed = script("push", ENGINE=str(engine), REGISTRY="r.example", TAG="2").stderr
    assert pushed.splitlines() == [f"[push][r.example/{image}:2]" for image in IMAGES]


def test_a_missing_engine_is_reported_in_one_line(tmp_path: Path) -> None:
    for name in ("bash", "dirname", "git"):
        (tmp_path / name).symlink_to(f"/usr/bin/{name}")
    result = script("build", PATH=str(tmp_path))
    assert result.returncode == 2
    assert result.stderr == (
        "error: neither docker nor podman answers; start one, or name it: make images ENGINE=podman\n"
    )
