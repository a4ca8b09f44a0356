"""Descriptions of all metrics of a report, by name or pattern, and the headings of its groups."""

from __future__ import annotations

from fnmatch import fnmatchcase

from faceforge.evaluation.diagnostics import (
    class_scores,
    collapse,
    discriminator,
    faces,
    memorisation,
    realism,
    train_on_synthetic,
    two_sample,
)
from faceforge.evaluation.inception import metrics as inception_metrics

DESCRIPTIONS = {
    "domain/frechet": "Frechet distance between Gaussians fitted to the classifier features of samples and of holdout"
    " images; lower is better; not FID, and not comparable across classifiers or sample counts",
    "domain/precision": "share of samples within the k-nearest-neighbour balls of the holdout images, k = 3",
    "domain/recall": "share of holdout images within the k-nearest-neighbour balls of the samples, k = 3",
    "domain/density": "mean number of holdout balls that contain a sample, divided by k = 5; about 1 for real images",
    "domain/coverage": "share of holdout images with a sample in their ball, k = 5",
    "domain/label_agreement": "share of samples whose label, as predicted by the classifier, is the requested one; mean"
    " over columns",
    "domain/label_agreement_...": "the same share for one label column",
    "domain/real_label_accuracy": "accuracy of the classifier on real holdout images: the upper limit to expect",
    **class_scores.DESCRIPTIONS,
    **discriminator.DESCRIPTIONS,
    **two_sample.DESCRIPTIONS,
    **memorisation.DESCRIPTIONS,
    **realism.descriptions(),
    **faces.DESCRIPTIONS,
    **collapse.DESCRIPTIONS,
    **train_on_synthetic.DESCRIPTIONS,
    **inception_metrics.DESCRIPTIONS,
}

FLOOR = "the same measure with training images in place of samples, equal counts: the best value to expect"

GROUPS = {
    "inception": (
        "FID, KID, precision and recall in Inception features",
        "In the features of the 2015 Inception network, against the training images, as in papers. Comparable across"
        " programs at equal numbers of samples. A model that copies its training images gets the best values.",
    ),
    "inception_unverified": (
        "The formula of FID with other weights",
        "The weights are not the published ones, so these numbers cannot be compared with those of other programs.",
    ),
    "domain": (
        "Distance from real images",
        "Measured in the features of a classifier trained on the real training images. Only comparable between models"
        " that were evaluated with the same classifier on the same holdout.",
    ),
    "classes": (
        "Worst classes",
        "From equal numbers of samples of every class, so that a rare class counts as much as a common one; the table"
        " of classes has the metrics of each.",
    ),
    "discriminator": (
        "The model's own discriminator",
        "Shows the balance of the two networks, not how real the samples look. Does not affect the decision.",
    ),
    "two_sample": (
        "Two-sample test",
        "An independent classifier, trained to separate holdout images from samples; 0.5 = it cannot.",
    ),
    "realism": (
        "Face detection",
        "How often a face detector, named below, finds faces. It is independent of this data and model.",
    ),
    "face": (
        "Independent face embedding",
        "In the features of dlib's face recognition network, which was trained on other photographs.",
    ),
    "collapse": (
        "Diversity",
        "Whether the samples cover the variety of the real images or repeat a few faces.",
    ),
    "train_on_synthetic": (
        "Train on synthetic, test on real",
        "Shows whether samples carry their labels. Whether they help a classifier: `faceforge usefulness`.",
    ),
    "privacy": (
        "Memorisation and privacy",
        f"Whether the samples reproduce training images. {memorisation.LIMITS}",
    ),
}


EXPECTED = {
    "privacy/closer_to_train_...": 0.5,
    "privacy/distance_ratio_...": 1.0,
    "privacy/copies_...": 0.01,
    "privacy/duplicates_...": 0.01,
    "privacy/membership_auc_...": 0.5,
    "privacy/membership_tpr_...": 0.01,
    "privacy/dcr_share_...": 0.5,
    "two_sample/accuracy_...": 0.5,
    "discriminator/accuracy": 0.5,
    "discriminator/accuracy_train": 0.5,
    "discriminator/auc...": 0.5,
    "discriminator/pairwise...": 0.5,
}
"""Expected value for unseen real images in place of samples, where the definition of the metric implies it."""


_BETTER = {
    "higher": (
        "...agreement...", "...precision...", "...recall...", "...density", "...coverage...", "collapse/modes_...",
        "collapse/diversity...", "classes/diversity_lowest", "train_on_synthetic/...",
        "realism/...", "...inception_score", "face/identity_match",
    ),
    "lower": (
        "...frechet...", "...fid...", "...kid...", "face/mmd", "collapse/uneven_...", "classes/copies_highest",
        "privacy/copies_...", "privacy/near_exact_copies", "privacy/duplicates_...", "privacy/membership_...",
        "privacy/dcr_share_...", "classes/membership_highest",
        "two_sample/...", "discriminator/calibration_error",
    ),
}  # fmt: skip
_NEITHER = ("privacy/copies_limit", "privacy/membership_ceiling")


def better(name: str) -> str:
    """Which way a metric is better: `higher`, `lower`, or empty if neither is."""
    if any(fnmatchcase(name, key.replace("...", "*")) for key in _NEITHER):
        return ""
    for way, keys in _BETTER.items():
        if any(fnmatchcase(name, key.replace("...", "*")) for key in keys):
            return way
    return ""


def expected(name: str) -> float | None:
    """The entry of `EXPECTED` for a metric; None if it has none."""
    return next((value for key, value in EXPECTED.items() if fnmatchcase(name, key.replace("...", "*"))), None)


def describe(name: str, descriptions: dict[str, str]) -> str:
    """The description of a metric: its own, or that of the longest matching pattern (`...` = anything)."""
    if name in descriptions:
        return descriptions[name]
    matching = [key for key in descriptions if "..." in key and fnmatchcase(name, key.replace("...", "*"))]
    return descriptions[max(matching, key=len)] if matching else ""
