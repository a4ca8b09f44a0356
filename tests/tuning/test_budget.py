from __future__ import annotations

import pytest

from faceforge.errors import FaceForgeError
from faceforge.tuning.budget import SearchBudget


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [("10min", 600, "seconds"), ("1.5 h", 5400, "seconds"), ("200kimg", 200, "kimg")],
)
def test_budgets_are_read(text: str, amount: float, unit: str) -> None:
    assert SearchBudget.parse(text) == SearchBudget(amount, unit)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "10", "ten minutes", "0min", "-5min", "10 mins"])
def test_other_budgets_are_refused(text: str) -> None:
    with pytest.raises(FaceForgeError, match="write it as 10min, 2h or 200kimg"):
        SearchBudget.parse(text)


def test_a_share_of_the_budget_is_a_limit() -> None:
    budget = SearchBudget(100, "kimg")
    assert budget.allows(50, 10, share=0.6)
    assert not budget.allows(50, 11, share=0.6)
    assert budget.allows(90, 10)
