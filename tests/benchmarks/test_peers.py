"""The comparison with public GAN programs: rows of a peer, and the reason where there are none."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PEER = """#!{python}
import json, sys
import numpy as np
from pathlib import Path
options = dict(zip(sys.argv[3::2], sys.argv[4::2]))
out = Path(options["--out"])
out.mkdir()
for value, mark in enumerate(("images", "seconds")):
    np.save(out / f"{{mark}}.npy", np.full((int(options["--samples"]), 4, 4, 3), value, np.uint8))
print("a line of another library")
mark = {{"kimg": 20.0, "seconds": float(options["--seconds"])}}
print(json.dumps({{"weights": 7, "images": mark, "seconds": mark}}))
"""


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    module = import_module("benchmarks.peers")
    monkeypatch.setattr(module, "judge", lambda samples, reference: {"frechet": float(samples.mean())})
    return module


@pytest.fixture
def arguments(tmp_path: Path) -> dict[str, Any]:
    return {"checkout": "code", "out": tmp_path / "peer", "kimg": 20, "seconds": 31.5, "samples": 5}


def program(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def test_a_peer_is_sampled_after_equal_images_and_equal_seconds(
    peers: Any, arguments: dict[str, Any], tmp_path: Path
) -> None:
    python = program(tmp_path / "python", PEER.format(python=sys.executable))
    rows = peers.theirs("r3gan", python, arguments, None)
    assert [(row["after"], row["frechet"]) for row in rows] == [("equal images", 0.0), ("equal seconds", 1.0)]
    assert all(row["weights"] == 7 and row["seconds"] == 31.5 for row in rows)
    assert len(np.load(tmp_path / "peer" / "images.npy")) == 5
    assert "| r3gan | equal images | 20.0 | 31.5 | 7 | 0.0 |" in peers.table(rows)


def test_a_peer_that_does_not_run_is_skipped_with_the_reason(
    peers: Any, arguments: dict[str, Any], tmp_path: Path
) -> None:
    broken = program(
        tmp_path / "python", "#!/bin/sh\necho \"ModuleNotFoundError: No module named 'torch'\" >&2\nexit 1\n"
    )
    (row,) = peers.theirs("r3gan", broken, arguments, None)
    assert row["skipped"] == "ModuleNotFoundError: No module named 'torch'"
    (row,) = peers.theirs("r3gan", str(tmp_path / "absent"), arguments, None)
    assert row["skipped"].endswith("absent: No such file or directory")
