"""The checked inputs of a training run. Needs no TensorFlow, so that mistakes are reported before it is imported."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from faceforge.config import Config
from faceforge.data.imageset.reader import ImageSet
from faceforge.errors import FaceForgeError
from faceforge.models.spec import ModelSpec
from faceforge.training.privacy import check_private


class TrainingInputs(NamedTuple):
    """What a training run starts from.

    Attributes:
        dataset: the image set.
        labels: the condition columns, in order -> classes; empty = unconditional.
        spec: architecture and sizes of the networks.
        fingerprint: data and settings that a checkpoint must share to be continued.
    """

    dataset: ImageSet
    labels: dict[str, list[str]]
    spec: ModelSpec
    fingerprint: dict[str, Any]


def check_inputs(data: Path, config: Config) -> TrainingInputs:
    """Opens an image set and checks that a model can be trained on it with this configuration.

    Raises:
        FaceForgeError: no image set, an unknown label column, or fewer training images than a batch.
    """
    dataset, recipe = ImageSet.open(data), config.train
    labels = {name: dataset.info.labels[name] for name in dataset.label_columns(recipe.labels)}
    count = dataset.info.counts["train"].total
    if count < recipe.batch_size:
        raise FaceForgeError(
            f"{data} has {count} training images, fewer than one batch of {recipe.batch_size}; "
            "add images or lower train.batch_size"
        )
    if recipe.dp_epsilon:
        check_private(dataset.info, recipe, data)
    spec = ModelSpec.model_validate(
        {
            **config.model.model_dump(),
            "image_size": dataset.info.image_size,
            "channels": dataset.info.channels,
            "classes": tuple(len(classes) for classes in labels.values()),
        }
    )
    fingerprint = {
        "dataset": dataset.info.digest,
        **{f"model.{k}": v for k, v in spec.model_dump(mode="json").items()},
        **{f"train.{k}": v for k, v in recipe.model_dump(mode="json").items()},
    }
    return TrainingInputs(dataset, labels, spec, fingerprint)
