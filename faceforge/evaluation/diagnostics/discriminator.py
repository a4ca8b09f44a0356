"""Accuracy of a model's own discriminator on its training images, on holdout images and on samples.

Much higher on training images than on the holdout: it has memorised them. Near 0.5 everywhere: it cannot separate real
images from samples, or has learned nothing. Near 1 on the holdout: samples are easy to recognise. These numbers do not
measure how real the samples look.

`faceforge.inference.calibration.calibrate(holdout, fake)` turns the same logits into probabilities.
"""

from __future__ import annotations

import numpy as np

from faceforge.evaluation.diagnostics.membership import Attack, as_metrics
from faceforge.evaluation.diagnostics.rates import around_auc, auc, auc_variance, true_positive_rate
from faceforge.inference.calibration import Calibration, LabelledLogits, Labels, calibrate, calibration_error

NAMES = (
    "discriminator/accuracy",
    "discriminator/accuracy_train",
    "discriminator/accuracy_real",
    "discriminator/accuracy_real_train",
    "discriminator/accuracy_fake",
    "discriminator/auc",
    "discriminator/auc_train",
    "discriminator/pairwise",
    "discriminator/pairwise_train",
    "discriminator/calibration_error",
    "discriminator/threshold",
    "privacy/membership_auc_discriminator",
    "privacy/membership_auc_discriminator_low",
    "privacy/membership_auc_discriminator_high",
    "privacy/membership_tpr_discriminator",
)
DESCRIPTIONS = {
    "discriminator/accuracy...": "share of holdout images (_real), training images (_real_train) and samples (_fake)"
    " that the model's own discriminator classifies correctly; balanced: accuracy (holdout), accuracy_train. A"
    " relativistic discriminator has a threshold per combination of labels, fitted on other images",
    "discriminator/auc...": "probability that a holdout image (_train: a training image) scores higher than a sample,"
    " whatever their labels, after calibration",
    "discriminator/pairwise...": "share of (real image, sample) pairs of equal labels where the real one scores higher",
    "discriminator/calibration_error": "expected calibration error in 10 bins of Platt's sigmoid, fitted on one half"
    " of holdout images and samples and measured on the other, averaged over both directions",
    "privacy/membership_auc_discriminator": "membership inference with the discriminator: probability that a training"
    " image scores higher than a holdout image; 0.5 = no leak",
    "privacy/membership_tpr_discriminator": "share of training images that this attack identifies at a false positive"
    " rate of 1 %; 0.01 = no leak",
}


def discriminator_metrics(
    loss: str, train: LabelledLogits, holdout: LabelledLogits, fake: LabelledLogits
) -> dict[str, float]:
    """The `discriminator/...` and membership metrics (`NAMES`) from logits; all NaN when a logit is not finite.

    With the `bce` loss an image is classified as real when its logit is above 0. Relativistic training determines
    logits only up to a constant that may differ per label, so the thresholds there come from a calibration fitted to
    the first halves of the training images and samples; accuracies are measured on the second halves and on the whole
    holdout.

    - `accuracy_real`, `accuracy_real_train`: share of holdout / training images classified as real.
    - `accuracy_fake`: share of samples classified as generated.
    - `accuracy`, `accuracy_train`: mean of `accuracy_fake` and the share on the holdout / training images.
    - `auc`, `auc_train`: without a threshold, over all pairs of a real image and a sample.
    - `pairwise`, `pairwise_train`: AUC over pairs with the same labels, which is what the discriminator is trained for.
    - `calibration_error`: of `calibrate`, fitted on one half and measured on the other, averaged over both directions.
    - `threshold`: of the logits, mean over the combinations of labels; NaN if the discriminator cannot separate.
    - `privacy/membership_...`: LOGAN's white-box attack (Hayes et al. 2019): do training images score higher than
      holdout images? AUC within equal labels, and true positive rate at a false positive rate of 1 %.

    Args:
        loss: `relativistic` or `bce`.
        train: logits (N,) and labels (N, columns) of training images.
        holdout: the same of holdout images.
        fake: the same of samples.
    """
    if not all(len(logits) > 1 and np.isfinite(logits).all() for logits, _ in (train, holdout, fake)):
        return dict.fromkeys(NAMES, float("nan"))
    calibration = Calibration(1.0, 0.0)
    tested_train, tested_fake = train, fake
    if loss != "bce":
        calibration = calibrate(_half(train, 0), _half(fake, 0))
        tested_train, tested_fake = _half(train, 1), _half(fake, 1)
    p_holdout, p_train, p_fake = (calibration.probability(*part) for part in (holdout, tested_train, tested_fake))
    real, real_train = float((p_holdout > 0.5).mean()), float((p_train > 0.5).mean())
    rejected = float((p_fake <= 0.5).mean())
    offsets = list(calibration.offsets.values()) or [calibration.offset]
    threshold = 0.0 - float(np.mean(offsets)) / calibration.slope if calibration.slope else float("nan")
    return {
        "discriminator/accuracy": (real + rejected) / 2,
        "discriminator/accuracy_train": (real_train + rejected) / 2,
        "discriminator/accuracy_real": real,
        "discriminator/accuracy_real_train": real_train,
        "discriminator/accuracy_fake": rejected,
        "discriminator/auc": auc(p_holdout, p_fake),
        "discriminator/auc_train": auc(p_train, p_fake),
        "discriminator/pairwise": pairwise(holdout, fake),
        "discriminator/pairwise_train": pairwise(train, fake),
        "discriminator/calibration_error": _held_out_error(holdout, fake),
        "discriminator/threshold": threshold,
        **as_metrics(membership_by_discriminator(train, holdout), "discriminator"),
        "privacy/membership_tpr_discriminator": true_positive_rate(p_train, p_holdout, 0.01),
    }


def pairwise(first: LabelledLogits, second: LabelledLogits) -> float:
    """P(logit of a first > logit of a second with the same labels), ties half; NaN if no labels are shared.

    Logits are not compared across labels, as the discriminator is never trained to make them comparable.
    """
    wins, pairs = 0.0, 0
    for labels in np.unique(first[1], axis=0) if first[1].shape[1] else first[1][:1]:
        one, other = (logits[_same(codes, labels)] for logits, codes in (first, second))
        if one.size and other.size:
            wins += auc(one, other) * len(one) * len(other)
            pairs += len(one) * len(other)
    return wins / pairs if pairs else float("nan")


def membership_by_discriminator(train: LabelledLogits, holdout: LabelledLogits) -> Attack:
    """The attack by the discriminator's logits, within equal labels; the interval counts labels as given."""
    value, variance, pairs = pairwise(train, holdout), 0.0, 0
    for labels in np.unique(train[1], axis=0) if train[1].shape[1] else train[1][:1]:
        members, others = (logits[_same(codes, labels)] for logits, codes in (train, holdout))
        if members.size and others.size:
            part = auc_variance(members, others)
            variance += (len(members) * len(others)) ** 2 * (part if np.isfinite(part) else 0.25)
            pairs += len(members) * len(others)
    return Attack(value, *around_auc(value, variance / pairs**2)) if pairs else Attack(value, np.nan, np.nan)


def _same(codes: Labels, labels: Labels) -> np.ndarray:
    return np.asarray((codes == labels).all(axis=1))


def _half(scored: LabelledLogits, which: int) -> LabelledLogits:
    """The first (0) or second (1) half."""
    half = len(scored[0]) // 2
    rows = slice(half) if which == 0 else slice(half, None)
    return scored[0][rows], scored[1][rows]


def _held_out_error(real: LabelledLogits, fake: LabelledLogits) -> float:
    errors = []
    for fitted in (0, 1):
        calibration = calibrate(_half(real, fitted), _half(fake, fitted))
        tried = [calibration.probability(*_half(kind, 1 - fitted)) for kind in (real, fake)]
        truth = np.repeat([True, False], [len(part) for part in tried])
        errors.append(calibration_error(np.concatenate(tried), truth))
    return float(np.mean(errors))
