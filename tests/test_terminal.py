from __future__ import annotations

import io

import pytest

from faceforge.terminal import coloured


class Screen(io.StringIO):
    """SIMULATED terminal."""

    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert coloured("error:", "red", Screen()) == "\x1b[31merror:\x1b[0m"
    assert coloured("error:", "red", io.StringIO()) == "error:"
    monkeypatch.setenv("TERM", "dumb")
    assert coloured("error:", "red", Screen()) == "error:"
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert coloured("error:", "red", Screen()) == "error:"
