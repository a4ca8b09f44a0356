"""A small network trained on the real images, whose features and predicted labels the `domain/...` metrics use.

With labelled images it is trained on the labels, one softmax head per column; its predictions then show whether
generated images have the requested labels. Without labels it is trained on the tasks of `faceforge.evaluation.pretext`.
The features are the inputs of the heads. Distances between features can only be compared between models that were
evaluated with the same classifier.
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
from faceforge.models.network_file import read_network
from faceforge.progress import Progress

if TYPE_CHECKING:
    import keras

TRAIN_AT_MOST = 20_000  # images; more make training slower and accuracy hardly better
BATCH = 64
LEARNING_RATE, WEIGHT_DECAY = 2e-3, 1e-3
CHANNELS = {2: 128, 4: 96, 8: 64, 16: 32, 32: 16, 64: 8}  # resolution -> channels of the stage that ends there
CLASSIFIER_SIZES = tuple(2 * end for end in CHANNELS if end > 2)  # edges of images, pixels


class DomainClassifier:
    """A trained classifier.

    Attributes:
        vocabularies: label column -> classes; empty if it was trained without labels.
        holdout_accuracy: accuracy on the holdout, per label column (or per pretext task).
        facts: data digest and training settings; equal facts mean an equal classifier.
        training_features: statistics of the features of its training images; None = written by a version that did not
            save them.
        class_counts: label column -> number of its training images of each class; empty = likewise.
        holdout_recall: label column -> class -> its recall on the holdout by `predict_balanced`, and the number of
            holdout images of the class. Classes without holdout images are left out.
    """

    def __init__(
        self,
        network: keras.Model,
        vocabularies: Mapping[str, Sequence[str]],
        holdout_accuracy: Mapping[str, float],
        facts: Mapping[str, Any],
        training_features: TrainingFeatures | None = None,
        class_counts: Mapping[str, Sequence[int]] | None = None,
        holdout_recall: Mapping[str, Mapping[str, tuple[float, int]]] | None = None,
    ) -> None:
        self._network = network
        self.vocabularies = {column: list(classes) for column, classes in vocabularies.items()}
        self.holdout_accuracy, self.facts = dict(holdout_accuracy), dict(facts)
        self.training_features = training_features
        self.class_counts = {column: list(counts) for column, counts in (class_counts or {}).items()}
        self.holdout_recall = {column: dict(recall) for column, recall in (holdout_recall or {}).items()}

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of its input images."""
        _, height, width, channels = self._network.input_shape
        return height, width, channels

    def features(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features float32 (N, D) of images uint8 (N, H, W, C)."""
        return network_outputs(self._network, images)[0]

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Predicted class codes int32 (N, columns) of images uint8 (N, H, W, C); (N, 0) without labels."""
        if not self.vocabularies:
            return np.zeros((len(images), 0), np.int32)
        return _classes(self._network, images)

    def predict_balanced(self, images: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Predicted class codes as if all classes were equally frequent, int32 (N, columns).

        A classifier trained on unbalanced classes hardly ever predicts a rare one. Subtracting the log of the class
        frequencies corrects the logits (Menon et al. (2021), "Long-tail learning via logit adjustment").

        Args:
            images: uint8 (N, H, W, C).

        Raises:
            FaceForgeError: the classifier was saved without the class frequencies.
        """
        if not self.vocabularies:
            return np.zeros((len(images), 0), np.int32)
        if not self.class_counts:
            raise FaceForgeError("the classifier was saved by an older version; evaluate the model again")
        return _balanced_classes(network_outputs(self._network, images)[1:], list(self.class_counts.values()))

    def save(self, folder: Path) -> None:
        """Writes `network.keras`, `classifier.json` and `learnt.npz` atomically into a new folder."""
        description = {
            "vocabularies": self.vocabularies,
            "holdout_accuracy": self.holdout_accuracy,
            "facts": self.facts,
            "class_counts": self.class_counts,
            "holdout_recall": self.holdout_recall,
        }
        with atomic_folder(folder) as partial:
            self._network.save(partial / "network.keras")
            (partial / "classifier.json").write_text(json.dumps(description, indent=2) + "\n")
            if self.training_features is not None:
                self.training_features.save(partial / "learnt.npz")

    @staticmethod
    def load(folder: Path, facts: Mapping[str, Any]) -> DomainClassifier | None:
        """Reads the classifier in `folder`; None if it is absent, unreadable or was trained from other facts."""
        try:
            description = json.loads((folder / "classifier.json").read_text())
            if description["facts"] != dict(facts):
                return None
            return DomainClassifier(
                read_network(folder / "network.keras"),
                description["vocabularies"],
                description["holdout_accuracy"],
                description["facts"],
                TrainingFeatures.load(folder / "learnt.npz", description["facts"].get("digest", "")),
                description.get("class_counts"),
                {
                    column: {name: (float(recall), int(count)) for name, (recall, count) in classes.items()}
                    for column, classes in description.get("holdout_recall", {}).items()
                },
            )
        except Exception:  # absent, damaged or of another version: the caller trains a new one
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
    """Trains a classifier; deterministic: the same arguments on the same machine return the same weights.

    Args:
        train: images uint8 (N, S, S, C), S a power of two from 8 to 128, and codes int32 (N, columns).
        holdout: the same for images that are only used to measure the accuracy.
        vocabularies: label column -> classes, in the order of the columns of the codes; empty = the pretext tasks.
        epochs: passes over the training images (over `TRAIN_AT_MOST` of them if there are more).
        seed: random seed of the weights and of the order of images.
        dimensions: number of features.
        facts: stored with the classifier.

    Raises:
        FaceForgeError: unsupported image size.
    """
    import keras

    from faceforge.compute import backend

    (images, codes), (unseen, unseen_codes) = train, holdout
    size, channels = images.shape[1], images.shape[-1]
    if size not in CLASSIFIER_SIZES:
        raise FaceForgeError(f"the domain classifier needs images of 8, 16, 32, 64 or 128 px; these have {size} px")
    backend.be_deterministic()
    heads = {column: len(classes) for column, classes in vocabularies.items()} or dict(pretext_tasks(channels))
    class_counts = {
        column: np.bincount(codes[:, place], minlength=len(classes)).tolist()
        for place, (column, classes) in enumerate(vocabularies.items())
    }
    if len(images) > TRAIN_AT_MOST:
        rows = np.random.default_rng(seed).permutation(len(images))[:TRAIN_AT_MOST]
        images, codes = images[rows], codes[rows]
    batch = min(BATCH, max(len(images) // 16, 1))  # small sets still need enough steps for the batch statistics
    steps = len(images) // batch
    network = classifier_network(size, channels, list(heads.values()), dimensions, seed)
    trainer = keras.Model(network.inputs, network.outputs[1:], name="learner")
    rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps * epochs)
    trainer.compile(
        optimizer=keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY),
        loss=[keras.losses.SparseCategoricalCrossentropy(from_logits=True) for _ in heads],
        jit_compile=False,
    )
    # A step that creates the optimizer's variables would be traced a second time, without them.
    trainer.optimizer.build(trainer.trainable_variables)
    with Progress("classifier", total=steps * batch * epochs) as progress:
        for epoch in range(epochs):
            rows = np.random.default_rng([seed, epoch]).permutation(len(images))[: steps * batch]
            inputs, targets = (images[rows], codes[rows]) if vocabularies else transform(images[rows], seed + epoch)
            # Shuffled here with its own seed, because Keras would use the global random state of the process.
            history = trainer.fit(inputs, list(targets.T), batch_size=batch, shuffle=False, verbose=0)
            progress.advance(steps * batch, note=f"loss {history.history['loss'][-1]:.3f}")
    features, (unseen_features, *unseen_logits) = network_outputs(network, images)[0], network_outputs(network, unseen)
    training_features = TrainingFeatures.of(features, unseen_features, str((facts or {}).get("digest", "")))
    if not vocabularies:
        unseen, unseen_codes = transform(unseen, seed)
        unseen_logits = network_outputs(network, unseen)[1:]
    correct = (np.stack([logits.argmax(axis=1) for logits in unseen_logits], axis=1) == unseen_codes).mean(axis=0)
    accuracy = {head: float(share) for head, share in zip(heads, correct, strict=True)}
    recall = {}
    if vocabularies:
        balanced = _balanced_classes(unseen_logits, list(class_counts.values()))
        recall = {
            column: _recall(balanced[:, place], unseen_codes[:, place], classes)
            for place, (column, classes) in enumerate(vocabularies.items())
        }
    return DomainClassifier(network, vocabularies, accuracy, facts or {}, training_features, class_counts, recall)


def classifier_network(size: int, channels: int, heads: Sequence[int], dimensions: int, seed: int) -> keras.Model:
    """Images (B, S, S, C) in [0, 255] -> [features (B, dimensions), logits of each head (B, classes)]."""
    import keras
    from keras import layers

    # float32 whatever the process's precision policy, because these numbers are compared between runs.
    kind = "float32"
    # Every layer has a fixed name: with Keras' counting names ("dense_9", "dense_10") TensorFlow would order sums
    # differently for the first and the second network of a process.
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
    # Normalised, so that every feature has about the same weight in a distance.
    features = layers.BatchNormalization(momentum=0.9, dtype=kind, name="features")(x)
    logits = [
        layers.Dense(
            classes, kernel_initializer=keras.initializers.GlorotUniform(next(seeds)), dtype=kind, name=f"head_{number}"
        )(features)
        for number, classes in enumerate(heads)
    ]
    return keras.Model(image, [features, *logits], name="domain_classifier")


def network_outputs(network: keras.Model, images: NDArray[np.uint8], batch: int = 256) -> list[NDArray[np.float32]]:
    """All outputs of the network for all images."""
    # Every batch is padded to the same size, because a network is compiled again for each new batch size.
    batch = min(batch, len(images))
    padded = np.pad(images, [(0, -len(images) % batch), (0, 0), (0, 0), (0, 0)], mode="wrap")
    parts = [network.predict_on_batch(padded[start : start + batch]) for start in range(0, len(padded), batch)]
    outputs = range(len(network.outputs))
    return [np.concatenate([np.asarray(part[number]) for part in parts])[: len(images)] for number in outputs]


def _classes(network: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.int32]:
    return np.stack([logits.argmax(axis=1) for logits in network_outputs(network, images)[1:]], axis=1).astype(np.int32)


def _balanced_classes(logits: Sequence[NDArray[np.float32]], counts: Sequence[Sequence[int]]) -> NDArray[np.int32]:
    """Classes predicted by logits, less the log of the class frequencies; one without training images is never."""
    predictions = []
    for scores, count in zip(logits, counts, strict=True):
        frequencies = np.array(count, np.float64) / max(sum(count), 1)
        with np.errstate(divide="ignore"):
            predictions.append(np.where(frequencies > 0, scores - np.log(frequencies), -np.inf).argmax(axis=1))
    return np.stack(predictions, axis=1).astype(np.int32)


def _recall(
    predicted: NDArray[np.integer], truth: NDArray[np.integer], classes: Sequence[str]
) -> dict[str, tuple[float, int]]:
    """Class -> share of its images that are predicted as it, and their number; classes without images are left out."""
    members = {name: truth == code for code, name in enumerate(classes)}
    return {
        name: (float((predicted[rows] == truth[rows]).mean()), int(rows.sum()))
        for name, rows in members.items()
        if rows.any()
    }
