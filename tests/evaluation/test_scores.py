"""Known answers: models that do one thing wrong, and the number that must move."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from faceforge.config import EvaluateConfig
from faceforge.evaluation.reference import EvaluationReference
from faceforge.evaluation.report.pictures import real_and_generated, sample_strips, sheet
from faceforge.evaluation.report.tables import class_tables
from faceforge.evaluation.scores import real_against_real, score_model
from faceforge.models.bundle import BundleInfo

CONFIG = EvaluateConfig.model_validate({"samples": 300})


class FakeBundle:
    """A bundle that "generates" fixed images of the requested label; its logits are the mean brightness."""

    discriminator: object | None = object()

    def __init__(self, images: NDArray[np.uint8], codes: NDArray[np.int32], labels: dict[str, list[str]]) -> None:
        spec: dict[str, Any] = {"family": "compact", "image_size": 32, "channels": 3, "latent_size": 4, "width": 4}
        self.info = BundleInfo.model_validate(
            {
                "spec": spec | {"max_width": 4, "classes": [len(classes) for classes in labels.values()]},
                "labels": labels,
                "loss": "relativistic",
                "dataset_digest": "",
                "config": {},
                "training": {},
                "versions": {},
            }
        )
        self._images, self._codes = images, codes

    def generate(self, latents: NDArray[np.float32], labels: NDArray[np.int32]) -> NDArray[np.uint8]:
        if not self.info.labels:
            return self._images[np.arange(len(latents)) % len(self._images)]
        generated = np.empty((len(latents), *self._images.shape[1:]), np.uint8)
        for code in np.unique(labels):
            rows, sources = np.flatnonzero(labels[:, 0] == code), np.flatnonzero(self._codes[:, 0] == code)
            generated[rows] = self._images[sources[np.arange(len(rows)) % len(sources)]]
        return generated

    def logits(self, images: NDArray[np.uint8], labels: NDArray[np.int32]) -> NDArray[np.float32]:
        assert len(images) == len(labels)
        return images.mean(axis=(1, 2, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def scores(reference: EvaluationReference, faces, vocabularies) -> dict[str, dict[str, float]]:  # type: ignore[no-untyped-def]
    images, codes = faces.fresh, faces.fresh_codes
    blurred = images.astype(np.float32)
    for axis in (1, 2):
        blurred = (np.roll(blurred, 1, axis) + 2 * blurred + np.roll(blurred, -1, axis)) / 4
    noise = np.random.default_rng(0).normal(0, 30, images.shape)
    few = np.concatenate([np.flatnonzero(codes[:, 0] == code)[:5] for code in range(3)])
    models = {
        "faithful": (images, codes),
        "blurred": (blurred.astype(np.uint8), codes),
        "noisy": (np.clip(images + noise, 0, 255).astype(np.uint8), codes),
        "few faces": (images[few], codes[few]),
        "wrong labels": (images, (codes + 1) % 3),
        "random labels": (images, np.random.default_rng(0).permutation(codes)),
        "no face at all": (np.random.default_rng(0).integers(0, 256, images.shape, dtype=np.uint8), codes),
    }
    return {
        name: score_model(FakeBundle(*model, vocabularies), reference, CONFIG).metrics  # type: ignore[arg-type]
        for name, model in models.items()
    }


def test_a_faithful_model_is_as_good_as_real_images(
    scores: dict[str, dict[str, float]], reference: EvaluationReference
) -> None:
    floor = real_against_real(reference)
    faithful = scores["faithful"]
    assert faithful["domain/frechet"] < 2 * floor["domain/frechet_floor"]
    for name in ("precision", "recall", "coverage"):
        assert faithful[f"domain/{name}"] == pytest.approx(floor[f"domain/{name}_floor"], abs=0.1)
    assert faithful["domain/label_agreement"] >= 0.97
    assert faithful["domain/label_agreement_expression"] == faithful["domain/label_agreement"]
    assert faithful["domain/real_label_accuracy"] >= 0.97


@pytest.mark.parametrize("fault", ["blurred", "noisy", "few faces", "no face at all"])
def test_faults_raise_the_distance(fault: str, scores: dict[str, dict[str, float]]) -> None:
    assert scores[fault]["domain/frechet"] > 2 * scores["faithful"]["domain/frechet"]


def test_the_fault_shows_in_the_measure_made_for_it(scores: dict[str, dict[str, float]]) -> None:
    assert scores["noisy"]["domain/precision"] < scores["faithful"]["domain/precision"] - 0.2
    assert scores["few faces"]["domain/recall"] < 0.3
    assert scores["few faces"]["domain/precision"] > 0.7
    assert scores["no face at all"]["domain/coverage"] < 0.1


def test_wrong_labels_show_in_the_agreement_only(scores: dict[str, dict[str, float]]) -> None:
    assert scores["wrong labels"]["domain/label_agreement"] < 0.03
    assert scores["random labels"]["domain/label_agreement"] == pytest.approx(1 / 3, abs=0.12)
    assert scores["wrong labels"]["domain/recall"] == pytest.approx(scores["faithful"]["domain/recall"], abs=0.1)


def test_unconditional_models_have_no_agreement_but_all_else(reference: EvaluationReference, faces) -> None:  # type: ignore[no-untyped-def]
    scores = score_model(FakeBundle(faces.fresh, faces.fresh_codes, {}), reference, CONFIG)  # type: ignore[arg-type]
    metrics = scores.metrics
    assert not scores.evidence.agreement.size
    assert not class_tables(scores, reference)
    assert not [name for name in metrics if "label" in name]
    assert np.isfinite([value for name, value in metrics.items() if name != "discriminator/threshold"]).all()
    assert metrics["discriminator/pairwise"] == pytest.approx(0.5, abs=0.1)  # brightness cannot tell these


def test_a_release_bundle_has_all_metrics_but_those_of_the_discriminator(  # type: ignore[no-untyped-def]
    reference: EvaluationReference, faces, vocabularies
) -> None:
    bundle = FakeBundle(faces.fresh, faces.fresh_codes, vocabularies)
    whole = score_model(bundle, reference, CONFIG)  # type: ignore[arg-type]
    bundle.discriminator = None
    released = score_model(bundle, reference, CONFIG)  # type: ignore[arg-type]
    assert released.logits == {}
    left_out = whole.metrics.keys() - released.metrics.keys()
    assert left_out == {name for name in whole.metrics if "discriminator" in name} != set()
    assert released.metrics.items() <= whole.metrics.items()


def test_sample_sheet_has_a_row_per_class(faces, vocabularies, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    one_each = faces.fresh[[int(np.flatnonzero(faces.fresh_codes[:, 0] == code)[0]) for code in range(3)]]
    bundle = FakeBundle(one_each, np.arange(3, dtype=np.int32)[:, None], vocabularies)
    strips = sample_strips(bundle, seed=0)  # type: ignore[arg-type]
    assert [row.name for row in strips.rows] == vocabularies["expression"]
    whole = sheet(strips)
    assert whole.shape == (3 * 33 - 1, 10 * 33 - 1, 3)
    for row in range(3):
        np.testing.assert_array_equal(whole[row * 33 : row * 33 + 32, :32], one_each[row])


def test_evidence_is_what_the_numbers_are_made_of(reference: EvaluationReference, faces, vocabularies) -> None:  # type: ignore[no-untyped-def]
    scores = score_model(FakeBundle(faces.fresh, faces.fresh_codes, vocabularies), reference, CONFIG)  # type: ignore[arg-type]
    assert scores.evidence.recalled.mean() == pytest.approx(scores.metrics["domain/recall"])
    assert scores.evidence.agreement.mean() == pytest.approx(scores.metrics["domain/label_agreement"])
    assert {name: len(logits) for name, (logits, _) in scores.logits.items()} == {
        "training images": 300, "holdout images": 300, "samples": 300,
    }  # fmt: skip


def test_a_class_that_is_drawn_wrongly_stands_out_in_its_table(
    reference: EvaluationReference, faces: Any, vocabularies: dict[str, list[str]]
) -> None:
    shown = np.where(faces.fresh_codes == 2, 1, faces.fresh_codes)  # asked for class 2, none comes: see below
    codes = np.where(shown == 0, 2, shown)  # class 2 is drawn as class 0, and class 0 does not exist
    codes[: len(codes) // 2][codes[: len(codes) // 2] == 2] = 0
    scores = score_model(FakeBundle(faces.fresh, codes, vocabularies), reference, CONFIG)  # type: ignore[arg-type]
    (table,) = class_tables(scores, reference)
    rows = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert list(rows) == vocabularies["expression"]
    assert sum(int(row["samples"] or 0) for row in rows.values()) == 300
    assert rows[vocabularies["expression"][0]]["agreement"] > 0.9  # type: ignore[operator]
    wrong = rows[vocabularies["expression"][2]]
    assert wrong["agreement"] < 0.1  # type: ignore[operator]
    assert str(wrong["mistaken for"]).startswith(vocabularies["expression"][0])


def test_real_and_generated_sheets_show_the_same_labels_in_the_same_place(
    reference: EvaluationReference, faces: Any, vocabularies: dict[str, list[str]]
) -> None:
    one_each = faces.fresh[[int(np.flatnonzero(faces.fresh_codes[:, 0] == code)[0]) for code in range(3)]]
    bundle = FakeBundle(one_each, np.arange(3, dtype=np.int32)[:, None], vocabularies)
    scores = score_model(bundle, reference, CONFIG)  # type: ignore[arg-type]
    strips = real_and_generated(scores, reference)
    assert {image.shape for row in strips.rows for image in row.images} == {(32, 6 * 33 - 1, 3)}
    first = [row.images[1][:, :32] for row in strips.rows]
    shown = [int(np.abs(one_each.astype(int) - image).sum(axis=(1, 2, 3)).argmin()) for image in first]
    assert sorted(shown) == [0, 1, 2]
    assert [row.name for row in strips.rows] == [vocabularies["expression"][code] for code in shown]
    tiles = [row.images[0][:, at * 33 : at * 33 + 32] for row in strips.rows for at in range(6)]
    seen = reference.classifier.predict(np.stack(tiles))[:, 0].reshape(3, 6)
    assert ((seen == np.array(shown)[:, None]).mean(axis=1) > 0.8).all()
