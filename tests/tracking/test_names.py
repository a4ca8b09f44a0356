from __future__ import annotations

import pytest
from mlflow.utils.validation import _validate_metric_name

from faceforge.tracking.names import metric_name


@pytest.mark.parametrize("name", ["domain/frechet", "drift/labels_age: 0-12", "classes/naïve (a)", "x/?*", "写真/a"])
def test_mlflow_takes_every_name(name: str) -> None:
    _validate_metric_name(metric_name(name))


def test_valid_names_stay() -> None:
    assert metric_name("domain/label_agreement_age group") == "domain/label_agreement_age group"
    assert metric_name("a:b?") == "a_b_"
