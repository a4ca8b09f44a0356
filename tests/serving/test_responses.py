import pytest

from faceforge.serving.responses import chosen_type

PARQUET = "application/vnd.apache.parquet"


@pytest.mark.parametrize(
    "accept, expected",
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("image/png", "image/png"),
        ("IMAGE/*", "image/png"),
        ("text/html, */*;q=0.1", "application/json"),
        (f"application/zip;q=0.5, {PARQUET}", PARQUET),
        ("application/json;q=0, */*", "image/png"),
        ("application/json; q=0.2, image/png; q=0.3", "image/png"),
        ("text/html", None),
        ("image/png;q=0", None),
        ("image/png;q=high", None),
        (", ;", None),
    ],
)
def test_accept(accept: str, expected: str | None) -> None:
    assert chosen_type(accept) == expected
