"""The HTML report stands alone, shows hostile names as text, and opens in a browser."""

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from faceforge.evaluation.figures import Picture, Strip, Strips, Table, picture
from faceforge.evaluation.gate import Decision
from faceforge.evaluation.metrics.comparison import Interval
from faceforge.evaluation.report import plots
from faceforge.evaluation.report.page import Page, render
from faceforge.evaluation.report.results import Evaluation

HOSTILE = "<script>alert(1)</script><img src=https://example.org/x.png>"


def evaluation() -> Evaluation:
    spans = {
        "domain/frechet": Interval(value=0.26, low=0.2, high=0.31),
        "domain/recall": Interval(value=0.01, low=-0.02, high=0.04),
    }
    return Evaluation(
        metrics={"domain/frechet": 9.0, "domain/recall": float("nan"), "domain/frechet_floor": 1.5, "own/number": 3.0},
        champion_metrics={"domain/frechet": 12.25, "domain/recall": 0.4},
        floor={"domain/frechet_floor": 1.5},
        intervals={"domain/frechet": Interval(value=9, low=8.5, high=9.5)},
        differences=spans,
        decision=Decision(verdict="promote", reasons=["26.5% better", HOSTILE]),
        champion_name="models:/faceforge/3",
        champion_error="",
        classifier={"accuracy_expression": 0.99, "dimensions": 64.0},
        counts={"samples": 200, "compared": 150, "holdout": 150, "train": 900, "resamples": 200},
        seeds={"samples": 0},
        data={"source": HOSTILE},
        settings={"min_improvement": 0.02, "max_recall_drop": 0.1, "max_agreement_drop": 0.05, "confidence": 0.95},
        tables=[
            Table(title=HOSTILE, caption="how", columns=["class", "share"], rows=[[HOSTILE, 0.5], ["b", None]]),
            Table(
                title="Classes",
                caption="as wide as it gets",
                columns=["class", *["copies"] * 6, "agreement", "Frechet", "membership by samples", "by discriminator"],
                rows=[["expression=smiling", *([0.1234] * 6), "0.98 (real 1.00)", 0.01, *(["0.49 (0.44-0.55)"] * 2)]],
            ),
        ],
        notes=["inception: no weights"],
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    strip = rng.integers(0, 256, (32, 197, 3), dtype=np.uint8)
    rows = [Strip(name, (strip, strip[..., :1])) for name in (HOSTILE, "smiling")]
    shown = Page(
        samples=Strips(("Samples",), [Strip(row.name, row.images[:1]) for row in rows], 32),
        paired=Strips(("Real", "Generated"), rows, 32),
        pictures=[
            picture("domain", "Grid", "of grey images", strip[..., :1], 32),
            Picture("differences", "d", "", plots.intervals(evaluation().differences, {"domain/frechet": 0.02})),
            Picture("domain", "p", "", plots.plane(rng.normal(size=(80, 4)), rng.normal(size=(80, 4)))),
            Picture("own", "h", "", plots.distributions({"samples": rng.normal(size=50)}, "logit")),
        ],
    )
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render(evaluation(), shown), encoding="utf-8")
    return path


class Reader(HTMLParser):
    """Collects tags, addresses and text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.alternatives: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "img":
            self.alternatives.append(dict(attrs).get("alt") or "")
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_it_needs_nothing_from_outside_and_runs_nothing(page: Path) -> None:
    content = page.read_text(encoding="utf-8")
    reader = Reader()
    reader.feed(content)
    assert reader.tags.count("img") == 10
    assert len(reader.addresses) == 10
    assert all(address.startswith("data:image/png;base64,") for address in reader.addresses)
    assert not {"script", "link", "iframe", "object", "form"} & set(reader.tags)
    assert "@import" not in content
    assert "url(" not in content


def test_it_says_what_it_knows(page: Path) -> None:
    reader = Reader()
    reader.feed(page.read_text(encoding="utf-8"))
    for words in ("promote", "26.5% better", "models:/faceforge/3", HOSTILE, "own/number", "inception: no weights"):
        assert words in reader.text
    assert "Frechet distance between Gaussians" in reader.text  # how it was made
    assert "8.5 to 9.5" in reader.text


def test_pictures_are_described_and_rows_have_their_class(page: Path) -> None:
    reader = Reader()
    reader.feed(page.read_text(encoding="utf-8"))
    assert {"Real images of the class smiling", "Generated images of the class smiling"} < set(reader.alternatives)
    assert "Grid. of grey images" in reader.alternatives
    rows = re.findall(r"^smiling$", reader.text, re.MULTILINE)
    assert len(rows) == 2  # beside real and generated images, and beside the samples


def test_the_first_numbers_say_which_way_is_better(page: Path) -> None:
    reader = Reader()
    reader.feed(page.read_text(encoding="utf-8"))
    text = " ".join(reader.text.split())
    assert "Distance from real images 9 ● fair ▼ lower is better; 6.0 times that of real images (1.5)" in text
    assert "better than the champion (12.25)" in text
    assert text.index("Distance from real images") < text.index("Main metrics")


@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_shows_it_whole(page: Path, width: int) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        view = browser.new_page(viewport={"width": width, "height": 800})
        asked, said = [], []
        view.on("request", lambda request: asked.append(request.url))
        view.on("console", lambda message: said.append(message.text))
        view.on("dialog", lambda dialog: said.append(dialog.message))
        view.goto(page.as_uri())
        widths = view.eval_on_selector_all("img", "all => all.map(image => image.naturalWidth)")
        overflow = view.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        inner = view.eval_on_selector_all(".wide", "all => all.map(part => part.scrollWidth - part.clientWidth)")
        browser.close()
    assert [url for url in asked if not url.startswith("data:")] == [page.as_uri()]
    assert said == []
    assert len(widths) == 10
    assert min(widths) > 0
    assert overflow <= 0
    assert max(inner) <= 0  # nor do tables scroll for themselves
