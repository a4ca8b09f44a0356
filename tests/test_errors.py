from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from faceforge.errors import FaceForgeError, UnavailableError, explain, first_line, guarded


class _OddError(FaceForgeError):
    exit_code = 7


@pytest.mark.parametrize(
    "error, code, told",
    [
        (FaceForgeError("no such folder"), 2, "error: no such folder\n"),
        (FaceForgeError("http://bob:pa@s:s@host/x is away"), 2, "error: http://bob:***@host/x is away\n"),
        (FaceForgeError("set http:/bob:pass@host:9/x"), 2, "error: set http:/bob:***@host:9/x\n"),
        (
            FaceForgeError("models:/toy@champion of http://host:80/x"),
            2,
            "error: models:/toy@champion of http://host:80/x\n",
        ),
        (_OddError("ended elsewhere"), 7, "error: ended elsewhere\n"),
        (OSError(28, "No space left on device", "out/a.png"), 2, "error: out/a.png: No space left on device\n"),
        (PermissionError(13, "Permission denied"), 2, "error: Permission denied\n"),
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


@pytest.mark.parametrize(("error", "code"), [(UnavailableError("no answer"), 75), (FaceForgeError("no folder"), 2)])
def test_a_service_that_does_not_answer_can_have_an_exit_code_of_its_own(error: FaceForgeError, code: int) -> None:
    with pytest.raises(SystemExit) as stop, guarded(unavailable=75):
        raise error
    assert stop.value.code == code
    with pytest.raises(SystemExit) as stop, guarded():
        raise error
    assert stop.value.code == 2


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), guarded():
        raise ZeroDivisionError
    with pytest.raises(OSError, match="Broken pipe"), guarded():
        raise BrokenPipeError(32, "Broken pipe")


def test_a_path_that_is_too_long_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), guarded():
        Path("a" * 5000).exists()
    line = capsys.readouterr().err
    assert line.startswith("error: aaa")
    assert line.endswith("a: File name too long\n")
    assert len(line) < 300


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")
    count: int = 0
    name: str = ""

    @model_validator(mode="after")
    def _named(self) -> _Model:
        if self.count and not self.name:
            raise ValueError("count needs a name")
        return self


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"count": "many"}, "count = 'many': Input should be a valid integer"),
        ({"size": 1}, "size: Extra inputs are not permitted"),
        ({"count": 1}, "count needs a name"),
        ({"name": 10**5000}, "name = (a very long number): Input should be a valid string"),
        ({"count": "x" * 500}, f"count = '{'x' * 96}...: Input should be a valid integer"),
    ],
)
def test_a_validation_is_explained_in_one_line(values: dict[str, object], line: str) -> None:
    with pytest.raises(ValidationError) as caught:
        _Model(**values)  # type: ignore[arg-type]
    assert explain(caught.value).startswith(line)
    assert "\n" not in explain(caught.value)


def test_the_first_line_of_an_error_is_short_and_never_empty() -> None:
    assert first_line(ValueError("\n too dark\nsecond line")) == "too dark"
    assert first_line(KeyboardInterrupt()) == "KeyboardInterrupt"
    assert first_line(ValueError("x" * 400)) == "x" * 300
    assert first_line("") == ""
