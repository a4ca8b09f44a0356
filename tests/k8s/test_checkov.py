"""Findings of the security checker checkov, which `make checkov` installs in an environment of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.k8s.conftest import TREES

ACCEPTED = {
    "CKV_K8S_15": "images are pulled once: their tags are never moved, and kind has them loaded",
    "CKV_K8S_35": "MLflow, libpq and boto3 take passwords from the environment",
    "CKV_K8S_43": "digests are known only to those who have pushed the images; overlays may name them",
}


@pytest.fixture(scope="module")
def checkov() -> str:
    own = Path(__file__).parents[2] / ".venv-checkov/bin/checkov"
    found = os.environ.get("FACEFORGE_CHECKOV") or (str(own) if own.exists() else shutil.which("checkov"))
    if not found:
        pytest.skip("checkov is not installed: make checkov")
    return found


@pytest.mark.parametrize("name", TREES)
def test_nothing_is_found_but_what_is_accepted(
    checkov: str, name: str, render: Callable[[str], str], tmp_path: Path
) -> None:
    file = tmp_path / "manifests.yaml"
    file.write_text(render(name))
    found = subprocess.run(
        [checkov, "--file", str(file), "--framework", "kubernetes", "--output", "json", "--compact", "--quiet"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    report = json.loads(found.stdout)
    assert report["summary"]["passed"] > 100
    assert report["summary"]["parsing_errors"] == 0
    open_ = {(c["check_id"], c["check_name"], c["resource"]) for c in report["results"]["failed_checks"]}
    assert not {c for c in open_ if c[0] not in ACCEPTED}
