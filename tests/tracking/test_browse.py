from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from faceforge.errors import FaceForgeError
from faceforge.tracking.browse import list_runs, read_grid, training_curves, training_grids
from faceforge.tracking.run_writer import Point
from faceforge.tracking.runs import finish_parent, step_run


def grid(value: int) -> np.ndarray:
    return np.full((8, 8, 3), value, np.uint8)


def test_runs_come_newest_first_with_their_headline(tracking_uri: str) -> None:
    assert list_runs("faces") == []
    for key in ("first", "second"):
        with step_run("evaluate", run_key=key, experiment="faces") as run:
            run.headline(metrics={"domain/frechet": 2.5}, tags={"faceforge.decision": "hold"})
        finish_parent(key, "FINISHED")
    with pytest.raises(ValueError, match="dark"), step_run("train", run_key="third", experiment="faces"):
        raise ValueError("too dark")
    third, second, first = list_runs("faces")
    assert [run.name for run in (first, second, third)] == ["first", "second", "third"]
    assert (second.status, second.decision, second.metrics) == ("FINISHED", "hold", {"domain/frechet": 2.5})
    assert (third.status, third.failure, third.decision) == ("FAILED", "ValueError: too dark", "")
    assert [run.name for run in list_runs("faces", at_most=1)] == ["third"]
    assert list_runs("elsewhere") == []


def test_curves_and_grids_are_those_of_the_training_step(tracking_uri: str) -> None:
    with step_run("ingest", run_key="k", experiment="faces") as ingest:
        ingest.log_image(grid(1), "samples", 5)
    assert training_grids(ingest.parent_id) == []
    with step_run("train", run_key="k", experiment="faces") as train:
        for step in (1000, 200, 30_000):
            train.log_image(grid(step % 251), "samples", step)
        for step in (10, 20, 30):
            train.log_points([Point({"loss/generator": step / 10}, step, at=1)])
    curves = training_curves(train.parent_id, ("loss/generator", "loss/absent"))
    assert curves == {"loss/generator": [(10, 1.0), (20, 2.0), (30, 3.0)]}
    grids = training_grids(train.parent_id)
    assert [found.images_seen for found in grids] == [200, 1000, 30_000]
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(read_grid(grids[0])))), grid(200))


def test_an_unknown_run_is_one_line(tracking_uri: str) -> None:
    with pytest.raises(FaceForgeError, match="no run 'nothing'"):
        training_grids("nothing")
