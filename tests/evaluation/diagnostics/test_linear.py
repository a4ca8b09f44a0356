"""The linear classifier gives the scores of scikit-learn's with the same covariance."""

import numpy as np
import pytest
from sklearn.covariance import empirical_covariance
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from faceforge.evaluation.diagnostics.linear import SHRINKAGE, fit_linear


class Shrunk:
    """Empirical covariance shrunk towards the unit matrix."""

    def fit(self, features: np.ndarray) -> "Shrunk":
        self.covariance_ = (1 - SHRINKAGE) * empirical_covariance(features) + SHRINKAGE * np.eye(features.shape[1])
        return self


@pytest.mark.parametrize("classes", [2, 5])
def test_scores_equal_those_of_scikit_learn(classes: int) -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, classes, 400)
    features = rng.normal(size=(400, 20)) * np.linspace(0.5, 3, 20) + rng.normal(size=(classes, 20))[codes]
    standard = ((features - features.mean(axis=0)) / features.std(axis=0)).astype(np.float32)
    peer = LinearDiscriminantAnalysis(solver="lsqr", covariance_estimator=Shrunk()).fit(standard, codes)
    ours = fit_linear(features, codes, classes).scores(features)
    expected = peer.decision_function(standard)
    if classes == 2:
        np.testing.assert_allclose(ours[:, 1] - ours[:, 0], expected, atol=1e-4)
    else:
        np.testing.assert_allclose(ours - ours[:, :1], expected - expected[:, :1], atol=1e-4)


def test_balanced_ignores_class_frequencies_and_absent_classes_are_never_predicted() -> None:
    rng = np.random.default_rng(1)
    codes = np.repeat([0, 2], [380, 20])
    features = rng.normal(size=(400, 3)) + codes[:, None] * 0.4
    plain, balanced = (fit_linear(features, codes, 3, balanced=choice).predict(features) for choice in (False, True))
    assert (plain == 2).sum() < (balanced == 2).sum()
    assert not (balanced == 1).any()
