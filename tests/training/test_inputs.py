from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from faceforge.config import resolve
from faceforge.data.ingest.build import build_image_set
from faceforge.errors import FaceForgeError
from faceforge.training.inputs import check_inputs

COMMAND = """
import sys
from faceforge.cli.main import main
try:
    main(sys.argv[1:], prog_name="faceforge")
finally:
    print(*({"tensorflow", "keras", "mlflow"} & set(sys.modules)))
"""


@pytest.mark.parametrize(
    "command", ["train --data nope", "export --bundle nope --out x", "tune --data nope --out x --budget 10min"]
)
def test_a_missing_input_is_reported_before_heavy_imports(tmp_path: Path, command: str) -> None:
    arguments = [sys.executable, "-c", COMMAND, *command.split()]
    result = subprocess.run(arguments, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stdout == "\n"
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert "nope" in line


def test_unusable_image_sets_are_refused(tmp_path: Path) -> None:
    build_image_set("toyfaces", tmp_path, resolve("toy", "ingest.limit=60").ingest)
    inputs = check_inputs(tmp_path, resolve("toy"))
    assert inputs.labels == {"expression": ["neutral", "smiling", "glasses"]}
    assert inputs.spec.classes == (3,)
    with pytest.raises(FaceForgeError, match="fewer than one batch of 256"):
        check_inputs(tmp_path, resolve("toy", "train.batch_size=256"))
    with pytest.raises(FaceForgeError, match="hair"):
        check_inputs(tmp_path, resolve("toy", "train.labels=hair"))


def test_the_fingerprint_names_data_and_every_setting(tmp_path: Path) -> None:
    build_image_set("toyfaces", tmp_path, resolve("toy", "ingest.limit=60").ingest)
    first, other = (check_inputs(tmp_path, resolve("toy", text)).fingerprint for text in ("", "train.seed=1"))
    assert {name for name in first if first[name] != other[name]} == {"train.seed"}
    assert {"dataset", "model.width", "train.learning_rate"} <= first.keys()
