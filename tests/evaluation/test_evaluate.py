"""Evaluating bundles from disk: metrics, decision and files, and every way a champion may be in the way."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceforge.config import EvaluateConfig
from faceforge.data.imageset import ImageSet
from faceforge.data.toyfaces import COLUMN, EXPRESSIONS, draw_toyfaces
from faceforge.data.writer import write_image_set
from faceforge.errors import FaceForgeError
from faceforge.evaluation.evaluate import evaluate, judge_champion
from faceforge.evaluation.judging import Yardstick, judge, real_against_real
from faceforge.evaluation.report import Evaluation
from faceforge.models.bundle import Bundle, BundleInfo, from_uint8

LABELS = {COLUMN: list(EXPRESSIONS)}


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
    save(root / "kin", first, spread=0.05, digest="augmented", held="the same holdout")
    save(root / "strange", first, spread=0.05, column="mood")
    save(root / "larger", np.zeros((3, 64, 64, 3)), spread=0.1)
    (root / "damaged").mkdir()
    (root / "damaged" / "bundle.json").write_bytes((root / "good" / "bundle.json").read_bytes())
    (root / "damaged" / "generator.keras").write_bytes(b"half a file")
    return root


def save(
    folder: Path, prototypes: np.ndarray, spread: float, digest: str = "toy", column: str = COLUMN, held: str = ""
) -> None:
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
            "family": "compact", "image_size": size, "channels": 3, "latent_size": latent, "width": 4,
            "max_width": 4, "classes": [3],
        },
        "labels": {column: LABELS[COLUMN]}, "loss": "relativistic", "dataset_digest": digest, "config": {},
        "holdout_digest": held, "training": {}, "versions": {},
    }  # fmt: skip
    Bundle(BundleInfo.model_validate(about), generator, keras.Model([image, second], rated)).save(folder)


def test_first_sound_model_is_promoted_and_everything_is_written(
    bundles: Path, data: Path, out: Path, config: EvaluateConfig, yardstick: Yardstick
) -> None:
    kept = (out / "classifier" / "network.keras").stat().st_mtime_ns
    evaluation = evaluate(bundles / "good", data, out, config)
    assert evaluation.decision.verdict == "promote"
    assert evaluation.champion_metrics == {}
    assert evaluation.metrics["domain/label_agreement"] > 0.9
    assert evaluation.metrics["domain/frechet"] > evaluation.floor["domain/frechet_floor"] > 0
    assert evaluation.floor.items() <= evaluation.metrics.items()
    assert evaluation.counts == {"samples": 320, "compared": 300, "holdout": 300, "train": 1000}
    assert evaluation.metrics == judge(Bundle.load(bundles / "good"), yardstick, config) | real_against_real(yardstick)
    assert (out / "classifier" / "network.keras").stat().st_mtime_ns == kept  # taken from there, not trained again
    assert Evaluation.model_validate_json((out / "report.json").read_bytes()) == evaluation
    summary = (out / "summary.txt").read_text()
    assert "PROMOTE" in summary
    assert "domain/label_agreement" in summary
    assert len(summary.splitlines()) <= 40
    assert (out / "samples.png").read_bytes().startswith(b"\x89PNG")
    assert not list(out.glob(".*"))  # nothing half-written


def test_better_than_the_champion_is_promoted(bundles: Path, data: Path, out: Path, config: EvaluateConfig) -> None:
    evaluation = evaluate(bundles / "good", data, out, config, champion=bundles / "fair", champion_name="faceforge v1")
    assert evaluation.decision.verdict == "promote"
    assert evaluation.champion_metrics["domain/frechet"] > evaluation.metrics["domain/frechet"]
    assert "faceforge v1" in (out / "summary.txt").read_text()


def test_the_champion_itself_is_held(bundles: Path, data: Path, out: Path, config: EvaluateConfig) -> None:
    evaluation = evaluate(bundles / "fair", data, out, config, champion=bundles / "fair")
    assert evaluation.decision.verdict == "hold"
    same = {name: value for name, value in evaluation.metrics.items() if not name.endswith("_floor")}
    assert evaluation.champion_metrics == same


def test_worse_and_unreadable_champion_and_noise(bundles: Path, data: Path, out: Path, config: EvaluateConfig) -> None:
    assert evaluate(bundles / "fair", data, out, config, champion=bundles / "good").decision.verdict == "hold"
    damaged = evaluate(bundles / "good", data, out, config, champion=bundles / "damaged")
    assert damaged.decision.verdict == "hold"
    assert "generator.keras is unreadable" in damaged.champion_error
    noise = evaluate(bundles / "noise", data, out, config, champion_error="registry is down")
    assert noise.decision.verdict == "reject"
    assert noise.champion_error == "registry is down"


@pytest.mark.parametrize(
    "name, error",
    [("damaged", "unreadable"), ("larger", "64 px"), ("absent", "not a model bundle"), ("strange", "mood")],
)
def test_champion_that_cannot_be_judged(
    name: str, error: str, bundles: Path, data: Path, yardstick: Yardstick, config: EvaluateConfig
) -> None:
    info = BundleInfo.read(bundles / "good")
    rival = judge_champion(bundles / name, info, ImageSet.open(data).info, yardstick, config)
    assert rival.metrics == {}
    assert error in rival.error
    assert "\n" not in rival.error


def test_champion_of_other_data_is_known_as_such(
    bundles: Path, data: Path, yardstick: Yardstick, config: EvaluateConfig
) -> None:
    info, there = BundleInfo.read(bundles / "good"), ImageSet.open(data).info
    rival = judge_champion(bundles / "elsewhere", info, there, yardstick, config)
    assert rival.metrics
    assert not rival.same_data
    # An augmented set has another digest, but the same holdout: such models can be compared.
    kin = info.model_copy(update={"holdout_digest": "the same holdout"})
    assert judge_champion(bundles / "kin", kin, there, yardstick, config).same_data
    assert not judge_champion(bundles / "kin", info, there, yardstick, config).same_data


def test_model_that_does_not_fit_the_data_is_refused(
    bundles: Path, data: Path, out: Path, config: EvaluateConfig
) -> None:
    with pytest.raises(FaceForgeError, match=r"64 px.*32 px"):
        evaluate(bundles / "larger", data, out, config)


def test_too_few_holdout_images_are_refused_with_the_minimum(
    bundles: Path, faces: Any, tmp_path: Path, config: EvaluateConfig
) -> None:
    few: Any = {"train": (faces.train, faces.train_codes), "holdout": (faces.holdout[:30], faces.holdout_codes[:30])}
    write_image_set(tmp_path / "few", few, LABELS)
    with pytest.raises(FaceForgeError, match=r"30 holdout images.*at least 64"):
        evaluate(bundles / "fair", tmp_path / "few", tmp_path / "out", config)
    assert not (tmp_path / "out").exists()
