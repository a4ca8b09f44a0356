from __future__ import annotations

import base64
import io
import json
import signal
import socket
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from faceforge.inference.generator import Generator


@pytest.fixture(scope="module")
def url(serve: Callable[..., Any], onnx_file: Path) -> str:
    return str(serve("--model", onnx_file).wait().url)


@pytest.fixture(scope="module")
def generator(onnx_file: Path) -> Generator:
    return Generator.load(onnx_file)


def generate(url: str, accept: str = "application/json", **request_body: Any) -> httpx.Response:
    return httpx.post(f"{url}/v1/generate", json=request_body, headers={"Accept": accept}, timeout=60)


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def images(answer: httpx.Response) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return np.stack([pixels(base64.b64decode(image["png"])) for image in answer.json()["images"]])


def close(ours: np.ndarray, theirs: np.ndarray) -> bool:
    """The same but for rounding, which depends on how many images are computed together."""
    return ours.shape == theirs.shape and bool(np.abs(ours.astype(int) - theirs.astype(int)).max() <= 1)


def test_json_holds_the_images_of_the_library(url: str, generator: Generator) -> None:
    request_body = {"num_images": 5, "attributes": {"sex": "male"}, "seed": 3, "truncation": 0.5, "start": 7}
    answer, drawn = generate(url, **request_body), generator.generate(**request_body)  # type: ignore[arg-type]
    assert close(images(answer), drawn.images)
    assert [image["labels"]["age"] for image in answer.json()["images"]] == drawn.labels["age"]
    assert answer.json()["model"] == "generator.onnx"
    assert len(images(generate(url))) == 16


def test_accept_chooses_the_format(url: str, generator: Generator) -> None:
    import pandas as pd

    drawn = generator.generate(5, seed=1)
    grid = generate(url, "image/png", num_images=5, seed=1)
    assert grid.headers["X-FaceForge-Model"] == "generator.onnx"
    assert pixels(grid.content).shape == (32, 48, 3)
    assert close(pixels(grid.content)[:16, 16:32], drawn.images[1])

    archive = zipfile.ZipFile(io.BytesIO(generate(url, "application/zip", num_images=5, seed=1).content))
    assert archive.read("labels.csv").decode().splitlines()[:2] == ["file,sex,age", "00000.png,female,child"]
    assert close(pixels(archive.read("00004.png")), drawn.images[4])

    parquet = generate(url, "application/vnd.apache.parquet", num_images=5, seed=1)
    table = pd.read_parquet(io.BytesIO(parquet.content))
    assert list(table["age"]) == drawn.labels["age"]
    assert close(pixels(table["image"][2]["bytes"]), drawn.images[2])

    refused = generate(url, "text/html")
    assert (refused.status_code, "image/png" in refused.json()["detail"]) == (406, True)


def test_interpolation_equals_the_library(url: str, generator: Generator) -> None:
    request_body = {"steps": 4, "attributes": {"age": "old"}}
    answer = httpx.post(f"{url}/v1/interpolate", timeout=60, json={"seeds": [1, 2, 3], **request_body})
    assert close(images(answer), generator.interpolate([1, 2, 3], **request_body).images)  # type: ignore[arg-type]
    too_many = httpx.post(f"{url}/v1/interpolate", timeout=60, json={"seeds": [1, 2, 3], "steps": 200})
    assert (too_many.status_code, too_many.json()["detail"].split()[0]) == (422, "399")


@pytest.mark.parametrize(
    "request_body, message",
    [
        ({"attributes": {"age": "adlut"}}, "did you mean 'adult'"),
        ({"attributes": {"hair": "red"}}, "no label column 'hair'"),
        ({"label": 1}, "name the column"),
        ({"labels": {"sex": ["male"], "age": ["old", "child"]}}, "differ"),
        ({"num_images": 257}, "num_images: Input should be less than or equal to 256"),
        ({"num_images": True}, "num_images"),
        ({"seed": 2**63}, "seed"),
        ({"truncation": 1.5}, "truncation"),
        ({"truncation": float("nan")}, "truncation"),
        ({"numimages": 3}, "numimages: Extra inputs"),
        ({"label": "\ud800"}, "label"),
        ([], "expected a JSON object"),
    ],
)
def test_invalid_requests_get_a_clear_error(url: str, request_body: Any, message: str) -> None:
    answer = httpx.post(
        f"{url}/v1/generate", timeout=60, content=json.dumps(request_body), headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, message in answer.json()["detail"]) == (422, True), answer.text


def test_large_bodies_are_refused_unread(url: str) -> None:
    answer = httpx.post(
        f"{url}/v1/generate", timeout=60, content=b" " * 300_000, headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, "256 KiB" in answer.json()["detail"]) == (413, True)
    pieces = (b" " * 50_000 for _ in range(8))  # no length message beforehand
    answer = httpx.post(f"{url}/v1/generate", timeout=60, content=pieces, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


def test_model_facts_and_health(url: str) -> None:
    facts = httpx.get(f"{url}/v1/model", timeout=60).json()
    assert facts["labels"]["age"] == ["child", "adult", "old"]
    assert (facts["rates_images"], facts["limits"]["images"]) == (False, 256)
    assert httpx.get(f"{url}/healthz", timeout=60).json() == {"status": "ok"}
    refused = httpx.post(f"{url}/v1/discriminate", timeout=60, files=[("images", ("a.png", b"1"))])
    assert (refused.status_code, "cannot rate" in refused.json()["detail"]) == (409, True)
    before = counted(url)
    assert generate(url, num_images=3).status_code == 200
    assert counted(url) == before + 3


def counted(url: str) -> float:
    """Images drawn so far, as Prometheus is message."""
    text = httpx.get(f"{url}/metrics", timeout=60).text
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith("faceforge_batch_images_sum"))


def test_concurrent_clients_get_their_own_images(url: str, generator: Generator) -> None:
    def ask(seed: int) -> np.ndarray:
        return images(generate(url, num_images=1 + seed % 5, seed=seed))

    with ThreadPoolExecutor(32) as clients:
        answers = list(clients.map(ask, range(64)))
    for seed, answer in enumerate(answers):
        assert close(answer, generator.generate(1 + seed % 5, seed=seed).images)


def test_a_full_queue_sends_retry_after(serve: Callable[..., Any], onnx_file: Path) -> None:
    url = serve("--model", onnx_file, "--queue", "1").wait().url
    with ThreadPoolExecutor(12) as clients:
        answers = list(clients.map(lambda seed: generate(url, num_images=256, seed=seed), range(24)))
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) == {200, 429}
    refused = answers[statuses.index(429)]
    assert int(refused.headers["Retry-After"]) >= 1
    assert "try again" in refused.json()["detail"]
    assert generate(url, num_images=1).status_code == 200


def test_the_api_key_is_required(serve: Callable[..., Any], onnx_file: Path) -> None:
    server = serve("--model", onnx_file, "--timeout", "1", FACEFORGE_API_KEY="köy").wait()
    for headers in ({}, {"X-API-Key": "wrong"}):
        answer = httpx.post(f"{server.url}/v1/generate", timeout=60, json={}, headers=headers)
        assert (answer.status_code, "X-API-Key" in answer.json()["detail"]) == (401, True)
    assert httpx.get(f"{server.url}/v1/model", timeout=60, headers={b"X-API-Key": "köy".encode()}).status_code == 200
    for path in ("healthz", "readyz", "metrics", "openapi.json"):
        assert httpx.get(f"{server.url}/{path}", timeout=60).status_code == 200
    assert "köy" not in server.log

    # The same server gives slow clients a second.
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 10) as slow:
        slow.sendall(
            "POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nX-API-Key: köy\r\nContent-Type: application/json\r\n"
            "Content-Length: 10\r\n\r\n{".encode()
        )
        assert slow.recv(100).startswith(b"HTTP/1.1 408")


def half_asked(url: str) -> tuple[socket.socket, bytes]:
    """A connection with a request that is not complete yet, and what is left to send."""
    host, port = url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), 30)
    body = b'{"num_images": 3, "seed": 9}'
    head = "POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
    connection.sendall(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body[:5])
    assert httpx.get(f"{url}/healthz", timeout=60).status_code == 200  # by now the first has been taken up, too
    return connection, body[5:]


def test_sigterm_finishes_open_requests(serve: Callable[..., Any], onnx_file: Path) -> None:
    server = serve("--model", onnx_file).wait()
    connection, rest = half_asked(server.url)
    with connection:
        server.process.terminate()
        while True:
            try:
                httpx.get(f"{server.url}/healthz", timeout=60)
            except httpx.TransportError:  # the door is closed
                break
        connection.sendall(rest)
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
    assert server.end() == 0


def test_a_killed_server_loses_only_open_requests(serve: Callable[..., Any], onnx_file: Path) -> None:
    server = serve("--model", onnx_file).wait()
    expected = images(generate(server.url, num_images=3, seed=9))
    connection, _ = half_asked(server.url)
    with connection:
        assert server.end(signal.SIGKILL) == -signal.SIGKILL
        with suppress(ConnectionResetError):
            assert connection.recv(100) == b""
    again = serve("--model", onnx_file, "--port", server.url.rpartition(":")[2]).wait()
    np.testing.assert_array_equal(images(generate(again.url, num_images=3, seed=9)), expected)


def test_models_that_cannot_be_served_give_a_one_line_error(
    serve: Callable[..., Any], url: str, onnx_file: Path
) -> None:
    for options, message in (
        (("--model", onnx_file.with_name("none.onnx")), "does not exist"),
        (("--tracking-uri", f"sqlite:///{onnx_file.with_name('none.db')}"), "none.db does not exist"),
        (("--model", onnx_file, "--port", url.rpartition(":")[2]), "choose another"),
    ):
        server = serve(*options)
        assert server.process.wait(60) == 2
        (line,) = server.log.splitlines()  # nothing of the web server before it
        assert line.startswith("error:")
        assert message in line
        assert server.url == ""


def test_other_charsets_are_refused_before_the_form_is_decoded(url: str) -> None:
    content_type = "multipart/form-data; boundary=X; charset=punycode"
    body = b'--X\r\nContent-Disposition: form-data; name="attributes"\r\n\r\n' + b"a" * 100_000 + b"\r\n--X--\r\n"
    answer = httpx.post(f"{url}/v1/discriminate", content=body, headers={"Content-Type": content_type}, timeout=5)
    assert (answer.status_code, "utf-8" in answer.json()["detail"]) == (415, True)


@pytest.mark.parametrize("headers", [{"Origin": "http://other.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_pages_of_other_sites_cannot_use_a_server_without_a_key(url: str, headers: dict[str, str]) -> None:
    assert httpx.post(f"{url}/v1/generate", json={}, headers=headers, timeout=60).status_code == 403
    own = {"Origin": url, "Sec-Fetch-Site": "same-origin"}
    assert httpx.post(f"{url}/v1/generate", json={"num_images": 1}, headers=own, timeout=60).status_code == 200


@pytest.mark.parametrize("value", ["9" * 4000, "1e999", "[1]", "null"])
def test_attributes_that_are_no_labels_are_refused(url: str, value: str) -> None:
    answer = httpx.post(
        f"{url}/v1/discriminate",
        files=[("images", ("a.png", b"1"))],
        data={"attributes": f'{{"age": {value}}}'},
        timeout=60,
    )
    assert answer.status_code in (409, 422)
