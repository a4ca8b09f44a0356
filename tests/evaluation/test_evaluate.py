"""Evaluating bundles from disk: metrics, decision and files, and every way a champion may be in the way."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceforge.config import EvaluateConfig
from faceforge.data.imageset import write_image_set
from faceforge.data.toyfaces import COLUMN, EXPRESSIONS, draw_toyfaces
from faceforge.errors import FaceForgeError
from faceforge.evaluation.evaluate import evaluate
from faceforge.evaluation.report import Evaluation
from faceforge.models.bundle import Bundle, BundleInfo, from_uint8

LABELS = {COLUMN: list(EXPRESSIONS)}
CONFIG = EvaluateConfig.model_validate({"samples": 120, "classifier_epochs": 6})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "faces"
    images, codes = draw_toyfaces(900, 32, seed=1)
    write_image_set(root, {"train": (images[:800], codes[:800]), "holdout": (images[800:], codes[800:])}, LABELS)
    return root


@pytest.fixture(scope="module")
def bundles(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of bundles: `good` draws the mean face of a class, `fair` a single one, `noise` none."""
    root = tmp_path_factory.mktemp("bundles")
    images, codes = draw_toyfaces(300, 32, seed=9)
    face = {code: from_uint8(images[codes[:, 0] == code]).mean(axis=0) for code in range(3)}
    mean = np.stack([face[code] for code in range(3)])
    first = np.stack([from_uint8(images[codes[:, 0] == code])[0] for code in range(3)])
    save(root / "good", mean, spread=0.05)
    save(root / "fair", first, spread=0.05)
    save(root / "noise", np.zeros_like(first), spread=1.0)
    save(root / "elsewhere", first, spread=0.05, digest="other data")
    save(root / "larger", np.zeros((3, 64, 64, 3)), spread=0.1)
    (root / "damaged").mkdir()
    (root / "damaged" / "bundle.json").write_bytes((root / "good" / "bundle.json").read_bytes())
    (root / "damaged" / "generator.keras").write_bytes(b"half a file")
    return root


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("out") / "evaluation"  # shared, so that the classifier is trained once


def save(folder: Path, prototypes: np.ndarray, spread: float, digest: str = "toy") -> None:
    """A bundle whose generator adds `spread` x latent-driven noise to a fixed image per class."""
    import keras

    size, latent = prototypes.shape[1], 8
    z, label = keras.Input((latent,)), keras.Input((1,), dtype="int32")
    pixels = size * size * 3
    table = keras.layers.Embedding(3, pixels)
    dense = keras.layers.Dense(pixels, use_bias=False, kernel_initializer=keras.initializers.RandomNormal(seed=0))
    flat = keras.layers.Add()([keras.layers.Flatten()(table(label)), dense(z)])
    generator = keras.Model([z, label], keras.layers.Reshape((size, size, 3))(flat))
    table.set_weights([prototypes.reshape(3, pixels).astype(np.float32)])
    dense.set_weights([dense.get_weights()[0] * 20 * spread])  # the initializer's deviation is 0.05
    image, second = keras.Input((size, size, 3)), keras.Input((1,), dtype="int32")
    scored = keras.layers.Dense(1, kernel_initializer=keras.initializers.RandomNormal(seed=1))
    rated = keras.layers.Add()([scored(keras.layers.Flatten()(image)), keras.layers.Embedding(3, 1)(second)[:, 0]])
    about: dict[str, Any] = {
        "spec": {
            "family": "residual", "image_size": size, "channels": 3, "latent_size": latent, "width": 4,
            "max_width": 4, "classes": [3],
        },
        "labels": LABELS, "loss": "relativistic", "dataset_digest": digest, "config": {}, "training": {},
        "versions": {},
    }  # fmt: skip
    Bundle(BundleInfo.model_validate(about), generator, keras.Model([image, second], rated)).save(folder)


def test_first_sound_model_is_promoted_and_everything_is_written(bundles: Path, data: Path, out: Path) -> None:
    evaluation = evaluate(bundles / "good", data, out, CONFIG)
    assert evaluation.decision.verdict == "promote"
    assert evaluation.champion_metrics == {}
    assert evaluation.metrics["domain/label_agreement"] > 0.9
    assert evaluation.metrics["domain/frechet"] > evaluation.floor["domain/frechet_floor"] > 0
    assert evaluation.floor.items() <= evaluation.metrics.items()
    assert evaluation.counts == {"samples": 120, "compared": 100, "holdout": 100, "train": 800}
    assert Evaluation.model_validate_json((out / "report.json").read_bytes()) == evaluation
    summary = (out / "summary.txt").read_text()
    assert "PROMOTE" in summary
    assert "domain/label_agreement" in summary
    assert len(summary.splitlines()) <= 40
    assert (out / "samples.png").read_bytes().startswith(b"\x89PNG")
    assert not list(out.glob(".*"))  # nothing half-written


def test_same_again_gives_the_same_numbers_with_the_classifier_kept(bundles: Path, data: Path, out: Path) -> None:
    first = evaluate(bundles / "good", data, out, CONFIG)
    kept = (out / "classifier" / "network.keras").stat().st_mtime_ns
    assert evaluate(bundles / "good", data, out, CONFIG).metrics == first.metrics
    assert (out / "classifier" / "network.keras").stat().st_mtime_ns == kept


def test_candidate_that_is_the_champion_is_held(bundles: Path, data: Path, out: Path) -> None:
    evaluation = evaluate(bundles / "fair", data, out, CONFIG, champion=bundles / "fair", champion_name="faceforge v1")
    assert evaluation.decision.verdict == "hold"
    same = {name: value for name, value in evaluation.metrics.items() if not name.endswith("_floor")}
    assert evaluation.champion_metrics == same
    assert "faceforge v1" in (out / "summary.txt").read_text()


def test_better_is_promoted_and_worse_is_not(bundles: Path, data: Path, out: Path) -> None:
    assert evaluate(bundles / "good", data, out, CONFIG, champion=bundles / "fair").decision.verdict == "promote"
    assert evaluate(bundles / "fair", data, out, CONFIG, champion=bundles / "good").decision.verdict == "hold"


def test_noise_is_rejected(bundles: Path, data: Path, out: Path) -> None:
    evaluation = evaluate(bundles / "noise", data, out, CONFIG)
    assert evaluation.decision.verdict == "reject"
    assert "min_label_agreement" in evaluation.decision.reasons[0]


@pytest.mark.parametrize("champion", ["damaged", "larger", "absent"])
def test_champion_that_cannot_be_judged_holds(champion: str, bundles: Path, data: Path, out: Path) -> None:
    evaluation = evaluate(bundles / "good", data, out, CONFIG, champion=bundles / champion)
    assert evaluation.decision.verdict == "hold"
    assert evaluation.champion_error
    assert evaluation.champion_metrics == {}


def test_champion_that_could_not_be_fetched_holds(bundles: Path, data: Path, out: Path) -> None:
    evaluation = evaluate(bundles / "good", data, out, CONFIG, champion_error="registry is down")
    assert evaluation.decision.verdict == "hold"
    assert "registry is down" in evaluation.decision.reasons[0]


def test_champion_of_other_data_holds(bundles: Path, data: Path, out: Path) -> None:
    evaluation = evaluate(bundles / "good", data, out, CONFIG, champion=bundles / "elsewhere")
    assert evaluation.decision.verdict == "hold"
    assert "other data" in evaluation.decision.reasons[0]


def test_model_that_does_not_fit_the_data_is_refused(bundles: Path, data: Path, out: Path) -> None:
    with pytest.raises(FaceForgeError, match=r"64 px.*32 px"):
        evaluate(bundles / "larger", data, out, CONFIG)


def test_too_few_holdout_images_are_refused_with_the_minimum(bundles: Path, tmp_path: Path) -> None:
    images, codes = draw_toyfaces(130, 32, seed=1)
    few = {"train": (images[:100], codes[:100]), "holdout": (images[100:], codes[100:])}
    write_image_set(tmp_path / "few", few, LABELS)  # type: ignore[arg-type]
    with pytest.raises(FaceForgeError, match=r"30 holdout images.*at least 64"):
        evaluate(bundles / "fair", tmp_path / "few", tmp_path / "out", CONFIG)
    assert not (tmp_path / "out").exists()


def test_numbers_that_are_not_finite_survive_the_report(bundles: Path, data: Path, out: Path) -> None:
    evaluation = evaluate(bundles / "fair", data, out, CONFIG)
    broken = evaluation.model_copy(update={"metrics": evaluation.metrics | {"domain/frechet": float("nan")}})
    text = broken.model_dump_json()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert np.isnan(Evaluation.model_validate_json(text).metrics["domain/frechet"])
