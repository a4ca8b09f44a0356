"""The domain classifier learns, says so truthfully, and is the same whenever it is made from the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceforge.data.sources.toyfaces import COLUMN, EXPRESSIONS, GLASSES, draw_toyfaces
from faceforge.errors import FaceForgeError
from faceforge.evaluation.domain_classifier import DomainClassifier, train_classifier


def test_recognises_expressions_it_has_not_seen(classifier, faces) -> None:  # type: ignore[no-untyped-def]
    predicted = classifier.predict(faces.fresh)
    assert predicted.shape == faces.fresh_codes.shape
    assert predicted.dtype == np.int32
    assert (predicted == faces.fresh_codes).mean() >= 0.98
    right = (classifier.predict(faces.holdout) == faces.holdout_codes).mean()
    assert classifier.holdout_accuracy == {COLUMN: pytest.approx(right)}


def test_features_do_not_depend_on_the_company_of_an_image(classifier, faces) -> None:  # type: ignore[no-untyped-def]
    together = classifier.features(faces.fresh)
    assert together.shape == (len(faces.fresh), 64)
    assert together.dtype == np.float32
    np.testing.assert_allclose(classifier.features(faces.fresh[7:9]), together[7:9], atol=1e-4)


def test_saved_and_loaded_it_is_the_same_and_other_facts_do_not_load(classifier, faces, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    classifier.save(tmp_path / "classifier")
    again = DomainClassifier.load(tmp_path / "classifier", classifier.facts)
    assert again is not None
    np.testing.assert_array_equal(again.features(faces.holdout), classifier.features(faces.holdout))
    np.testing.assert_array_equal(again.predict(faces.holdout), classifier.predict(faces.holdout))
    assert again.holdout_accuracy == classifier.holdout_accuracy
    assert again.holdout_recall == classifier.holdout_recall
    assert again.class_counts == classifier.class_counts
    assert DomainClassifier.load(tmp_path / "classifier", classifier.facts | {"digest": "other"}) is None
    (tmp_path / "classifier" / "network.keras").write_bytes(b"not a network")
    assert DomainClassifier.load(tmp_path / "classifier", classifier.facts) is None


def test_learns_without_labels_and_the_same_seed_gives_the_same_network() -> None:
    import keras

    images = draw_toyfaces(900, 8, seed=2)[0]
    none = np.zeros((700, 0), np.int32)

    def learn() -> DomainClassifier:
        return train_classifier((images[:700], none), (images[700:], none), {}, epochs=2, seed=3, dimensions=32)

    first = learn()
    np.random.rand()  # the process's own random state plays no part,
    for _ in range(5):
        keras.layers.Dense(1)  # nor how many layers Keras has counted: "dense_10" comes before "dense_9" in some orders
    second = learn()
    assert first.predict(images[700:]).shape == (200, 0)
    assert first.features(images[700:]).shape == (200, 32)
    assert first.holdout_accuracy["rotation"] > 0.6  # four rotations: 0.25 by chance
    np.testing.assert_array_equal(first.features(images[700:]), second.features(images[700:]))


def test_refuses_sizes_it_has_no_stages_for() -> None:
    images, codes = np.zeros((20, 48, 48, 3), np.uint8), np.zeros((20, 0), np.int32)
    with pytest.raises(FaceForgeError, match="48 px"):
        train_classifier((images, codes), (images, codes), {}, epochs=1, seed=0)


def test_a_rare_class_is_recognised_once_frequencies_are_corrected() -> None:
    shares = {"neutral": 0.6, "smiling": 0.37, "glasses": 0.03}
    train, (images, codes) = draw_toyfaces(600, 32, seed=1, shares=shares), draw_toyfaces(300, 32, seed=2)
    skewed = train_classifier(train, (images, codes), {COLUMN: list(EXPRESSIONS)}, epochs=2, seed=0)
    rare = codes[:, 0] == GLASSES
    plain, balanced = (predict(images)[rare, 0] == GLASSES for predict in (skewed.predict, skewed.predict_balanced))
    assert plain.mean() < 0.5
    assert balanced.mean() > plain.mean() + 0.3
    assert skewed.class_counts == {COLUMN: np.bincount(train[1][:, 0]).tolist()}
    assert skewed.holdout_recall[COLUMN]["glasses"] == (pytest.approx(balanced.mean()), rare.sum())


def test_the_training_step_is_traced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    traces = []
    train_step = keras.Model.train_step

    def traced(*arguments: Any) -> Any:
        traces.append(arguments)
        return train_step(*arguments)

    monkeypatch.setattr(keras.Model, "train_step", traced)
    images, codes = draw_toyfaces(80, 8, seed=2)[:2]
    columns = {COLUMN: EXPRESSIONS}
    train_classifier((images[:64], codes[:64]), (images[64:], codes[64:]), columns, epochs=2, seed=3, dimensions=8)
    assert len(traces) == 1
