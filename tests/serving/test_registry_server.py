"""A server that follows the champion, with a model that rates images; and what fuzzing makes of its interface."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from faceforge.inference.generator import Generator

NAME = "faces"


@pytest.fixture(scope="module")
def tracking_uri(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Iterator[str]:
    """A registry with two versions of which the first is the champion and knows how to turn logits into probability."""
    import mlflow

    from faceforge.inference.registration import register_bundle
    from faceforge.tracking.connection import connect
    from faceforge.tracking.runs import step_run

    folder = tmp_path_factory.mktemp("registry")
    before = mlflow.get_tracking_uri()
    uri = connect(f"sqlite:///{folder}/mlflow.db")
    (folder / "report.json").write_text(json.dumps({"calibration": {"slope": 1.0, "offset": 0.0, "offsets": {}}}))
    for key in ("first", "second"):
        with step_run("register", run_key=key, experiment="faces") as run:
            report = {"report.json": folder / "report.json"}
            decision = "promote" if key == "first" else "hold"
            register_bundle(tiny_bundle, name=NAME, run=run, decision=decision, extra_artifacts=report)  # type: ignore[arg-type]
    yield uri
    mlflow.set_tracking_uri(before)
    mlflow.set_registry_uri(before)


@pytest.fixture(scope="module")
def server(serve: Callable[..., Any], tracking_uri: str) -> Any:
    options = ("--model", f"models:/{NAME}@champion", "--tracking-uri", tracking_uri, "--poll", "0.3")
    return serve(*options).wait()


def picture(size: tuple[int, int] = (50, 40), kind: str = "JPEG") -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).resize(size).save(buffer, kind)
    return buffer.getvalue()


def rate(server: Any, *files: bytes, **form: str) -> httpx.Response:
    uploads = [("images", (f"{number}.jpg", data)) for number, data in enumerate(files)]
    return httpx.post(f"{server.url}/v1/discriminate", files=uploads, data=form, timeout=60)


def test_uploads_are_rated_as_by_the_library(server: Any, tracking_uri: str) -> None:
    from faceforge.config import IngestConfig
    from faceforge.data.preprocess.prepare import prepare_image

    generator = Generator.load(f"models:/{NAME}/1", tracking_uri)
    config = IngestConfig.model_validate({"image_size": 32})
    pixels = np.stack([prepare_image(picture(size), config).pixels for size in ((50, 40), (9, 9))])
    files, shown = (picture(), picture((9, 9))), {"sex": "male", "age": "old"}
    for form, labels in (({}, {}), ({"attributes": json.dumps(shown)}, shown)):
        answer = rate(server, *files, **form)
        assert answer.status_code == 200, answer.text
        assert (answer.json()["model"], answer.json()["images"][1]["file"]) == (f"models:/{NAME}/1", "1.jpg")
        rated = [image["probability_real"] for image in answer.json()["images"]]
        np.testing.assert_allclose(rated, generator.discriminate(pixels, attributes=labels), atol=1e-4)


@pytest.mark.parametrize(
    "files, form, status, message",
    [
        ([b"no image"], {}, 422, "0.jpg: not an image"),
        ([picture(), picture()[:300]], {}, 422, "1.jpg: damaged"),
        ([picture((5200, 5000))], {}, 413, "26,000,000|5200 x 5000"),
        ([b"\0" * (17 * 2**20)], {}, 413, "too large"),
        ([picture()] * 17, {}, 422, "at most 16"),
        ([], {}, 422, "images"),
        ([picture()], {"attributes": "male"}, 422, "JSON object such as"),
        ([picture()], {"attributes": '{"sex": ["male"]}'}, 422, "JSON object such as"),
        ([picture()], {"attributes": '{"sex": "mael"}'}, 422, "did you mean 'male'"),
    ],
    ids=["text", "cut off", "pixels", "bytes", "many", "none", "no json", "list", "class"],
)
def test_invalid_uploads_are_refused(
    server: Any, files: list[bytes], form: dict[str, str], status: int, message: str
) -> None:
    began = time.monotonic()
    answer = rate(server, *files, **form)
    assert answer.status_code == status, answer.text
    assert re.search(message, answer.json()["detail"])
    assert time.monotonic() - began < 10


def test_the_interface_withstands_fuzzing(server: Any, tmp_path: Path) -> None:
    pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    ran = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json", "--max-examples", "8",
            "--phases", "examples,coverage,fuzzing", "--seed", "1", "--generation-database", "none",
            "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,"
            "response_schema_conformance,response_headers_conformance,unsupported_method",
            "--no-color",
        ],
        capture_output=True, text=True, cwd=tmp_path, timeout=300,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-1000:]
    assert "Traceback" not in server.log


def test_a_new_champion_is_served_without_interruption(server: Any, tracking_uri: str) -> None:
    from faceforge.tracking.promotion import promote

    def version() -> str:
        answer = httpx.post(f"{server.url}/v1/generate", json={"num_images": 1}, timeout=60)
        assert answer.status_code == 200
        return str(answer.json()["model"])

    assert version() == f"models:/{NAME}/1"
    promote(NAME, "2")
    end = time.monotonic() + 60
    while version() != f"models:/{NAME}/2":
        assert time.monotonic() < end, server.log
    assert httpx.get(f"{server.url}/readyz", timeout=60).status_code == 200
    assert rate(server, picture()).status_code == 200
