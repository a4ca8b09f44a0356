from __future__ import annotations

from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceforge.config import resolve
from faceforge.training.budget import ADAPTATION, MAX_BLOCK, Budget, Marks

COUNTS = st.integers(20, 400)


def budget(settings: str, images: int = 1000, folds: bool = True) -> Budget:
    return Budget(resolve("toy", settings).train, images, folds)


@given(
    kimg=st.floats(0.01, 50), size=st.integers(2, 64), points=COUNTS, saves=st.integers(1, 1000), folds=st.booleans()
)
def test_steps_are_whole_blocks_and_enough(kimg: float, size: int, points: int, saves: int, folds: bool) -> None:
    found = budget(
        f"train.kimg={kimg}, train.batch_size={size}, train.log_points={points}, train.checkpoints={saves}",
        folds=folds,
    )
    wanted = max(1, ceil(kimg * 1000 / size))
    assert 1 <= found.block <= (MAX_BLOCK if folds else 1)
    assert found.steps % found.block == 0
    assert wanted <= found.steps < wanted + found.block
    assert found.block == 1 or found.steps // found.block >= max(points, saves)  # each mark has a dispatch of its own
    assert found.progress(found.steps, 0.0) == 1
    assert found.progress(found.steps - 1, 1e9) < 1


def test_epochs_replace_kimg_and_minutes_replace_both() -> None:
    assert budget("train.kimg=1, train.epochs=3, train.batch_size=10").steps == 300
    timed = budget("train.kimg=1, train.epochs=3, train.minutes=2")
    assert timed.steps == 0
    assert timed.block == MAX_BLOCK
    assert timed.progress(10**9, 30.0) == 0.25
    assert timed.progress(1, 500.0) == 1


def test_scalars_follow_their_schedules() -> None:
    found = budget(
        "train.kimg=16, train.batch_size=16, train.learning_rate=0.01, train.gamma=8, train.gamma_final=2,"
        "train.beta2=0.9, train.beta2_final=0.99, train.penalty_interval=8, train.label_ramp=0.5, train.ema_kimg=1"
    )
    steps = found.steps
    assert steps == 1000
    first, middle, last = (found.scalars(step, 0.0, 0) for step in (0, 500, steps))
    assert [s["learning_rate"] for s in (first, middle, last)] == pytest.approx([0.01, 0.0055, 0.001])
    assert [s["gamma"] for s in (first, middle, last)] == pytest.approx([8, 5, 2])
    assert [s["beta2"] for s in (first, middle, last)] == pytest.approx([0.9, 0.945, 0.99])
    assert [s["label_weight"] for s in (first, found.scalars(250, 0.0, 0), middle)] == pytest.approx([0, 0.5, 1])
    assert [s["time"] for s in (first, middle)] == [1, 501]
    assert first["ema_decay"] == 0  # a copy
    assert last["ema_decay"] == pytest.approx(0.5 ** (16 / min(1000, 0.2 * 16_000)))
    assert [step for step in range(20) if found.scalars(step, 0.0, 0)["penalise"]] == [0, 8, 16]
    assert not any(budget("train.gamma=0").scalars(step, 0.0, 0)["penalise"] for step in range(20))


def test_each_rollback_halves_the_learning_rate_and_doubles_the_penalty() -> None:
    found = budget("train.kimg=16")
    for gentler in (1, 2, 3):
        before, after = found.scalars(100, 0.0, gentler - 1), found.scalars(100, 0.0, gentler)
        assert after["learning_rate"] == pytest.approx(before["learning_rate"] / 2)
        assert after["gamma"] == pytest.approx(before["gamma"] * 2)
        changed = ("learning_rate", "gamma")
        assert all(after[name] == before[name] for name in before if name not in changed)


def test_the_strength_can_rise_from_zero_to_one_in_a_tenth_of_the_budget() -> None:
    found = budget("train.kimg=16, train.batch_size=16")
    assert sum(found.scalars(step, 0.0, 0)["adapt_rate"] for step in range(100)) == pytest.approx(1)
    timed = budget("train.minutes=1, train.batch_size=16")
    assert timed.scalars(16, 12.0, 0)["adapt_rate"] == 0  # all that is known is that compiling took 12 seconds
    assert timed.scalars(32, 12.2, 0, pace=0.01)["adapt_rate"] == pytest.approx(1 / (ADAPTATION * 6000))


@given(minutes=st.floats(0.01, 1000), share=st.floats(0, 1), step=st.integers(0, 10**6), gentler=st.integers(0, 3))
def test_scalars_are_finite_at_any_moment(minutes: float, share: float, step: int, gentler: int) -> None:
    found = budget(f"train.minutes={minutes:f}, train.label_ramp=0.3, train.beta2_final=0.99")
    scalars = found.scalars(step, share * minutes * 60, gentler, pace=0.1)
    assert all(np.isfinite(np.float32(value)) for value in scalars.values())
    assert 0 <= scalars["label_weight"] <= 1
    assert 0 <= scalars["ema_decay"] < 1
    assert scalars["learning_rate"] > 0
    assert scalars["adapt_rate"] > 0


@given(count=st.integers(1, 300), dispatches=st.integers(1, 700), stop=st.floats(0, 1))
def test_the_number_of_marks_does_not_depend_on_where_a_run_resumes(count: int, dispatches: int, stop: float) -> None:
    steps = range(1, dispatches + 1)
    marks = Marks(count, 0.0)
    due = [step for step in steps if marks.due(step / dispatches)]
    assert len(due) == min(count, dispatches)
    assert due[-1] == dispatches
    resumed = int(stop * dispatches)
    later = Marks(count, resumed / dispatches)
    assert [s for s in steps if s > resumed and later.due(s / dispatches)] == [s for s in due if s > resumed]


def test_marks_passed_by_one_slow_step_are_due_once() -> None:
    marks = Marks(10, 0.0)
    assert [marks.due(progress) for progress in (0.05, 0.35, 0.39, 0.4, 1.0)] == [False, True, False, True, True]
