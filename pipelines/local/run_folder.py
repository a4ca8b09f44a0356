"""The folder of a local run, `runs/<run key>/`, and the search for an unfinished one."""

from __future__ import annotations

import hashlib
import json
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from faceforge.files import atomic_file, exclusive_lock

FINISHED = "succeeded"


@dataclass(frozen=True)
class RunFolder:
    """Paths and state of one run.

    Its files are `run.json` (parameters and status), `pipeline.yaml` (the compiled pipeline), `pipeline.log`, `steps/`
    (artifacts), `finished/` (kfp's cache of finished steps), `checkpoints/`, and after success `result.json`,
    `samples.png`, `summary.txt`, `report.html` and `report.json`.
    """

    root: Path

    @property
    def key(self) -> str:
        """The run key, which identifies checkpoints, MLflow runs and model versions."""
        return self.root.name

    @property
    def package(self) -> Path:
        """Compiled pipeline of this run."""
        return self.root / "pipeline.yaml"

    @property
    def log(self) -> Path:
        """Output of steps and kfp, of all attempts."""
        return self.root / "pipeline.log"

    @property
    def steps(self) -> Path:
        """Folder of the artifacts."""
        return self.root / "steps"

    @property
    def scratch(self) -> Path:
        """Folder for temporary files of the current attempt; the path of `root` may be too long for a socket."""
        return Path(tempfile.gettempdir()) / f"faceforge-{self.key}"

    def read(self) -> dict[str, Any]:
        """The state: run_key, fingerprint, arguments, status, attempts."""
        return dict(json.loads((self.root / "run.json").read_text(encoding="utf-8")))

    def update(self, **changes: Any) -> None:
        """Merges `changes` into the state."""
        state = self.read() if (self.root / "run.json").is_file() else {}
        self._write("run.json", {**state, **changes})

    def write_result(self, outputs: dict[str, str]) -> None:
        """Saves the pipeline's outputs: values of parameters and paths of artifacts."""
        self._write("result.json", outputs)

    def result(self) -> dict[str, str]:
        """The outputs saved by `write_result`."""
        return dict(json.loads((self.root / "result.json").read_text(encoding="utf-8")))

    @contextmanager
    def lock(self) -> Iterator[int]:
        """Hold the run for this process and the children that inherit the yielded descriptor.

        Raises:
            FaceForgeError: when another process holds it.
        """
        busy = f"run {self.key} with these parameters is going on already; wait, or start another with --fresh"
        with exclusive_lock(self.root / ".lock", busy) as descriptor:
            yield descriptor

    def _write(self, name: str, content: dict[str, Any]) -> None:
        with atomic_file(self.root / name) as partial:
            partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def fingerprint(arguments: dict[str, str]) -> str:
    """Short digest of what identifies a run."""
    return hashlib.sha256(json.dumps(arguments, sort_keys=True).encode()).hexdigest()[:16]


def find_unfinished(runs: Path, digest: str) -> RunFolder | None:
    """The newest run with this fingerprint that has not succeeded; None if there is none."""
    for state in sorted(runs.glob("*/run.json"), reverse=True):
        folder = RunFolder(state.parent)
        try:
            content = folder.read()
        except (OSError, ValueError, TypeError):
            continue  # not a run folder, or not readable
        if content.get("fingerprint") == digest and content.get("status") != FINISHED:
            return folder
    return None


def create(runs: Path, digest: str) -> RunFolder:
    """Creates a run folder; keys sort by time of creation."""
    key = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    folder = RunFolder(runs / key)
    folder.root.mkdir(parents=True)
    folder.update(run_key=key, fingerprint=digest, status="started", attempts=0)
    return folder
