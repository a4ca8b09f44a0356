"""What a person at a terminal sees of a run, and what a log file gets."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator

import pytest

from faceforge.progress import EVERY_VARIABLE
from pipelines.local.terminal import Terminal

LINES = (
    "[3/6] train",
    "      train 384/640 images · 6/s · 41 s left · loss G 0.589",
    "      train 1,280/12,800 images · 6/s · 41 s left",
    "      train 640/640 images · 9/s · 70.7 s",
    "warning: drift from toyfaces",
    "decision: PROMOTE",
    "decision     reject",
)


class Screen(io.StringIO):
    """SIMULATED terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("NO_COLOR", EVERY_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    yield
    os.environ.pop(EVERY_VARIABLE, None)


def shown(stream: io.StringIO) -> str:
    terminal = Terminal(stream)
    for line in LINES:
        terminal(line)
    return stream.getvalue()


def test_a_file_gets_every_line_as_it_is() -> None:
    assert shown(io.StringIO()) == "".join(f"{line}\n" for line in LINES)
    assert EVERY_VARIABLE not in os.environ


def test_a_terminal_gets_a_bar_in_place_with_rate_and_time_left() -> None:
    text = shown(Screen())
    assert text.count("\n") == 5  # the two lines in between were replaced
    first, second = text.split("\r\x1b[2K")[1:3]
    assert "60% · 384/640 images · 6/s" in first
    assert first.count("█") == 10
    assert "10% · 1,280/12,800" in second
    assert max(map(len, (first, second))) < 80
    assert "\r\x1b[2K      train 640/640 images · 9/s · 70.7 s\n" in text
    assert os.environ[EVERY_VARIABLE] == "1"


def test_the_decision_is_coloured() -> None:
    text = shown(Screen())
    assert "decision: \x1b[32mPROMOTE\x1b[0m\n" in text
    assert "decision     \x1b[31mreject\x1b[0m\n" in text
    assert "\x1b[33mwarning: drift" in text


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in shown(Screen())
