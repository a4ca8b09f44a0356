"""The benchmark of private digits: the page has its settings, and its classifier distinguishes classes."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceforge.config import Config, resolve
from tests.docs.pages import commands


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    return import_module("benchmarks.private_digits")


def test_the_page_has_the_settings_of_the_benchmark(benchmark: Any) -> None:
    def settings(command: str) -> Config:
        return resolve("digits", ", ".join(re.findall(r'--set "([^"]+)"', command)))

    texts = [command.text for command in commands("docs/privacy.md")]
    public, private = (settings(text) for text in texts if text.startswith("faceforge train"))
    assert public == resolve("digits", f"{benchmark.NETWORKS}, {benchmark.PUBLIC}")
    more = "train.dp_epsilon=10, train.init_from=work/public/bundle"
    assert private == resolve("digits", f"{benchmark.NETWORKS}, {benchmark.PRIVATE}, {more}")


def test_the_accuracy_is_that_on_the_holdout(benchmark: Any, capsys: pytest.CaptureFixture[str]) -> None:
    codes = np.arange(40, dtype=np.int32)[:, None] % 2
    images = np.zeros((40, 32, 32, 1), np.uint8)
    images[:, :16] = 255 * codes[:, :, None, None]
    benchmark.report("samples", (images, codes), (images, np.where(np.arange(40)[:, None] < 30, codes, 1 - codes)))
    assert capsys.readouterr().out.split()[:2] == ["samples", "0.750"]
