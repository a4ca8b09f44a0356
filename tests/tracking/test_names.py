from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mlflow.utils.validation import _validate_metric_name

from faceforge.tracking.names import metric_name


@pytest.mark.parametrize("name", ["domain/frechet", "drift/labels_age: 0-12", "classes/naïve (a)", "x/?*", "写真/a"])
def test_mlflow_takes_every_name(name: str) -> None:
    _validate_metric_name(metric_name(name))


def test_valid_names_stay() -> None:
    assert metric_name("domain/label_agreement_age group") == "domain/label_agreement_age group"


@given(st.text(max_size=300), st.text(max_size=300))
@example("classes/a<b", "classes/a>b")
@example("classes/" + "x" * 300 + "1", "classes/" + "x" * 300 + "2")
def test_different_names_stay_different(first: str, second: str) -> None:
    assert (metric_name(first) == metric_name(second)) == (first == second)
    assert len(metric_name(first).encode()) <= 250
