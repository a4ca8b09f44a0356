"""The domain classifier: a small network trained on the real images at hand, whose features measure likeness.

With labelled images it learns the labels, one softmax head per column, and also judges whether generated images show
what they were asked for. Without labels it learns the task of `faceforge.evaluation.pretext`. The features are the
inputs of the heads: distances between them are comparable between models judged by the same classifier, and only then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError
from faceforge.evaluation.pretext import pretext_tasks, transform
from faceforge.evaluation.training_features import TrainingFeatures
from faceforge.files import atomic_folder
from faceforge.progress import Progress

if TYPE_CHECKING:
    import keras

TRAIN_AT_MOST = 20_000  # images; more of them make the classifier slower, hardly better
BATCH = 64
LEARNING_RATE, WEIGHT_DECAY = 2e-3, 1e-3
CHANNELS = {2: 128, 4: 96, 8: 64, 16: 32, 32: 16, 64: 8}  # resolution -> channels of the stage that ends there


class DomainClassifier:
    """A trained classifier.

    Attributes:
        vocabularies: label column -> classes; empty when it learnt the label-free task.
        holdout_accuracy: share of holdout images recognised, per column (or per task of the label-free one).
        facts: what it was trained from and how; equal facts mean an equal classifier.
        learnt: what its training images look like to it; None = unknown, it was kept by an older version.
    """

    def __init__(
        self,
        network: keras.Model,
        vocabularies: Mapping[str, Sequence[str]],
        holdout_accuracy: Mapping[str, float],
        facts: Mapping[str, Any],
        learnt: TrainingFeatures | None = None,
    ) -> None:
        self._network = network
        self.vocabularies = {column: list(classes) for column, classes in vocabularies.items()}
        self.holdout_accuracy, self.facts = dict(holdout_accuracy), dict(facts)
        self.learnt = learnt

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the images that it takes."""
        _, height, width, channels = self._network.input_shape
        return height, width, channels

    def features(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features float32 (N, D) of images uint8 (N, H, W, C)."""
        return _outputs(self._network, images)[0]

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.int32]:
        """The likeliest class of every label column, int32 (N, columns); (N, 0) when it knows no labels."""
        if not self.vocabularies:
            return np.zeros((len(images), 0), np.int32)
        return _classes(self._network, images)

    def save(self, folder: Path) -> None:
        """Writes `network.keras`, `classifier.json` and `learnt.npz`; the folder appears whole or not at all."""
        about = {"vocabularies": self.vocabularies, "holdout_accuracy": self.holdout_accuracy, "facts": self.facts}
        with atomic_folder(folder) as partial:
            self._network.save(partial / "network.keras")
            (partial / "classifier.json").write_text(json.dumps(about, indent=2) + "\n")
            if self.learnt is not None:
                self.learnt.save(partial / "learnt.npz")

    @staticmethod
    def load(folder: Path, facts: Mapping[str, Any]) -> DomainClassifier | None:
        """The classifier in `folder` if there is a readable one trained from these very facts, else None."""
        import keras

        try:
            about = json.loads((folder / "classifier.json").read_text())
            if about["facts"] != dict(facts):
                return None
            network = keras.saving.load_model(folder / "network.keras", compile=False, safe_mode=True)
            learnt = TrainingFeatures.load(folder / "learnt.npz", about["facts"].get("digest", ""))
            return DomainClassifier(network, about["vocabularies"], about["holdout_accuracy"], about["facts"], learnt)
        except Exception:  # absent, damaged or of another version: train it anew
            return None


def train_classifier(
    train: tuple[NDArray[np.uint8], NDArray[np.int32]],
    holdout: tuple[NDArray[np.uint8], NDArray[np.int32]],
    vocabularies: Mapping[str, Sequence[str]],
    *,
    epochs: int,
    seed: int,
    dimensions: int = 64,
    facts: Mapping[str, Any] | None = None,
) -> DomainClassifier:
    """Trains a classifier; the same arguments give the same one on the same machine, as TensorFlow is told to ensure.

    Args:
        train: images uint8 (N, S, S, C), S a power of two from 8 to 128, and codes int32 (N, columns).
        holdout: likewise; only looked at to state the accuracy.
        vocabularies: label column -> classes, in the order of the codes' columns; empty = the label-free task.
        epochs: passes over the training images (over `TRAIN_AT_MOST` of them if there are more).
        seed: of weights and order.
        dimensions: how many features.
        facts: stored with the classifier.
    """
    import keras

    from faceforge.compute import backend

    (images, codes), (unseen, unseen_codes) = train, holdout
    size, channels = images.shape[1], images.shape[-1]
    if size not in {2 * end for end in CHANNELS if end > 2}:
        raise FaceForgeError(f"the domain classifier takes images of 8 to 128 px, a power of two; these have {size} px")
    backend.be_deterministic()
    heads = {column: len(classes) for column, classes in vocabularies.items()} or dict(pretext_tasks(channels))
    if len(images) > TRAIN_AT_MOST:
        rows = np.random.default_rng(seed).permutation(len(images))[:TRAIN_AT_MOST]
        images, codes = images[rows], codes[rows]
    batch = min(BATCH, max(len(images) // 16, 1))  # small sets still get enough steps for the batch statistics
    steps = len(images) // batch
    network = _network(size, channels, list(heads.values()), dimensions, seed)
    learner = keras.Model(network.inputs, network.outputs[1:], name="learner")
    rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps * epochs)
    learner.compile(
        optimizer=keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY),
        loss=[keras.losses.SparseCategoricalCrossentropy(from_logits=True) for _ in heads],
        jit_compile=False,
    )
    with Progress("classifier", total=steps * batch * epochs) as progress:
        for epoch in range(epochs):
            rows = np.random.default_rng([seed, epoch]).permutation(len(images))[: steps * batch]
            shown, targets = (images[rows], codes[rows]) if vocabularies else transform(images[rows], seed + epoch)
            # Shuffled here, from an own seed: Keras would draw from the process's global one.
            history = learner.fit(shown, list(targets.T), batch_size=batch, shuffle=False, verbose=0)
            progress.advance(steps * batch, note=f"loss {history.history['loss'][-1]:.3f}")
    features, unseen_features = (_outputs(network, shown)[0] for shown in (images, unseen))
    learnt = TrainingFeatures.of(features, unseen_features, str((facts or {}).get("digest", "")))
    if not vocabularies:
        unseen, unseen_codes = transform(unseen, seed)
    right = (_classes(network, unseen) == unseen_codes).mean(axis=0)
    accuracy = {head: float(share) for head, share in zip(heads, right, strict=True)}
    return DomainClassifier(network, vocabularies, accuracy, facts or {}, learnt)


def _network(size: int, channels: int, heads: Sequence[int], dimensions: int, seed: int) -> keras.Model:
    """Images (B, S, S, C) in [0, 255] -> [features (B, dimensions), logits of each head (B, classes)]."""
    import keras
    from keras import layers

    # float32 throughout, whatever precision the process trains in: these numbers are compared between runs.
    kind = "float32"
    # Everything has a name of its own: by those that Keras counts up ("dense_9", "dense_10") TensorFlow would order
    # sums differently from one network of a process to the next.
    seeds = iter(range(seed * 100, seed * 100 + 100))
    image = keras.Input((size, size, channels), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, dtype=kind, name="scale")(image)
    for end in [resolution for resolution in sorted(CHANNELS, reverse=True) if resolution < size]:
        weights = keras.initializers.HeNormal(seed=next(seeds))
        kernel = 4 if end == size // 2 else 3
        x = layers.Conv2D(
            CHANNELS[end],
            kernel,
            2,
            "same",
            use_bias=False,
            kernel_initializer=weights,
            dtype=kind,
            name=f"convolution_{end}",
        )(x)
        x = layers.BatchNormalization(momentum=0.9, dtype=kind, name=f"normalisation_{end}")(x)
        x = layers.ReLU(dtype=kind, name=f"relu_{end}")(x)
    x = layers.Flatten(dtype=kind, name="flat")(x)
    weights = keras.initializers.GlorotUniform(next(seeds))
    x = layers.Dense(dimensions, kernel_initializer=weights, dtype=kind, name="dense")(x)
    # Normalised, so that every feature weighs about the same in a distance.
    features = layers.BatchNormalization(momentum=0.9, dtype=kind, name="features")(x)
    logits = [
        layers.Dense(
            classes, kernel_initializer=keras.initializers.GlorotUniform(next(seeds)), dtype=kind, name=f"head_{number}"
        )(features)
        for number, classes in enumerate(heads)
    ]
    return keras.Model(image, [features, *logits], name="domain_classifier")


def _outputs(network: keras.Model, images: NDArray[np.uint8], batch: int = 256) -> list[NDArray[np.float32]]:
    """All outputs of the network for all images, batch by batch."""
    # Every batch is full, as a network is compiled anew for each size it meets.
    batch = min(batch, len(images))
    padded = np.pad(images, [(0, -len(images) % batch), (0, 0), (0, 0), (0, 0)], mode="wrap")
    parts = [network.predict_on_batch(padded[at : at + batch]) for at in range(0, len(padded), batch)]
    outputs = range(len(network.outputs))
    return [np.concatenate([np.asarray(part[place]) for part in parts])[: len(images)] for place in outputs]


def _classes(network: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.int32]:
    return np.stack([logits.argmax(axis=1) for logits in _outputs(network, images)[1:]], axis=1).astype(np.int32)
