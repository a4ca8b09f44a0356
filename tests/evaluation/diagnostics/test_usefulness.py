"""What samples teach, where it is known what they can teach."""

import numpy as np
import pytest

from faceforge.data.sources.toyfaces import COLUMN, EXPRESSIONS, draw_toyfaces
from faceforge.errors import FaceForgeError
from faceforge.evaluation.diagnostics.usefulness import Labelled, rare_class, usefulness

VOCABULARY = {COLUMN: list(EXPRESSIONS)}


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
    found = usefulness(kinds["train"], kinds["holdout"], kinds["faithful"], VOCABULARY)
    assert found.metrics["usefulness/real"] > 0.9
    assert found.metrics["usefulness/ratio"] == pytest.approx(1, abs=0.04)
    assert found.metrics["usefulness/both"] >= found.metrics["usefulness/real"] - 0.01
    assert [row.name for row in found.classes] == list(EXPRESSIONS)
    assert sum(row.real_images for row in found.classes) == sum(row.samples for row in found.classes) == 600
    assert np.mean([row.synthetic for row in found.classes]) == pytest.approx(found.metrics["usefulness/synthetic"])


@pytest.mark.parametrize("fault", ["shuffled", "noise"])
def test_wrong_labels_and_noise_teach_nothing(fault: str, kinds: dict[str, Labelled]) -> None:
    metrics = usefulness(kinds["train"], kinds["holdout"], kinds[fault], VOCABULARY).metrics
    assert metrics["usefulness/synthetic"] < 0.5
    assert metrics["usefulness/both"] > metrics["usefulness/synthetic"]


def test_every_column_counts_and_absent_classes_do_not(kinds: dict[str, Labelled]) -> None:
    def with_noise(labelled: Labelled, seed: int) -> Labelled:
        coin = np.random.default_rng(seed).integers(0, 2, (len(labelled.codes), 1))
        return Labelled(labelled.features, np.hstack([labelled.codes, coin]))

    train, holdout, fake = (with_noise(kinds[name], seed) for seed, name in enumerate(("train", "holdout", "faithful")))
    found = usefulness(train, holdout, fake, {**VOCABULARY, "coin": ["heads", "tails", "edge"]})
    assert found.metrics["usefulness/real_coin"] == pytest.approx(0.5, abs=0.1)
    both_columns = [found.metrics[f"usefulness/real_{name}"] for name in (COLUMN, "coin")]
    assert found.metrics["usefulness/real"] == pytest.approx(np.mean(both_columns))
    assert np.isnan(found.classes[-1].real)


def test_good_samples_bring_a_rare_class_back(kinds: dict[str, Labelled]) -> None:
    found = rare_class(kinds["train"], kinds["holdout"], kinds["faithful"], VOCABULARY, name="glasses", share=0.01)
    metrics = found.metrics
    assert (found.name, found.kept) == ("glasses", 4)
    assert found.added > 150
    assert found.recalls.shape == (5, 3)
    assert metrics["usefulness/rare_recall_before"] < 0.9
    assert metrics["usefulness/rare_recall_after"] > 0.95
    gains = found.recalls[:, 2] - found.recalls[:, 0]
    assert metrics["usefulness/rare_gain"] == pytest.approx(gains.mean())
    assert metrics["usefulness/rare_gain_spread"] == pytest.approx(gains.std(ddof=1))
    assert metrics["usefulness/rare_balanced_after"] > metrics["usefulness/rare_balanced_before"]


def test_samples_of_other_classes_cost_the_others_what_they_bring(kinds: dict[str, Labelled]) -> None:
    trio = kinds["train"], kinds["holdout"]
    good = rare_class(*trio, kinds["faithful"], VOCABULARY, name="glasses", share=0.01, seeds=(0, 1)).metrics
    bad = rare_class(*trio, kinds["shuffled"], VOCABULARY, name="glasses", share=0.01, seeds=(0, 1)).metrics
    assert bad["usefulness/rare_balanced_after"] < good["usefulness/rare_balanced_after"] - 0.05


def test_the_rarest_class_is_taken_unless_one_is_named(kinds: dict[str, Labelled]) -> None:
    train = kinds["train"]
    few_smiles = (train.codes[:, 0] != 1) | (np.arange(600) < 60)
    lopsided = Labelled(train.features[few_smiles], train.codes[few_smiles])
    found = rare_class(lopsided, kinds["holdout"], kinds["faithful"], VOCABULARY, share=None, seeds=(0, 1))
    assert found.name == "smiling"
    assert found.kept == (lopsided.codes == 1).sum()


def test_what_cannot_be_measured_is_refused(kinds: dict[str, Labelled]) -> None:
    trio = kinds["train"], kinds["holdout"], kinds["faithful"]
    with pytest.raises(FaceForgeError, match="without labels"):
        usefulness(*trio, {})
    with pytest.raises(FaceForgeError, match="at least 50"):
        usefulness(part(trio[0], slice(10)), *trio[1:], VOCABULARY)
    with pytest.raises(FaceForgeError, match="no class 'angry'"):
        rare_class(*trio, VOCABULARY, name="angry")
