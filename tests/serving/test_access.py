"""Who may use a server, and under which address: keys, origins, prefixes, the reference page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

KEY = "köy"


@pytest.fixture(scope="module")
def url(serve: Callable[..., Any], onnx_file: Path) -> str:
    """A server with a key behind the prefix /faces that pages of one site may use."""
    options = ("--root-path", "faces/", "--allow-origin", "https://Friend.example")
    return str(serve("--model", onnx_file, *options, FACEFORGE_API_KEY=KEY).wait().url)


@pytest.fixture(scope="module")
def keyless(serve: Callable[..., Any], onnx_file: Path) -> str:
    return str(serve("--model", onnx_file, "--allow-origin", "https://friend.example").wait().url)


@pytest.mark.parametrize("prefix", ["", "/faces"])
def test_both_headers_hold_the_key_with_and_without_the_prefix(url: str, prefix: str) -> None:
    key = KEY.encode()
    for headers in ({b"X-API-Key": key}, {b"Authorization": b"Bearer " + key}, {b"authorization": b"bearer  " + key}):
        assert httpx.get(f"{url}{prefix}/v1/model", headers=headers, timeout=60).status_code == 200
    for headers in ({}, {b"Authorization": key}, {b"Authorization": b"Basic " + key}, {b"Authorization": b"Bearer x"}):
        answer = httpx.get(f"{url}{prefix}/v1/model", headers=headers, timeout=60)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("path", ["/faces/faces/v1/model", "//v1/model", "/facesv1/model", "/healthz/../v1/model"])
def test_no_spelling_of_a_path_avoids_the_key(url: str, path: str) -> None:
    assert httpx.get(httpx.URL(url).copy_with(raw_path=path.encode()), timeout=60).status_code in (401, 404)


def test_health_answers_head(url: str) -> None:
    for path in ("healthz", "readyz"):
        answer = httpx.head(f"{url}/{path}", timeout=60)
        assert (answer.status_code, answer.content) == (200, b"")


def test_the_reference_page_needs_no_other_server(url: str) -> None:
    page = httpx.get(f"{url}/faces/docs", timeout=60)
    assert page.status_code == 200
    assert "/v1/generate" in page.text
    assert "num_images" in page.text
    assert "<script" not in page.text
    assert "src=" not in page.text
    description = httpx.get(f"{url}/openapi.json", timeout=60).json()
    assert description["servers"] == [{"url": "/faces"}]
    assert httpx.get(f"{url}/redoc", headers={b"X-API-Key": KEY.encode()}, timeout=60).status_code == 404


def test_pages_of_an_allowed_site_may_use_the_server(keyless: str) -> None:
    friend = {"Origin": "https://friend.example", "Sec-Fetch-Site": "cross-site"}
    preflight = {**friend, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    answer = httpx.options(f"{keyless}/v1/generate", headers=preflight, timeout=60)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, friend["Origin"])
    answer = httpx.post(f"{keyless}/v1/generate", json={"num_images": 1}, headers=friend, timeout=60)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, friend["Origin"])
    stranger = {"Origin": "https://friend.example.evil", "Sec-Fetch-Site": "cross-site"}
    answer = httpx.post(f"{keyless}/v1/generate", json={"num_images": 1}, headers=stranger, timeout=60)
    assert (answer.status_code, "Access-Control-Allow-Origin" in answer.headers) == (403, False)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:9", 200),
        ("192.168.1.20:8000", 200),
        ("[::1]:8000", 200),
        ("friend.example", 200),
        ("rebound.example:8000", 403),
        ("localhost.rebound.example", 403),
        ("127.0.0.1@rebound.example", 403),
        ("[::1", 403),
        ("", 403),
    ],
)
def test_a_server_without_a_key_refuses_names_that_are_not_its_own(keyless: str, host: str, status: int) -> None:
    own = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}  # as after DNS rebinding
    assert httpx.get(f"{keyless}/v1/model", headers=own, timeout=60).status_code == status
    assert httpx.get(f"{keyless}/readyz", headers={"Host": host}, timeout=60).status_code == 200


def test_a_server_with_a_key_has_any_name(url: str) -> None:
    headers = {b"Host": b"faceforge-serve.faceforge", b"X-API-Key": KEY.encode()}
    assert httpx.get(f"{url}/v1/model", headers=headers, timeout=60).status_code == 200


@pytest.mark.parametrize(
    ("options", "key", "message"),
    [
        ((), "secret\n", "FACEFORGE_API_KEY contains white space"),
        ((), "two words", "FACEFORGE_API_KEY contains white space"),
        (("--root-path", "https://example.org/faces"), "", "--root-path"),
        (("--root-path", "/a/../b c"), "", "--root-path"),
        (("--allow-origin", "*"), "", "--allow-origin"),
        (("--allow-origin", "https://example.org/page"), "", "--allow-origin"),
    ],
)
def test_useless_settings_are_refused_at_start(options: tuple[str, ...], key: str, message: str) -> None:
    from faceforge.cli.main import main

    result = CliRunner().invoke(main, ["serve", "--port", "0", *options], env={"FACEFORGE_API_KEY": key})
    assert (result.exit_code, message in result.output) == (2, True), result.output
    assert "secret" not in result.output
