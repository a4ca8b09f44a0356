"""What samples teach, where it is known what they can teach."""

import numpy as np
import pytest

from faceforge.data.sources.toyfaces import COLUMN, EXPRESSIONS, draw_toyfaces
from faceforge.errors import FaceForgeError
from faceforge.evaluation.diagnostics.train_on_synthetic import Labelled, train_on_synthetic

VOCABULARY = {COLUMN: list(EXPRESSIONS)}
AUC, REAL = "train_on_synthetic/auc", "train_on_synthetic/auc_floor"


def part(labelled: Labelled, rows: slice) -> Labelled:
    return Labelled(labelled.features[rows], labelled.codes[rows])


@pytest.fixture(scope="module")
def kinds() -> dict[str, Labelled]:
    images, codes = draw_toyfaces(1500, 32, seed=8)
    everything = Labelled.of(images, codes)
    fresh = part(everything, slice(900, 1500))
    rng = np.random.default_rng(0)
    noise = Labelled.of(rng.integers(0, 256, (600, 32, 32, 3), dtype=np.uint8), fresh.codes)
    return {
        "train": part(everything, slice(600)),
        "holdout": part(everything, slice(600, 900)),
        "faithful": fresh,
        "shuffled": Labelled(fresh.features, rng.permutation(fresh.codes)),
        "noise": noise,
    }


def test_samples_as_good_as_real_images_teach_as_much(kinds: dict[str, Labelled]) -> None:
    found = train_on_synthetic(kinds["train"], kinds["holdout"], kinds["faithful"], VOCABULARY)
    assert found.metrics[REAL] > 0.95
    assert found.metrics[AUC] == pytest.approx(found.metrics[REAL], abs=0.03)
    assert [row.name for row in found.classes] == list(EXPRESSIONS)
    assert sum(row.real_images for row in found.classes) == sum(row.samples for row in found.classes) == 600
    assert np.mean([row.synthetic for row in found.classes]) == pytest.approx(found.metrics[AUC])


@pytest.mark.parametrize("fault", ["shuffled", "noise"])
def test_wrong_labels_and_noise_teach_nothing(fault: str, kinds: dict[str, Labelled]) -> None:
    metrics = train_on_synthetic(kinds["train"], kinds["holdout"], kinds[fault], VOCABULARY).metrics
    assert metrics[AUC] == pytest.approx(0.5, abs=0.12)


def test_few_samples_of_a_class_do_not_lower_the_auc(kinds: dict[str, Labelled]) -> None:
    """A shifted decision threshold costs nothing here, unlike with accuracy or recall."""
    faithful = kinds["faithful"]
    kept = (faithful.codes[:, 0] != 2) | (np.arange(600) % 6 == 0)
    few = Labelled(faithful.features[kept], faithful.codes[kept])
    found = train_on_synthetic(kinds["train"], kinds["holdout"], few, VOCABULARY)
    glasses = found.classes[2]
    assert glasses.samples < 60
    assert glasses.synthetic > 0.95


def test_every_column_counts_and_absent_classes_do_not(kinds: dict[str, Labelled]) -> None:
    def with_noise(labelled: Labelled, seed: int) -> Labelled:
        coin = np.random.default_rng(seed).integers(0, 2, (len(labelled.codes), 1))
        return Labelled(labelled.features, np.hstack([labelled.codes, coin]))

    train, holdout, fake = (with_noise(kinds[name], seed) for seed, name in enumerate(("train", "holdout", "faithful")))
    found = train_on_synthetic(train, holdout, fake, {**VOCABULARY, "coin": ["heads", "tails", "edge"]})
    assert found.metrics["train_on_synthetic/auc_coin_floor"] == pytest.approx(0.5, abs=0.1)
    both_columns = [found.metrics[f"{AUC}_{name}"] for name in (COLUMN, "coin")]
    assert found.metrics[AUC] == pytest.approx(np.mean(both_columns))
    assert np.isnan(found.classes[-1].synthetic)


def test_a_class_without_samples_has_an_auc_of_one_half(kinds: dict[str, Labelled]) -> None:
    faithful = kinds["faithful"]
    rows = faithful.codes[:, 0] != 2
    without = Labelled(faithful.features[rows], faithful.codes[rows])
    found = train_on_synthetic(kinds["train"], kinds["holdout"], without, VOCABULARY)
    assert found.classes[2].synthetic == 0.5


def test_what_cannot_be_measured_is_refused(kinds: dict[str, Labelled]) -> None:
    trio = kinds["train"], kinds["holdout"], kinds["faithful"]
    with pytest.raises(FaceForgeError, match="needs labels"):
        train_on_synthetic(*trio, {})
    with pytest.raises(FaceForgeError, match="at least 50"):
        train_on_synthetic(part(trio[0], slice(10)), *trio[1:], VOCABULARY)
