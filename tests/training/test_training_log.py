from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from faceforge.training.training_log import TrainingLog

PICTURE = np.zeros((4, 4, 3), np.uint8)


class Listener:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def on_start(self, summary: dict[str, Any]) -> None:
        self.heard.append(summary)

    def on_metrics(self, metrics: Any, images_seen: int) -> None:
        self.heard.append((dict(metrics), images_seen))

    def on_grid(self, grid: Any, images_seen: int, name: str) -> None:
        self.heard.append((grid.shape, images_seen, name))


def write(log: TrainingLog, *positions: int) -> None:
    for position in positions:
        log.metrics({"loss": position / 100}, position)
        log.grid(PICTURE, position, "samples")


def positions(folder: Path) -> list[int]:
    return [json.loads(line)["images_seen"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_files_and_observer_get_the_same(tmp_path: Path) -> None:
    listener = Listener()
    log = TrainingLog(tmp_path, 0, listener)
    log.start({"steps": 3})
    write(log, 100)
    log.grid(PICTURE, 100, "interpolations")
    assert listener.heard == [
        {"steps": 3}, ({"loss": 1.0}, 100), ((4, 4, 3), 100, "samples"), ((4, 4, 3), 100, "interpolations"),
    ]  # fmt: skip
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {"images_seen": 100, "loss": 1.0}
    assert (tmp_path / "grids" / "000000100.png").is_file()
    assert (tmp_path / "interpolations.png").is_file()


def test_entries_after_the_checkpoint_are_removed(tmp_path: Path) -> None:
    write(TrainingLog(tmp_path, 0, None), 100, 200, 300)
    with (tmp_path / "metrics.jsonl").open("a") as stream:
        stream.write('{"images_seen": 40')  # cut short by a kill
    log = TrainingLog(tmp_path, 200, None)
    assert positions(tmp_path) == [100, 200]
    assert sorted(p.name for p in (tmp_path / "grids").iterdir()) == ["000000100.png", "000000200.png"]
    assert (tmp_path / "latest.png").read_bytes() == (tmp_path / "grids" / "000000200.png").read_bytes()
    write(log, 250)
    assert positions(tmp_path) == [100, 200, 250]
    TrainingLog(tmp_path, 0, None)
    assert positions(tmp_path) == []


def test_a_worker_that_does_not_write_leaves_the_folder_alone(tmp_path: Path) -> None:
    write(TrainingLog(tmp_path, 0, None), 100)
    other = TrainingLog(tmp_path, 0, None, writes=False)
    write(other, 200)
    assert positions(tmp_path) == [100]
    assert len(list((tmp_path / "grids").iterdir())) == 1
