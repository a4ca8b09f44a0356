"""The light runtime where nothing else is: a fresh environment with what `locks/lite.txt` pins, and this package."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
CODE = """
import json, sys, time
began = time.process_time()
from faceforge import Generator
seconds = time.process_time() - began
generator = Generator.load(sys.argv[1])
samples = generator.generate(40, attributes={"sex": "male"}, seed=5, truncation=0.7)
samples.images.tofile(sys.argv[2])
print(json.dumps([seconds, samples.images.shape, samples.labels["age"][:4]]))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of that environment."""
    folder = tmp_path_factory.mktemp("lite")
    python = folder / "venv" / "bin" / "python"
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    install: list[str | Path] = [*pip, "--python", python, "install", "--no-compile", "--retries", "1"]
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    locked: list[str | Path] = ["--require-hashes", "--only-binary=:all:", "-r", ROOT / "locks" / "lite.txt"]
    installed = subprocess.run([*install, *locked], capture_output=True, text=True)
    if installed.returncode:
        pytest.skip(f"the light environment cannot be installed here: {installed.stderr.strip().splitlines()[-1]}")
    # Built from a copy, because building leaves files beside the sources.
    for name in ("faceforge", "components", "pipelines"):
        shutil.copytree(ROOT / name, folder / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "source")
    build: list[str | Path] = [
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--wheel-dir",
        folder,
        folder / "source",
    ]
    subprocess.run([*pip, *build], check=True)
    subprocess.run([*install, "--no-deps", "--no-index", *folder.glob("*.whl")], check=True)
    return python


def test_one_file_and_the_lite_extra_are_enough(python: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    from faceforge.export.onnx import write_onnx
    from faceforge.inference.generator import Generator
    from faceforge.models.bundle import Bundle

    write_onnx(Bundle.load(tiny_bundle), tmp_path / "g.onnx")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    subprocess.run([python, "-c", "from faceforge import Generator"], check=True, cwd=tmp_path, env=clean)  # compiles
    ran = subprocess.run(
        [python, "-c", CODE, tmp_path / "g.onnx", tmp_path / "images"],
        capture_output=True, text=True, cwd=tmp_path, env=clean,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    seconds, shape, ages = json.loads(ran.stdout)
    expected = Generator.load(tiny_bundle).generate(40, attributes={"sex": "male"}, seed=5, truncation=0.7)
    assert ages == expected.labels["age"][:4]
    images = np.fromfile(tmp_path / "images", np.uint8).reshape(shape)
    assert np.abs(images.astype(int) - expected.images).max() <= 1
    assert seconds < 1
