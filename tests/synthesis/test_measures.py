"""What is measured on the images of a set, and what the page and the card make of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from faceforge.data.imageset.reader import ImageSet
from faceforge.data.imageset.writer import write_image_set
from faceforge.data.sources.toyfaces import draw_toyfaces
from faceforge.synthesis import measures as m
from faceforge.synthesis.manifest import Manifest
from faceforge.synthesis.measures import SetMeasures, measure_set
from faceforge.synthesis.options import synthesis_config
from faceforge.synthesis.page import set_figures, verdict
from faceforge.synthesis.synthesise import synthesise
from tests.synthesis.conftest import LABELS


class Brightness:
    """A SIMULATED classifier: dark = class 0, bright = class 2. It knows no training features."""

    vocabularies = LABELS
    holdout_recall = {"expression": dict.fromkeys(LABELS["expression"], (0.9, 50))}  # noqa: RUF012
    class_counts = {"expression": [100, 100, 100]}  # noqa: RUF012
    training_features = None

    def predict_balanced(self, images: np.ndarray) -> np.ndarray:
        return np.minimum(images.mean(axis=(1, 2, 3)) // 85, 2).astype(np.int32)[:, None]


def written(folder: Path, images: np.ndarray, codes: np.ndarray) -> ImageSet:
    empty = (images[:0], codes[:0])
    return write_image_set(folder, {"train": (images, codes), "holdout": empty}, LABELS)


def test_fresh_drawings_are_as_good_as_real_ones(data: ImageSet, tmp_path: Path) -> None:
    images, codes = draw_toyfaces(300, 32, seed=77)
    found = measure_set(written(tmp_path / "set", images, codes), data, None).metrics
    assert found[m.REPEATS] == 0
    assert found[m.COPIES] < 0.05
    assert 0.9 < found[m.DIVERSITY] < 1.1
    assert m.LABEL_AGREEMENT not in found
    assert found[m.DCR_SHARE] == pytest.approx(0.5, abs=0.12)
    assert found[m.NNDR_TRAIN] == pytest.approx(found[m.NNDR_HOLDOUT], abs=0.05)


def test_distances_show_that_all_images_are_copies(data: ImageSet, tmp_path: Path) -> None:
    found = measure_set(written(tmp_path / "set", *data.load("train")), data, None).metrics
    # As many training images are compared as there are holdout images, so some of the copies lack their original.
    compared = data.info.counts["holdout"].total / data.info.counts["train"].total
    assert found[m.DCR_SHARE] == pytest.approx(0.5 + compared / 2, abs=0.1)
    assert found[m.NNDR_TRAIN] == pytest.approx((1 - compared) * found[m.NNDR_HOLDOUT], abs=0.1)


def test_copies_repeats_and_lack_of_variety_are_seen(data: ImageSet, tmp_path: Path) -> None:
    images, codes = data.load("train")
    kept = np.flatnonzero(codes[:, 0] == 0)[:1].repeat(60)
    noisy = np.clip(images[kept].astype(int) + np.arange(60)[:, None, None, None] % 2, 0, 255).astype(np.uint8)
    found = measure_set(written(tmp_path / "set", noisy, codes[kept]), data, None)
    assert found.metrics[m.COPIES] > 0.95
    assert found.metrics[m.REPEATS] > 0.8
    assert found.metrics[m.DIVERSITY] < 0.2
    assert verdict(found).name == "not recommended"


def test_label_agreement_is_that_of_the_images(tmp_path: Path) -> None:
    levels = np.repeat([20, 120, 220], 10)
    images = np.tile(levels[:, None, None, None], (1, 32, 32, 3)).astype(np.uint8)
    images[:, 0, 0, 0] = np.arange(30)
    codes = np.repeat([0, 1, 1], 10).astype(np.int32)[:, None]
    found = measure_set(written(tmp_path / "set", images, codes), None, Brightness()).metrics  # type: ignore[arg-type]
    assert found[m.LABEL_AGREEMENT] == pytest.approx(2 / 3)
    assert found[m.REAL_ACCURACY] == pytest.approx(0.9)
    assert m.COPIES not in found


def test_the_verdict_follows_the_weakest_number() -> None:
    good = {
        m.LABEL_AGREEMENT: 0.97, m.REAL_ACCURACY: 0.98, m.DISTANCE: 0.01, m.REAL_DISTANCE: 0.002,
        m.COPIES: 0.01, m.REPEATS: 0.0, m.DIVERSITY: 0.95, m.LOWEST_DIVERSITY: 0.9,
    }  # fmt: skip
    assert verdict(SetMeasures(good, [])).name == "good"
    assert len(set_figures(SetMeasures(good, []))) == 5
    assert verdict(SetMeasures(good | {m.DIVERSITY: 0.6}, [])).name == "use with care"
    bad = verdict(SetMeasures(good | {m.DIVERSITY: 0.6, m.COPIES: 0.2}, []))
    assert (bad.name, bad.reason) == ("not recommended", "images that nearly copy a training image: poor.")
    assert verdict(SetMeasures(good, ["no data"])).name == "use with care"


@pytest.fixture(scope="module")
def made(bundle: Path, data: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("measured") / "faces"
    synthesise(str(bundle), out, synthesis_config("per_class=12, license=cc-by-4.0"), data.root)
    return out


def test_the_set_has_a_report_of_its_own(made: Path) -> None:
    manifest = Manifest.read(made)
    assert manifest.metrics.keys() >= {m.REPEATS, m.COPIES, m.DIVERSITY}
    assert "report.html" in {file.path for file in manifest.files}
    page = (made / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "Synthetic images of the class glasses" in page
    assert "Real images of the class glasses" in page
    assert "need the classifier" in page  # the bundle was not evaluated
    assert "http" not in page


def test_the_card_has_licence_classes_and_the_numbers_of_the_set(made: Path) -> None:
    _, front, body = (made / "README.md").read_text().split("---\n", 2)
    card = yaml.safe_load(front)
    assert card["license"] == "cc-by-4.0"
    (expression,) = [f for f in card["dataset_info"]["features"] if f["name"] == "expression"]
    assert expression["dtype"]["class_label"]["names"] == {"0": "neutral", "1": "smiling", "2": "glasses"}
    assert "| synthetic/diversity |" in body


def test_datasets_reads_labels_as_class_labels(made: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    table = datasets.load_dataset(str(made), split="train", cache_dir=str(tmp_path))
    assert table.features["expression"].names == ["neutral", "smiling", "glasses"]
    assert sorted(table["expression"]) == [0] * 12 + [1] * 12 + [2] * 12
