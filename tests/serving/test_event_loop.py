"""No request keeps the event loop busy: others are answered at once while a hostile one is handled."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

LONGEST_PAUSE = 0.25  # seconds
_ATTEMPTS = 4  # a busy machine delays some answers; a hostile request delays them every time
_FORM = "multipart/form-data; boundary=X"
_FIELD = b'--X\r\nContent-Disposition: form-data; name="attributes"\r\n\r\n'
_FILE = b'--X\r\nContent-Disposition: form-data; name="images"; filename="a.jpg"\r\n\r\n'
_END = b"\r\n--X--\r\n"


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, "JPEG", progressive=True)
    return buffer.getvalue()


HOSTILE: dict[str, tuple[str, str, bytes]] = {
    "punycode": ("discriminate", f"{_FORM}; charset=punycode", _FIELD + b"a" * 1_000_000 + _END),
    "utf-7": ("discriminate", f"{_FORM}; charset=utf-7", _FIELD + b"+" * 1_000_000 + _END),
    "large field": ("discriminate", _FORM, _FIELD + b"9" * 1_000_000 + _END),
    "many fields": ("discriminate", _FORM, _FIELD.join([b"", *[b"1\r\n"] * 20_000]) + _END),
    "many files": ("discriminate", _FORM, b"".join([_FILE + b"1\r\n"] * 5_000) + _END),
    "long header of a part": ("discriminate", _FORM, b"--X\r\nX: " + b"a" * 4_000_000 + _END),
    "empty lines": ("discriminate", _FORM, b"\r\n" * 2_000_000),
    "fill bytes": ("discriminate", _FORM, _FILE + b"\xff\xd8" + b"\xff" * 15_000_000 + _END),
    "scans": (
        "discriminate",
        _FORM,
        _FILE + jpeg()[:-2] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" * 100_000 + _END,
    ),
    "boundary of dashes": ("discriminate", "multipart/form-data; boundary=" + "-" * 60, b"-" * 15_000_000),
    "long content type": ("generate", "application/json; a=" + "a;" * 15_000, b"{}"),
    "deep JSON": ("generate", "application/json", b"[" * 250_000),
    "long integer": ("generate", "application/json", b'{"seed": ' + b"9" * 250_000 + b"}"),
    "many keys": ("generate", "application/json", b"{" + b",".join(b'"%d":1' % n for n in range(20_000)) + b"}"),
    "many labels": ("generate", "application/json", b'{"labels": [' + b"1," * 100_000 + b"1]}"),
    "large batch": ("generate", "application/json", b'{"num_images": 256}'),
}


@pytest.fixture(scope="module")
def url(serve: Callable[..., Any], onnx_file: Path) -> str:
    return str(serve("--model", onnx_file).wait().url)


def longest_pause(url: str, send: Callable[[], Any]) -> float:
    """The longest time that a health check takes while a request is handled, less the shortest time."""
    times: list[float] = []
    done = threading.Event()

    def watch() -> None:
        with httpx.Client(timeout=60) as client:
            while not done.is_set():
                began = time.monotonic()
                assert client.get(f"{url}/healthz").status_code == 200
                times.append(time.monotonic() - began)
                time.sleep(0.005)

    with ThreadPoolExecutor(1) as watcher:
        watching = watcher.submit(watch)
        time.sleep(0.05)
        try:
            send()
        finally:
            done.set()
        watching.result()
    return max(times) - min(times)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_requests_do_not_stop_the_server(url: str, name: str) -> None:
    path, content_type, body = HOSTILE[name]

    def send() -> None:
        headers = {"Content-Type": content_type}
        answer = httpx.post(f"{url}/v1/{path}", content=body, headers=headers, timeout=60)
        assert answer.status_code < 500, answer.text

    pauses: list[float] = []
    while not pauses or (min(pauses) >= LONGEST_PAUSE and len(pauses) < _ATTEMPTS):
        pauses.append(longest_pause(url, send))
    assert min(pauses) < LONGEST_PAUSE, pauses
