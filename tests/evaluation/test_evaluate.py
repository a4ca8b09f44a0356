"""Evaluating bundles from disk: metrics, decision and files, and every way a champion may be in the way."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceforge.config import EvaluateConfig
from faceforge.data.imageset.reader import ImageSet
from faceforge.data.imageset.writer import write_image_set
from faceforge.data.sources.toyfaces import COLUMN, EXPRESSIONS, draw_toyfaces
from faceforge.errors import FaceForgeError
from faceforge.evaluation.diagnostics import run
from faceforge.evaluation.evaluate import ChampionScores, evaluate_bundle, score_champion, trained_without
from faceforge.evaluation.reference import EvaluationReference
from faceforge.evaluation.report.results import Evaluation
from faceforge.evaluation.scores import real_against_real, score_model
from faceforge.inference.calibration import read_calibration
from faceforge.models.bundle import Bundle, BundleInfo, from_uint8

LABELS = {COLUMN: list(EXPRESSIONS)}


@pytest.fixture(scope="module")
def bundles(data: Path, faces: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of bundles: `good` draws the mean face of a class, `fair` a single one, `noise` none; `memorised` draws
    those it was trained on, `gifted` others of the same kind.
    """
    root = tmp_path_factory.mktemp("bundles")
    images, codes = draw_toyfaces(300, 32, seed=9)
    face = {code: from_uint8(images[codes[:, 0] == code]).mean(axis=0) for code in range(3)}
    mean = np.stack([face[code] for code in range(3)])
    first = np.stack([from_uint8(images[codes[:, 0] == code])[0] for code in range(3)])
    info = ImageSet.open(data).info
    known: dict[str, Any] = {"digest": info.digest, "held": info.holdout_digest, "sketch": info.holdout_sketch}
    save(root / "good", mean, spread=0.05, **known)
    save(root / "fair", first, spread=0.05, **known)
    save(root / "noise", np.zeros_like(first), spread=1.0, **known)
    save(root / "old", first, spread=0.05, digest=info.digest)
    save(root / "elsewhere", first, spread=0.05, digest="other", held="other", sketch=["0" * 64])
    save(root / "augmented", first, spread=0.05, digest="augmented", held=info.holdout_digest)
    save(root / "younger", mean, spread=0.05, digest="less", held="less", sketch=info.holdout_sketch[::2])
    save(root / "strange", first, spread=0.05, column="mood", **known)
    save(root / "larger", np.zeros((3, 64, 64, 3)), spread=0.1, **known)
    save_memorised(root / "memorised", faces.train, faces.train_codes, BundleInfo.read(root / "good"))
    save_memorised(root / "gifted", faces.fresh, faces.fresh_codes, BundleInfo.read(root / "good"))
    (root / "damaged").mkdir()
    (root / "damaged" / "bundle.json").write_bytes((root / "good" / "bundle.json").read_bytes())
    (root / "damaged" / "generator.keras").write_bytes(b"half a file")
    return root


def save_memorised(folder: Path, images: np.ndarray, codes: np.ndarray, info: BundleInfo) -> None:
    """A bundle whose generator returns one of `images`, chosen by the latents among those of the label."""
    import keras

    count, pixels = len(images), images[0].size
    z, label = keras.Input((info.spec.latent_size,)), keras.Input((1,), dtype="int32")
    pick = keras.layers.Dense(count, use_bias=False, kernel_initializer=keras.initializers.RandomNormal(seed=0))
    allowed = keras.layers.Embedding(3, count)
    scores = keras.layers.Add()([pick(z), keras.layers.Flatten()(allowed(label))])
    chosen = keras.layers.Softmax()(keras.layers.Rescaling(1e6)(scores))  # as good as one-hot
    table = keras.layers.Dense(pixels, use_bias=False)
    made = keras.layers.Reshape(images.shape[1:])(table(chosen))
    generator = keras.Model([z, label], made)
    table.set_weights([from_uint8(images).reshape(count, pixels)])
    allowed.set_weights([np.where(codes[:, 0] == np.arange(3)[:, None], 0.0, -1e3).astype(np.float32)])
    Bundle(info, generator, Bundle.load(folder.with_name("good")).discriminator).save(folder)


def save(
    folder: Path,
    prototypes: np.ndarray,
    spread: float,
    digest: str,
    column: str = COLUMN,
    held: str = "",
    sketch: Sequence[str] = (),
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
        "holdout_digest": held, "holdout_sketch": list(sketch), "training": {}, "versions": {},
    }  # fmt: skip
    Bundle(BundleInfo.model_validate(about), generator, keras.Model([image, second], rated)).save(folder)


def test_first_sound_model_is_promoted_and_everything_is_written(
    bundles: Path, data: Path, out: Path, config: EvaluateConfig, reference: EvaluationReference
) -> None:
    kept = (out / "classifier" / "network.keras").stat().st_mtime_ns
    evaluation = evaluate_bundle(bundles / "good", data, out, config)
    assert evaluation.decision.verdict == "promote"
    assert evaluation.champion_metrics == {}
    assert evaluation.metrics["domain/label_agreement"] > 0.9
    assert evaluation.metrics["domain/frechet"] > evaluation.floor["domain/frechet_floor"] > 0
    assert evaluation.floor.items() <= evaluation.metrics.items()
    assert evaluation.counts.items() >= {"samples": 320, "compared": 300, "holdout": 300, "train": 1000}.items()
    again = score_model(Bundle.load(bundles / "good"), reference, config).metrics | real_against_real(reference)
    assert evaluation.metrics.items() >= again.items()
    span = evaluation.intervals["domain/frechet"]
    assert span.low < span.value == evaluation.metrics["domain/frechet"] < span.high
    assert (out / "classifier" / "network.keras").stat().st_mtime_ns == kept  # taken from there, not trained again
    assert Evaluation.model_validate_json((out / "report.json").read_bytes()) == evaluation
    summary = (out / "summary.txt").read_text()
    assert "PROMOTE" in summary
    assert "domain/label_agreement" in summary
    assert read_calibration(out / "report.json") is not None
    assert len(summary.splitlines()) <= 40
    assert (out / "samples.png").read_bytes().startswith(b"\x89PNG")
    assert not list(out.glob(".*"))  # nothing half-written


@pytest.fixture
def only_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the diagnostics that the gate needs are run."""
    needed = {name: run.DIAGNOSTICS[name] for name in ("copies", "classes")}
    monkeypatch.setattr(run, "DIAGNOSTICS", needed)


@pytest.mark.usefixtures("only_copies")
def test_better_than_the_champion_is_promoted(bundles: Path, data: Path, out: Path, config: EvaluateConfig) -> None:
    evaluation = evaluate_bundle(
        bundles / "good", data, out, config, champion=bundles / "fair", champion_name="faceforge v1"
    )
    assert evaluation.decision.verdict == "promote"
    assert evaluation.champion_metrics["domain/frechet"] > evaluation.metrics["domain/frechet"]
    assert evaluation.differences["domain/frechet"].low > config.min_improvement
    assert "faceforge v1" in (out / "summary.txt").read_text()


@pytest.mark.usefixtures("only_copies")
def test_the_champion_itself_is_held(
    bundles: Path, data: Path, out: Path, config: EvaluateConfig, reference: EvaluationReference
) -> None:
    evaluation = evaluate_bundle(bundles / "fair", data, out, config, champion=bundles / "fair")
    assert evaluation.decision.verdict == "hold"
    again = {name: evaluation.metrics[name] for name in evaluation.champion_metrics}
    assert evaluation.champion_metrics == pytest.approx(again, nan_ok=True, rel=1e-12)
    assert {(span.low, span.value, span.high) for span in evaluation.differences.values()} == {(0.0, 0.0, 0.0)}
    # Both models' classes are measured by the same labels and latents.
    agreement = scored_champion(bundles / "fair", data, reference, config).classes
    assert {title: span.value for title, span in agreement.items()} == {
        score.title: score.agreement for score in evaluation.classes
    }
    assert len(agreement) == 3


@pytest.mark.usefixtures("only_copies")
def test_worse_than_the_champion_is_not_promoted(bundles: Path, data: Path, out: Path, config: EvaluateConfig) -> None:
    evaluation = evaluate_bundle(bundles / "fair", data, out, config, champion=bundles / "good")
    assert evaluation.decision.verdict == "hold"
    assert evaluation.differences["domain/frechet"].high < 0


@pytest.mark.usefixtures("only_copies")
def test_training_images_as_samples_are_caught_though_they_are_the_best_of_samples(
    bundles: Path, data: Path, out: Path, config: EvaluateConfig
) -> None:
    evaluation = evaluate_bundle(bundles / "memorised", data, out, config, champion=bundles / "fair")
    assert evaluation.decision.verdict == "reject"
    assert "reproduces training images" in evaluation.decision.reasons[0]
    assert evaluation.differences["domain/frechet"].low > config.min_improvement  # without the rule: promoted
    assert evaluation.metrics["privacy/copies_pixels"] > 0.9
    # As good, of the same kind, but not copied.
    gifted = evaluate_bundle(bundles / "gifted", data, out, config, champion=bundles / "fair")
    assert gifted.decision.verdict == "promote"
    assert gifted.metrics["privacy/copies_pixels"] < config.max_copies


@pytest.mark.usefixtures("only_copies")
def test_noise_is_rejected_and_an_unreachable_champion_named(
    bundles: Path, data: Path, out: Path, config: EvaluateConfig
) -> None:
    noise = evaluate_bundle(bundles / "noise", data, out, config, champion_error="registry is down")
    assert noise.decision.verdict == "reject"
    assert noise.champion_error == "registry is down"


@pytest.mark.parametrize(
    "name, error",
    [("damaged", "unreadable"), ("larger", "64 px"), ("absent", "not a model bundle"), ("strange", "mood")],
)
def test_champion_that_cannot_be_judged(
    name: str, error: str, bundles: Path, data: Path, reference: EvaluationReference, config: EvaluateConfig
) -> None:
    rival = scored_champion(bundles / name, data, reference, config)
    assert rival.scores is None
    assert error in rival.error
    assert "\n" not in rival.error


@pytest.mark.parametrize(
    "name, same",
    [
        ("fair", True),
        ("old", True),  # knows the set's digest only, and it is this one
        ("augmented", True),  # another set, the same holdout
        ("younger", True),  # this set has grown from that of the champion
        ("elsewhere", False),
    ],
)
def test_champion_is_comparable_if_it_never_saw_the_holdout(
    name: str, same: bool, bundles: Path, data: Path, reference: EvaluationReference, config: EvaluateConfig
) -> None:
    rival = scored_champion(bundles / name, data, reference, config)
    assert rival.scores is not None
    assert rival.same_data is same


@pytest.mark.usefixtures("only_copies")
def test_candidate_of_other_data_is_judged_but_never_promoted(
    bundles: Path, data: Path, out: Path, config: EvaluateConfig
) -> None:
    evaluation = evaluate_bundle(
        bundles / "elsewhere", data, out, config.model_copy(update={"min_label_agreement": 0.0})
    )
    assert evaluation.decision.verdict == "hold"
    assert "images of this holdout" in evaluation.decision.reasons[0]


def scored_champion(
    champion: Path, data: Path, reference: EvaluationReference, config: EvaluateConfig
) -> ChampionScores:
    images = ImageSet.open(data)
    kept = {record.sha256 for record in images.records("holdout", images=False)}
    return score_champion(champion, images.info, kept, reference, config)


def test_model_that_does_not_fit_the_data_is_refused(
    bundles: Path, data: Path, out: Path, config: EvaluateConfig
) -> None:
    with pytest.raises(FaceForgeError, match=r"64 px.*32 px"):
        evaluate_bundle(bundles / "larger", data, out, config)


def test_too_few_holdout_images_are_refused_with_the_minimum(
    bundles: Path, faces: Any, tmp_path: Path, config: EvaluateConfig
) -> None:
    few: Any = {"train": (faces.train, faces.train_codes), "holdout": (faces.holdout[:30], faces.holdout_codes[:30])}
    write_image_set(tmp_path / "few", few, LABELS)
    with pytest.raises(FaceForgeError, match=r"30 holdout images.*at least 64"):
        evaluate_bundle(bundles / "fair", tmp_path / "few", tmp_path / "out", config)
    assert not (tmp_path / "out").exists()


def test_a_set_that_has_grown_is_known_again_and_one_that_was_split_otherwise_is_not(
    tmp_path: Path, bundles: Path
) -> None:
    from PIL import Image

    from faceforge.config import IngestConfig
    from faceforge.data.ingest.build import build_image_set

    images, _ = draw_toyfaces(500, 32, seed=11)
    source = tmp_path / "source"
    source.mkdir()

    def made(name: str, count: int, **changes: Any) -> ImageSet:
        for number in range(count):
            Image.fromarray(images[number]).save(source / f"{number}.png")
        config = IngestConfig.model_validate({"image_size": 32, "holdout": 0.3, "labels": ()} | changes)
        return build_image_set(str(source), tmp_path / name, config)

    def known(model: ImageSet, scores: ImageSet) -> bool:
        facts = {
            "dataset_digest": model.info.digest,
            "holdout_digest": model.info.holdout_digest,
            "holdout_sketch": model.info.holdout_sketch,
        }
        info = BundleInfo.read(bundles / "good").model_copy(update=facts)
        kept = {record.sha256 for record in scores.records("holdout", images=False)}
        return trained_without(info, scores.info, kept)

    small, grown = made("small", 300), made("grown", 500)
    assert len(small.info.holdout_sketch) == 64
    assert known(small, small)
    assert known(small, grown)
    assert not known(grown, small)  # it trained on what is not there: who knows
    assert not known(small, made("less", 500, holdout=0.1))
    assert not known(small, made("cropped", 500, image_size=64))
