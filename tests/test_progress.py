import pytest

from faceforge import progress
from faceforge.progress import Progress


def test_lines_with_rate_and_time_left_where_output_is_piped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_SECONDS", 0.0)
    with Progress("train", total=100, unit="image", done=40) as bar:
        bar.advance(20, note="loss 0.7")
        bar.advance(40)
    first, last = capsys.readouterr().err.splitlines()  # the last is not repeated at the end
    assert first.startswith("train 60/100 images")
    assert "s left" in first
    assert "loss 0.7" in first
    assert last.startswith("train 100/100 images")
