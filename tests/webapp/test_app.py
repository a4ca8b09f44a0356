"""The app in a real browser: generate, check, explore, browse runs."""

from __future__ import annotations

import io
import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceforge.tracking.connection import connect
from faceforge.tracking.run_writer import Point
from faceforge.tracking.runs import finish_parent, step_run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium; on Debian: apt-get install chromium")


@pytest.fixture(scope="module")
def address(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app with a calibrated model and a database that holds one finished run."""
    folder = tmp_path_factory.mktemp("app")
    shutil.copytree(tiny_bundle, folder / "bundle")
    calibration = {"slope": 1.0, "offset": 0.0, "offsets": {}}
    (folder / "report.json").write_text(json.dumps({"calibration": calibration}))
    uri = connect(f"sqlite:///{folder}/mlflow.db")
    with step_run("train", run_key="blue-monday", experiment="faceforge") as run:
        for step in (100, 200):
            losses = {"loss/generator": 1 / step, "loss/discriminator": 2 / step}
            run.log_points([Point(losses, step, at=step)])
            run.log_image(np.full((32, 32, 3), step, np.uint8), "samples", step)
        run.headline(metrics={"domain/frechet": 2.5}, tags={"faceforge.decision": "promote"})
    finish_parent("blue-monday", "FINISHED")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "faceforge.cli.main", "ui", "--model", str(folder / "bundle")]
    command += ["--tracking-uri", uri, "--port", str(port)]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as app:
        try:
            for _ in range(240):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health")
                    break
                except OSError:
                    assert app.poll() is None, (folder / "log").read_text()
                    time.sleep(0.25)
            yield f"http://127.0.0.1:{port}"
        finally:
            app.terminate()
            app.wait(20)
    assert "Traceback" not in (folder / "log").read_text()


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page(browser, address: str):  # type: ignore[no-untyped-def]
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.set_default_timeout(60_000)
    strangers: list[str] = []
    opened.on("request", lambda sent: None if _own(sent.url, address) else strangers.append(sent.url))
    opened.goto(address)
    opened.wait_for_selector("h1, [data-testid=stException]")
    assert opened.get_by_test_id("stException").count() == 0
    yield opened
    assert opened.get_by_test_id("stException").count() == 0
    assert strangers == []  # nothing is fetched from elsewhere
    opened.close()


def test_generates_images_and_offers_downloads(page, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    page.wait_for_selector(".ff-gallery img")
    assert page.locator(".ff-gallery img").count() == 16
    page.get_by_role("combobox", name="age").click()
    page.get_by_role("option", name="child").click()
    page.wait_for_function("[...document.querySelectorAll('figcaption')].every(e => e.textContent.includes('child'))")
    before = page.locator(".ff-gallery img").first.get_attribute("src")
    page.get_by_role("button", name="Other faces").click()
    page.wait_for_function("old => document.querySelector('.ff-gallery img').src !== old", arg=before)
    page.wait_for_function("document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'")
    with page.expect_download() as download:  # a run of the page's script would replace the file and cancel it
        page.get_by_role("button", name="Download images and labels").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert len([name for name in archive.namelist() if name.endswith(".png")]) == 16
        lines = archive.read("labels.csv").decode().splitlines()
    assert lines[0] == "file_name,sex,age"
    assert all(line.endswith(",child") for line in lines[1:])


def test_rates_an_uploaded_image_and_refuses_other_files(page, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    page.get_by_role("link", name="Real or not").click()
    page.wait_for_selector("input[type=file]", state="attached")
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 40, 3), np.uint8)).save(buffer, "PNG")
    page.set_input_files("input[type=file]", {"name": "a.png", "mimeType": "image/png", "buffer": buffer.getvalue()})
    page.wait_for_selector("text=/of those with this score were real/")
    page.wait_for_selector("text=/[0-9]+% real, [0-9]+% generated/")
    page.set_input_files("input[type=file]", {"name": "b.png", "mimeType": "image/png", "buffer": b"no image at all"})
    page.wait_for_selector("text=/b.png cannot be used: not an image/")


def test_explores_one_face_and_interpolates_to_another(page) -> None:  # type: ignore[no-untyped-def]
    page.get_by_role("link", name="Explore").click()
    page.wait_for_selector("text=/The same face for every/")
    first = page.locator(".ff-gallery img").first
    before = first.get_attribute("src")
    slider = page.get_by_role("slider", name="Direction 1")
    slider.focus()
    for _ in range(10):
        slider.press("ArrowRight")
    page.wait_for_function("old => document.querySelector('.ff-gallery img').src !== old", arg=before)
    page.get_by_role("tab", name="From face to face").click()
    page.get_by_role("spinbutton", name="To seed").wait_for()
    page.locator(".ff-gallery:visible img").nth(9).wait_for()
    assert page.locator(".ff-gallery:visible img").count() == 1 + 9


def test_shows_runs_with_their_grids(page) -> None:  # type: ignore[no-untyped-def]
    page.get_by_role("link", name="Runs").click()
    page.wait_for_selector("text=/Samples over training/")
    picture = page.locator("[data-testid=stImage] img, [data-testid=stImageContainer] img").first
    before = picture.get_attribute("src")
    slider = page.get_by_role("slider").first
    slider.focus()
    slider.press("ArrowLeft")
    page.wait_for_function("old => !document.querySelector(`img[src='${old}']`)", arg=before)


def test_fits_a_phone(page) -> None:  # type: ignore[no-untyped-def]
    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_selector(".ff-gallery img")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    edges = page.locator(".ff-gallery img").evaluate_all("all => all.map(e => e.getBoundingClientRect().right)")
    assert max(edges) <= 390


def _own(url: str, address: str) -> bool:
    return url.startswith((address, "data:", "blob:", address.replace("http:", "ws:")))
