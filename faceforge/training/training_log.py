"""The training log: metrics and sample grids, written to files and passed to an observer if there is one."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from faceforge.data.overview.contact_sheet import save_png
from faceforge.files import atomic_file


class Observer(Protocol):
    """Receives the metrics and grids of a training run. `images_seen` is the x-axis of everything."""

    def on_start(self, summary: dict[str, Any]) -> None:
        """Training starts or resumes; `summary` holds sizes, budget and starting point."""

    def on_metrics(self, metrics: Mapping[str, float], images_seen: int) -> None:
        """A point of every curve."""

    def on_grid(self, grid: NDArray[np.uint8], images_seen: int, name: str) -> None:
        """A grid of images, uint8 (H, W, C); `name` is `samples`, or `interpolations` at the end."""


LATEST = "latest.png"


class TrainingLog:
    """Writes `metrics.jsonl`, grids and `interpolations.png`, and passes them to the observer.

    Sample grids are `grids/<images seen>.png`; the last one is also `latest.png`.

    A run resumed from a checkpoint first removes what was written after that checkpoint, so that no point appears
    twice.

    Args:
        folder: where to write.
        images_seen: images seen at the checkpoint that the run resumes from; 0 for a new run.
        observer: gets everything as well, or None.
        writes: False on all workers but one.
    """

    def __init__(self, folder: Path, images_seen: int, observer: Observer | None, writes: bool = True) -> None:
        self._folder, self._observer, self._writes = folder, observer, writes
        if not writes:
            return
        (folder / "grids").mkdir(parents=True, exist_ok=True)
        self._file = folder / "metrics.jsonl"
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        earlier = [line for line in lines if _images_seen(line) <= images_seen]
        with atomic_file(self._file) as partial:
            partial.write_text("".join(f"{line}\n" for line in earlier))
        for picture in (folder / "grids").glob("*.png"):
            if int(picture.stem) > images_seen:
                picture.unlink()

    def start(self, summary: dict[str, Any]) -> None:
        """Training starts or resumes."""
        if self._observer is not None:
            self._observer.on_start(summary)

    def metrics(self, metrics: Mapping[str, float], images_seen: int) -> None:
        """A point of every curve."""
        if self._writes:
            with self._file.open("a") as stream:
                stream.write(json.dumps({"images_seen": images_seen, **metrics}) + "\n")
        if self._observer is not None:
            self._observer.on_metrics(metrics, images_seen)

    def grid(self, grid: NDArray[np.uint8], images_seen: int, name: str) -> None:
        """A grid: `samples` get a file per point of the run, any other name has one file."""
        if self._writes:
            path = f"grids/{images_seen:09d}.png" if name == "samples" else f"{name}.png"
            save_png(self._folder / path, grid)
            if name == "samples":
                save_png(self._folder / LATEST, grid)
        if self._observer is not None:
            self._observer.on_grid(grid, images_seen, name)


def _images_seen(line: str) -> float:
    """`images_seen` of a line of metrics.jsonl; infinite if a kill truncated it."""
    try:
        return int(json.loads(line)["images_seen"])
    except ValueError:
        return math.inf
