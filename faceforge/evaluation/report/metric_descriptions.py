"""How each number of a report was made, in words, by name or pattern."""

from __future__ import annotations

from fnmatch import fnmatchcase

from faceforge.evaluation.diagnostics import collapse, discriminator, memorisation, realism, two_sample, usefulness
from faceforge.evaluation.inception import metrics as likeness

HOW = {
    "domain/frechet": "Frechet distance between Gaussians fitted to the classifier features of samples and of holdout"
    " images; lower is better; not FID, and not comparable across classifiers or sample counts",
    "domain/precision": "share of samples among the holdout images in that feature space, k = 3",
    "domain/recall": "share of holdout images among the samples, k = 3",
    "domain/density": "mean number of holdout neighbourhoods that hold a sample, over k = 5; about 1 at best",
    "domain/coverage": "share of holdout images with a sample in their neighbourhood, k = 5",
    "domain/label_agreement": "share of samples in which the classifier sees the label asked for, mean over columns",
    "domain/label_agreement_...": "the same share for one label column",
    "domain/real_label_accuracy": "the same share for real holdout images: the most to expect of a model",
    **discriminator.HOW,
    **two_sample.HOW,
    **memorisation.HOW,
    **realism.HOW,
    **collapse.HOW,
    **usefulness.HOW,
    **likeness.HOW,
}

FLOOR = "the same measure with training images in place of samples, same counts: the best to expect"

GROUPS = {
    "inception": (
        "FID and its kin",
        "In the features of the 2015 Inception network, against the training images, as papers do. Comparable across"
        " programs, at equal numbers of samples; a model that copies its training images scores best of all.",
    ),
    "inception_unverified": (
        "FID's formula with other weights",
        "The weights are not the published ones: compare these numbers with nothing from elsewhere.",
    ),
    "domain": (
        "Likeness",
        "Measured in the features of a classifier trained on the real training images at hand. Comparable only"
        " between models judged by the same classifier on the same holdout.",
    ),
    "discriminator": (
        "The model's own discriminator",
        "How the two networks balance; says nothing about how real the samples look. The gate does not use it.",
    ),
    "two_sample": (
        "An independent classifier",
        "Trained on part of the holdout images and samples, tried on the rest: 0.5 = it cannot tell them apart.",
    ),
    "realism": (
        "Realism",
        "What OpenCV's face detector makes of the samples; it knows frontal faces of photographs, and nothing of this"
        " data or model.",
    ),
    "collapse": (
        "Variety",
        "Whether the model shows all there is, or a few faces over and over.",
    ),
    "usefulness": (
        "Usefulness",
        "Whether samples can stand for real training images: classifiers are trained on either, tried on the holdout.",
    ),
    "privacy": (
        "Memorisation and privacy",
        f"Whether training images come back as samples. {memorisation.LIMITS}",
    ),
}


EXPECTED = {
    "privacy/closer_to_train_...": 0.5,
    "privacy/distance_ratio_...": 1.0,
    "privacy/copies_...": 0.01,
    "privacy/duplicates_...": 0.01,
    "privacy/membership_auc_...": 0.5,
    "privacy/membership_tpr_...": 0.01,
    "two_sample/accuracy_...": 0.5,
    "discriminator/accuracy": 0.5,
    "discriminator/accuracy_train": 0.5,
    "discriminator/auc...": 0.5,
    "discriminator/pairwise...": 0.5,
}
"""What unseen real images would give in the place of samples, where that follows from how the number is made."""


def expected(name: str) -> float | None:
    """The entry of `EXPECTED` for a metric; None = there is none."""
    return next((value for key, value in EXPECTED.items() if fnmatchcase(name, key.replace("...", "*"))), None)


def how_made(name: str, how: dict[str, str]) -> str:
    """The words for a metric: its own, or those of the longest pattern (`...` = anything) that it fits."""
    if name in how:
        return how[name]
    fitting = [key for key in how if "..." in key and fnmatchcase(name, key.replace("...", "*"))]
    return how[max(fitting, key=len)] if fitting else ""
