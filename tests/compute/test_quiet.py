"""TensorFlow's messages while it is imported, in real processes; a stand-in package writes what TensorFlow writes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

MESSAGES = {
    "preamble": "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    "info": "I0000 00:00:1795956840.074053   25608 port.cc:153] oneDNN custom operations are on.",
    "old style": "2026-11-29 12:00:00.123456: I tensorflow/core/platform/cpu_feature_guard.cc:210] AVX2",
    "warning": "W0000 00:00:1795956840.074053   25608 gpu_device.cc:2433] Cannot dlopen some GPU libraries.",
    "error": "E0000 00:00:1795956840.074053   25608 cuda_fft.cc:467] Unable to register cuFFT factory",
    "other": "something else that a user should read",
}


@pytest.fixture
def standin(tmp_path: Path) -> Path:
    """A folder with a package `tensorflow` that logs through the file descriptor, as C++ does."""
    package = tmp_path / "tensorflow" / "__init__.py"
    package.parent.mkdir()
    package.write_text(f"import os\nos.write(2, {(chr(10).join(MESSAGES.values()) + chr(10)).encode()!r})\n")
    return tmp_path


def imported(standin: Path, code: str = "import faceforge, tensorflow", **environment: str) -> str:
    variables = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"} | environment
    variables["PYTHONPATH"] = f"{standin}{os.pathsep}{Path(__file__).parents[2]}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=variables).stderr


@pytest.mark.parametrize(
    ("environment", "shown"),
    [
        ({}, ["other"]),
        ({"TF_CPP_MIN_LOG_LEVEL": "2"}, ["error", "other"]),
        ({"TF_CPP_MIN_LOG_LEVEL": "0"}, ["info", "old style", "warning", "error", "other"]),
    ],
)
def test_messages_obey_the_log_level(standin: Path, environment: dict[str, str], shown: list[str]) -> None:
    assert imported(standin, **environment).splitlines() == [MESSAGES[name] for name in shown]


def test_a_failing_import_is_reported_in_full(standin: Path) -> None:
    with (standin / "tensorflow" / "__init__.py").open("a") as stream:
        stream.write("raise ImportError('no such library')\n")
    assert imported(standin).splitlines()[-1] == "ImportError: no such library"


def test_later_output_is_not_filtered(standin: Path) -> None:
    code = f"import faceforge, tensorflow, os; os.write(2, {MESSAGES['info'].encode()!r})"
    assert imported(standin, code).splitlines() == [MESSAGES["other"], MESSAGES["info"]]


def test_the_module_keeps_its_own_loader(standin: Path) -> None:
    code = (
        "import faceforge, tensorflow as t, sys;"
        " print(t.__loader__ is t.__spec__.loader, t.__loader__, file=sys.stderr)"
    )
    assert imported(standin, code).splitlines()[-1].startswith("True <_frozen_importlib_external.SourceFileLoader")
