from __future__ import annotations

import pytest

from faceforge.errors import FaceForgeError, guarded


class _OddError(FaceForgeError):
    exit_code = 7


@pytest.mark.parametrize(
    "error, code, told",
    [
        (FaceForgeError("no such folder"), 2, "error: no such folder\n"),
        (_OddError("ended elsewhere"), 7, "error: ended elsewhere\n"),
        (KeyboardInterrupt(), 130, "stopped\n"),
        (KeyboardInterrupt("state saved"), 130, "state saved\n"),
    ],
)
def test_what_can_be_mended_is_one_line(
    error: BaseException, code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop, guarded():
        raise error
    assert stop.value.code == code
    assert capsys.readouterr().err == told


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), guarded():
        raise ZeroDivisionError
