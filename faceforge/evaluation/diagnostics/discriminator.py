"""How well a model's own discriminator tells real from generated, on images it trained on and on images it never saw.

Much higher on training images than on the holdout: it has memorised them. Near 0.5 everywhere: it cannot tell (or has
learnt nothing). Near 1 on the holdout: the samples are easy to tell. None of it measures how real samples look.

`faceforge.inference.calibration.calibrate(holdout, fake)` turns the same logits into probabilities.
"""

from __future__ import annotations

import numpy as np

from faceforge.evaluation.diagnostics.rates import auc, true_positive_rate
from faceforge.inference.calibration import Calibration, Labels, Scored, calibrate, calibration_error

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
    "privacy/membership_tpr_discriminator",
)
HOW = {
    "discriminator/accuracy...": "share of holdout images (_real), training images (_real_train) and samples (_fake)"
    " that the model's own discriminator tells rightly; balanced: accuracy (holdout), accuracy_train. A relativistic"
    " one has a threshold per combination of labels, fitted on other images",
    "discriminator/auc...": "chance that a real holdout image (_train: training image) scores higher than a sample,"
    " whatever their labels, after calibration",
    "discriminator/pairwise...": "share of (real image, sample) pairs of equal labels where the real one scores higher",
    "discriminator/calibration_error": "expected calibration error in 10 bins of Platt's sigmoid, fitted on one half"
    " of holdout images and samples and measured on the other, both ways round",
    "privacy/membership_auc_discriminator": "an attacker who holds the discriminator takes the images it scores highest"
    " for training images: chance that a training image scores higher than a holdout image; 0.5 = learns nothing",
    "privacy/membership_tpr_discriminator": "share of training images this attack finds at 1 % false alarms; 0.01 ="
    " learns nothing",
}


def discriminator_metrics(loss: str, train: Scored, holdout: Scored, fake: Scored) -> dict[str, float]:
    """Accuracy of logits, by name (`NAMES`); all NaN when a logit is not finite.

    With the `bce` loss an image counts as taken for real when its logit is above 0. Relativistic training fixes logits
    only up to a constant that may differ from label to label, so there the thresholds are those of a calibration fitted
    to the first halves of the training images and of the samples; accuracies are measured on the second halves, and on
    the whole holdout.

    - `accuracy_real`, `accuracy_real_train`: share of holdout / training images taken for real.
    - `accuracy_fake`: share of fresh samples not taken for real.
    - `accuracy`, `accuracy_train`: mean of `accuracy_fake` and the share on the holdout / training images.
    - `auc`, `auc_train`: the same without a threshold, over all pairs, labels equal or not.
    - `pairwise`, `pairwise_train`: share of pairs (holdout / training image, sample) with the same labels in which the
      real one has the higher logit, ties counting half. The AUC of what the discriminator was trained for.
    - `calibration_error`: of `calibrate`, fitted on every other image and measured on the rest, both ways round.
    - `threshold`: that of the logits; the mean over the combinations of labels. NaN if no logit says "real".
    - `privacy/membership_...`: LOGAN's white-box attack (Hayes et al. 2019): are training images scored above the
      holdout? AUC within equal labels, and the rate of training images found at 1 % of false alarms.

    Args:
        loss: `relativistic` or `bce`.
        train: logits (N,) and labels (N, columns) of images the model was trained on.
        holdout: the same of images it never saw.
        fake: the same of fresh samples.
    """
    if not all(len(logits) > 1 and np.isfinite(logits).all() for logits, _ in (train, holdout, fake)):
        return dict.fromkeys(NAMES, float("nan"))
    rule = Calibration(1.0, 0.0)
    seen, made = train, fake
    if loss != "bce":
        rule = calibrate(_part(train, 0), _part(fake, 0))
        seen, made = _part(train, 1), _part(fake, 1)
    taken, taken_train, taken_fake = (rule.probability(*part) for part in (holdout, seen, made))
    real, real_train = float((taken > 0.5).mean()), float((taken_train > 0.5).mean())
    rejected = float((taken_fake <= 0.5).mean())
    shifts = list(rule.offsets.values()) or [rule.offset]
    return {
        "discriminator/accuracy": (real + rejected) / 2,
        "discriminator/accuracy_train": (real_train + rejected) / 2,
        "discriminator/accuracy_real": real,
        "discriminator/accuracy_real_train": real_train,
        "discriminator/accuracy_fake": rejected,
        "discriminator/auc": auc(taken, taken_fake),
        "discriminator/auc_train": auc(taken_train, taken_fake),
        "discriminator/pairwise": pairwise(holdout, fake),
        "discriminator/pairwise_train": pairwise(train, fake),
        "discriminator/calibration_error": _held_out_error(holdout, fake),
        "discriminator/threshold": 0.0 - float(np.mean(shifts)) / rule.slope if rule.slope else float("nan"),
        "privacy/membership_auc_discriminator": pairwise(train, holdout),
        "privacy/membership_tpr_discriminator": true_positive_rate(taken_train, taken, 0.01),
    }


def pairwise(first: Scored, second: Scored) -> float:
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


def _same(codes: Labels, labels: Labels) -> np.ndarray:
    return np.asarray((codes == labels).all(axis=1))


def _part(scored: Scored, which: int) -> Scored:
    """The first (0) or second (1) half."""
    half = len(scored[0]) // 2
    rows = slice(half) if which == 0 else slice(half, None)
    return scored[0][rows], scored[1][rows]


def _held_out_error(real: Scored, fake: Scored) -> float:
    errors = []
    for fitted in (0, 1):
        calibration = calibrate(_part(real, fitted), _part(fake, fitted))
        tried = [calibration.probability(*_part(kind, 1 - fitted)) for kind in (real, fake)]
        truth = np.repeat([True, False], [len(part) for part in tried])
        errors.append(calibration_error(np.concatenate(tried), truth))
    return float(np.mean(errors))
