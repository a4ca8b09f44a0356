"""Features of the training images from the FID network, for metrics that are comparable with those of papers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.evaluation.inception.extractor import Inception
from faceforge.evaluation.inception.metrics import inception_metrics
from faceforge.evaluation.inception.weights import FILE, SHA256, InceptionUnavailableError, find_weights
from faceforge.progress import Progress

AT_MOST = 50_000  # training images: 400 MB of features
BLOCK = 256


class InceptionReference(NamedTuple):
    """The FID network and its features of T training images."""

    network: Inception
    features: NDArray[np.float32]  # (T, 2048)
    labels: NDArray[np.int32]  # (T, columns)
    vocabularies: dict[str, list[str]]  # label column -> classes, in the order of the labels' columns

    def metrics(
        self, samples: NDArray[np.uint8], labels: NDArray[np.int32], columns: tuple[str, ...], seed: int
    ) -> dict[str, float]:
        """The `inception/...` metrics of samples uint8 (S, H, W, C).

        Args:
            samples: generated images.
            labels: requested labels of all columns of the image set, (S, columns).
            columns: label columns that the model uses; metrics per class are computed for these.
            seed: random seed of subsets.
        """
        places = [list(self.vocabularies).index(name) for name in columns]
        return inception_metrics(
            self.network,
            self.features,
            features(self.network, samples, "samples"),
            real_labels=self.labels[:, places],
            fake_labels=labels[:, places],
            vocabularies={name: self.vocabularies[name] for name in columns},
            seed=seed,
        )


def open_inception_reference(
    weights: str,
    images: NDArray[np.uint8],
    labels: NDArray[np.int32],
    vocabularies: dict[str, list[str]],
    seed: int,
) -> tuple[InceptionReference | None, list[str]]:
    """Computes the reference features if the weights are available; returns them and notes for the report.

    Args:
        weights: the setting `evaluate.inception_weights`; empty = no reference.
        images: training images uint8 (N, H, W, C); `AT_MOST` of them are used.
        labels: codes (N, columns).
        vocabularies: label column -> classes, in the order of the columns of the labels.
        seed: random seed of the choice of images.
    """
    if not weights:
        return None, [f"no FID: evaluate.inception_weights is unset; it takes {FILE} (SHA-256 {SHA256})"]
    try:
        network = Inception(find_weights(weights))
    except InceptionUnavailableError as error:
        return None, [f"no FID: {error} (evaluate.inception_weights)"]
    chosen = np.random.default_rng([seed, 4]).permutation(len(images))[:AT_MOST]
    notes = [network.file.note] if network.file.note else []
    return InceptionReference(
        network, features(network, images[chosen], "training images"), labels[chosen], vocabularies
    ), notes


def features(network: Inception, images: NDArray[np.uint8], kind: str) -> NDArray[np.float32]:
    """Features float32 (N, 2048) of images uint8 (N, H, W, C), with progress."""
    parts = []
    with Progress(f"inception features of {kind}", len(images)) as progress:
        for at in range(0, len(images), BLOCK):
            parts.append(network.features(images[at : at + BLOCK]))
            progress.advance(len(parts[-1]))
    return np.concatenate(parts)
