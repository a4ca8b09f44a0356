"""Conditional inputs of the networks: labels, and during training label weights and noise levels."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
from keras import layers

from faceforge.models.spec import ModelSpec

LEVEL_EMBEDDING = "embedding_level"


class Conditions(NamedTuple):
    """Symbolic inputs; None where a network has no such input.

    Attributes:
        labels: int32 (B, columns).
        weights: float32 (B, 1): weight of each image's label embedding, 0 to 1.
        levels: int32 (B, 1): noise level of each image; discriminator only.
        level_count: number of noise levels.
    """

    labels: Any = None
    weights: Any = None
    levels: Any = None
    level_count: int = 0

    @staticmethod
    def make(spec: ModelSpec, weighted: bool = False, levels: int = 0) -> Conditions:
        """Inputs for labels if `spec` has classes, for their weights if `weighted`, and for `levels` noise levels."""
        count = len(spec.classes)
        return Conditions(
            labels=keras.Input((count,), dtype="int32", name="labels") if count else None,
            weights=keras.Input((1,), name="weights") if count and weighted else None,
            levels=keras.Input((1,), dtype="int32", name="levels") if levels else None,
            level_count=levels,
        )

    def after(self, first: Any) -> Any:
        """The network's inputs: `first` alone, or a list of it and those of labels, weights and levels that exist."""
        more = [condition for condition in self[:3] if condition is not None]
        return [first, *more] if more else first


def conditioned_latents(spec: ModelSpec, latents: Any, conditions: Conditions, dtype: Any) -> Any:
    """Latents with the sum of the label embeddings appended, (B, 2Z); just the latents (B, Z) if unconditional."""
    if conditions.labels is None:
        return latents
    embedding = _label_embedding(spec, conditions, spec.latent_size, 1.0, dtype)
    return layers.Concatenate(dtype=dtype, name="latents_and_labels")([latents, embedding])


def projected_logits(spec: ModelSpec, features: Any, conditions: Conditions, dtype: Any) -> Any:
    """Logits (B, 1) = linear(features) + <features, embedding sum> / sqrt(F): Miyato & Koyama (2018), float32.

    Args:
        spec: sizes; `classes` says how many labels each column has.
        features: (B, F).
        conditions: the sum goes over the label columns (times their weights) and the noise level.
        dtype: the policy that `features` was computed under.
    """
    logits = layers.Dense(1, dtype="float32", name="logit")(features)
    size = features.shape[-1]
    terms = []
    if conditions.labels is not None:
        terms.append(_label_embedding(spec, conditions, size, size**-0.5, dtype))
    if conditions.levels is not None:  # built last, so that the other layers' initial weights do not depend on it
        terms.append(_embedding(LEVEL_EMBEDDING, conditions.levels, conditions.level_count, size, size**-0.5, dtype))
    if not terms:
        return logits
    product = layers.Dot(axes=-1, dtype="float32", name="projection")([features, _sum(terms, "embeddings", dtype)])
    return layers.Add(dtype="float32", name="logits")([logits, product])


def _label_embedding(spec: ModelSpec, conditions: Conditions, size: int, scale: float, dtype: Any) -> Any:
    columns = [
        _embedding(f"embedding_{column}", _column(conditions.labels, column), count, size, scale, dtype)
        for column, count in enumerate(spec.classes)
    ]
    total = _sum(columns, "label_embeddings", dtype)
    if conditions.weights is None:
        return total
    return layers.Multiply(dtype=dtype, name="weighted_labels")([total, conditions.weights])


def _column(labels: Any, column: int) -> Any:
    """One column (B, 1) of labels (B, columns), by layers: Keras cannot load slices of tensors from an HDF5 file."""
    count = labels.shape[-1]
    if count == 1:
        return labels
    steps = layers.Reshape((count, 1), dtype="int32", name=f"labels_{column}")(labels)
    step = layers.Cropping1D((column, count - 1 - column), dtype="int32", name=f"only_{column}")(steps)
    return layers.Reshape((1,), dtype="int32", name=f"label_{column}")(step)


def _embedding(name: str, codes: Any, count: int, size: int, scale: float, dtype: Any) -> Any:
    """Embeddings (B, size) of codes int32 (B, 1)."""
    start = keras.initializers.RandomNormal(stddev=scale)
    steps = layers.Embedding(count, size, embeddings_initializer=start, dtype=dtype, name=name)(codes)
    return layers.Reshape((size,), dtype=dtype, name=f"{name}_flat")(steps)


def _sum(terms: list[Any], name: str, dtype: Any) -> Any:
    return terms[0] if len(terms) == 1 else layers.Add(dtype=dtype, name=name)(terms)
