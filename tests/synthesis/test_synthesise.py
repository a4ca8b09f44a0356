from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from faceforge.cli.generate import _print_summary
from faceforge.data.imageset.reader import ImageSet
from faceforge.errors import FaceForgeError
from faceforge.evaluation.domain_classifier import DomainClassifier, train_classifier
from faceforge.inference.generator import Generator
from faceforge.synthesis import card, draw
from faceforge.synthesis.checks import RealismCheck
from faceforge.synthesis.latents import start_of
from faceforge.synthesis.manifest import Manifest
from faceforge.synthesis.options import SynthesisConfig, synthesis_config
from faceforge.synthesis.plan import make_plan
from faceforge.synthesis.publish import publish
from faceforge.synthesis.synthesise import synthesise
from faceforge.synthesis.verify import verify
from tests.synthesis.conftest import LABELS

ORDER = "per_class=90, drop_worst=0.2, seed=4, truncation=0.9"


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draw, "PART_IMAGES", 100)


@pytest.fixture(scope="module")
def config() -> SynthesisConfig:
    return synthesis_config(ORDER)


@pytest.fixture(scope="module")
def made(bundle: Path, config: SynthesisConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The set of `ORDER`, in parts of another size than in the tests."""
    out = tmp_path_factory.mktemp("made") / "faces"
    synthesise(str(bundle), out, config)
    return out


def content(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def rows(folder: Path) -> dict[str, tuple[str, str]]:
    """Path in the set -> digest and label."""
    return {r.path: (r.sha256, r.labels["expression"]) for r in ImageSet.open(folder).records("train")}


def test_exact_counts_and_pandas_reads_them(made: Path) -> None:
    manifest = Manifest.read(made)
    table = pd.read_parquet(made / "train-00000-of-00001.parquet")
    assert table["expression"].value_counts().to_dict() == {"neutral": 90, "smiling": 90, "glasses": 90}
    assert [cell.made for cell in manifest.cells] == [90] * 3
    assert all(cell.drawn == cell.made + cell.refused["realism"] for cell in manifest.cells)
    assert manifest.refused["realism"] > 0
    assert table["expression"].iloc[:30].nunique() == 3, "classes are mixed"
    assert not list(made.parent.glob(".*"))


def test_hugging_face_datasets_loads_it_in_one_line(made: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    files = str(made / "train-*.parquet")
    table = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path))
    assert table.num_rows == 270
    assert table[0]["image"].size == (32, 32)
    images, codes = ImageSet.open(made).load("train")
    assert images.shape == (270, 32, 32, 3)
    assert np.bincount(codes[:, 0]).tolist() == [90] * 3


def test_an_image_can_be_reproduced_from_its_name(made: Path, generator: Generator) -> None:
    cell = make_plan(generator.labels, synthesis_config("per_class=1"), None)[2]
    record = next(r for r in ImageSet.open(made).records("train") if r.labels["expression"] == "glasses")
    number = int(Path(record.path).stem)
    start = start_of(cell, (3,)) + number
    again = generator.generate(1, label="glasses", seed=4, truncation=0.9, start=start)
    stored, _ = ImageSet.open(made).load("train")
    assert (stored == again.images).all(axis=(1, 2, 3)).sum() == 1


def test_an_interrupted_run_resumes_and_gives_the_same_bytes(
    bundle: Path, config: SynthesisConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synthesise(str(bundle), tmp_path / "whole" / "faces", config)
    original, calls = RealismCheck.rejected, []

    def stop(self: RealismCheck, *images: np.ndarray) -> np.ndarray:
        calls.append(len(images[0]))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(self, *images)

    monkeypatch.setattr(RealismCheck, "rejected", stop)
    out = tmp_path / "stopped" / "faces"
    with pytest.raises(KeyboardInterrupt):
        synthesise(str(bundle), out, config)
    assert not out.exists()
    assert len(list((out.parent / ".faces.work").glob("part-*"))) >= 1
    before = sum(calls)
    synthesise(str(bundle), out, config)
    assert content(out) == content(tmp_path / "whole" / "faces")
    assert sum(calls) - before < before, "finished parts were generated again"
    assert not list(out.parent.glob(".*"))


def test_images_do_not_depend_on_part_size_or_requested_count(
    bundle: Path, made: Path, config: SynthesisConfig, tmp_path: Path
) -> None:
    synthesise(str(bundle), tmp_path / "parts", config)
    assert rows(tmp_path / "parts") == rows(made)
    synthesise(str(bundle), tmp_path / "fewer", synthesis_config(ORDER.replace("90", "40")))
    fewer = rows(tmp_path / "fewer")
    assert len(fewer) == 120
    assert fewer.items() <= rows(made).items()


def test_a_finished_set_is_reused_and_another_request_replaces_it(
    bundle: Path, config: SynthesisConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "faces"
    first = synthesise(str(bundle), out, config)
    with monkeypatch.context() as patched:
        patched.setattr(Generator, "generate", None)
        assert synthesise(str(bundle), out, config) == first
    assert synthesise(str(bundle), out, synthesis_config("count=5")).made == 5


@pytest.fixture(scope="module")
def classifier(data: ImageSet) -> DomainClassifier:
    return train_classifier(data.load("train"), data.load("holdout"), data.info.labels, epochs=1, seed=0)


def test_the_classifier_checks_labels_and_candidates_are_bounded(
    bundle: Path, classifier: DomainClassifier, tmp_path: Path
) -> None:
    """An untrained model shows no label: a classifier of real faces sees one and the same class in nearly all."""
    report = tmp_path / "report"
    classifier.save(report / "classifier")
    (report / "report.json").write_text("{}")
    order = synthesis_config("per_class=20, reject=labels, max_tries=3")
    with pytest.raises(
        FaceForgeError, match=r"only \d+ of 20 images passed out of \d+ candidates \(rejected: \d+ for labels\)"
    ) as told:
        synthesise(str(bundle), tmp_path / "faces", order, report=report)
    assert "\n" not in str(told.value)
    assert not (tmp_path / "faces").exists()
    with pytest.raises(FaceForgeError, match="needs a classifier"):
        synthesise(str(bundle), tmp_path / "faces", order)


class Fickle(DomainClassifier):
    """SIMULATED: sees a class that has nothing to do with the picture, so that two candidates in three are rejected."""

    def __init__(self) -> None:
        self.vocabularies, self.holdout_accuracy, self.facts = dict(LABELS), {"expression": 0.9}, {}
        self.class_counts, self.training_features = {"expression": [9, 9, 9]}, None
        self.holdout_recall = {"expression": {"neutral": (0.9, 50), "glasses": (0.25, 8)}}

    def predict_balanced(self, images: NDArray[np.uint8]) -> NDArray[np.int32]:
        return (images.sum(axis=(1, 2, 3), dtype=np.int64) % 3).astype(np.int32)[:, None]


def test_rejecting_most_candidates_of_a_class_is_reported(
    bundle: Path, data: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("faceforge.synthesis.synthesise.find_classifier", lambda *_: Fickle())
    out = tmp_path / "faces"
    manifest = synthesise(str(bundle), out, synthesis_config("per_class=30, reject=labels"), data.root)
    neutral, smiling, glasses = manifest.warnings
    assert "90% of 50 real images of expression neutral" in neutral
    assert smiling.startswith("expression smiling: the label check rejected 6")
    assert "25% of 8 real images of expression glasses" in glasses
    assert manifest.checks["labels"]["classifier_holdout_recall"]["expression"]["glasses"]["recall"] == 0.25
    card = (out / "README.md").read_text()
    assert "| expression: glasses | 25% | 8 |" in card
    assert f"**Warning**: {glasses}" in card
    _print_summary(out, manifest)
    assert glasses in capsys.readouterr().err


def test_a_set_with_wrong_labels_is_not_published(made: Path, classifier: DomainClassifier) -> None:
    found = verify(made, classifier)
    assert found.verdict == "refuse"
    assert found.metrics["synthetic/label_agreement"] < 0.7
    (problem,) = found.problems
    assert "the limit is 70%" in problem


def test_balancing_makes_classes_equal(bundle: Path, data: ImageSet, tmp_path: Path) -> None:
    manifest = synthesise(str(bundle), tmp_path / "more", synthesis_config("balance=true, reject=copies"), data.root)
    there, more = (
        ImageSet.open(path).info.counts["train"].classes["expression"] for path in (data.root, tmp_path / "more")
    )
    assert len({there[name] + more[name] for name in there}) == 1
    assert manifest.data["digest"] == data.info.digest
    assert manifest.checks["copies"]["training_images"] == 400


def test_the_card_shows_the_evaluation_report(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(
        json.dumps(
            {
                "metrics": {"domain/frechet": 1.25, "privacy/copies": 0.5},
                "how": {"privacy/copies": "share of copies"},
                "counts": {"samples": 2000},
                "decision": {"verdict": "promote"},
            }
        )
    )
    synthesise(str(bundle), tmp_path / "faces", synthesis_config("count=3"), report=tmp_path)
    card = (tmp_path / "faces" / "README.md").read_text()
    assert "| domain/frechet | 1.25 |" in card
    assert "`privacy/copies`: share of copies" in card
    assert "Not measured by the model's evaluation." in card  # usefulness
    assert "Decision: promote" in card
    assert card.startswith("---\n")


def test_a_folder_with_other_files_is_not_replaced(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(FaceForgeError, match="not an image set"):
        synthesise(str(bundle), tmp_path, synthesis_config("count=3"))


def test_only_complete_sets_are_published(bundle: Path, tmp_path: Path) -> None:
    faces = tmp_path / "faces"
    synthesise(str(bundle), faces, synthesis_config("count=40, formats=coco"))
    found = verify(faces)
    assert (found.verdict, found.metrics["synthetic/images"]) == ("publish", 40)
    address = Path(publish(faces, str(tmp_path / "shelf")))
    assert content(address) == content(faces)
    assert Path(publish(faces, str(tmp_path / "shelf"))) == address
    remote = publish(faces, "memory://shelf")
    import fsspec

    files, root = fsspec.url_to_fs(remote)
    assert files.cat_file(f"{root}/coco/annotations.json") == (faces / "coco" / "annotations.json").read_bytes()
    with pytest.raises(FaceForgeError, match="cannot be written to"):
        publish(faces, "nosuchprotocol://x")

    (address / "coco" / "annotations.json").write_text("{}")
    assert verify(address).problems == ["coco/annotations.json is missing or has been changed"]
    (faces / "stranger.txt").write_text("x")
    assert verify(faces).problems == ["stranger.txt is not in the manifest"]


def test_class_names_cannot_inject_markup_into_the_card() -> None:
    row = list(card._table(("labels",), [("<img src=x>|![a](http://b)\n# c",)]))[-1]
    assert row == r"| &lt;img src=x>\|!\[a\](http://b) # c |"
