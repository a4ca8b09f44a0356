"""How labels enter the networks: one embedding per label column."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from faceforge.models.spec import ModelSpec


def label_input(spec: ModelSpec) -> list[Any]:
    """The labels' input, int32 (B, columns), as a list of one; empty for unconditional models."""
    return [keras.Input((len(spec.classes),), dtype="int32", name="labels")] if spec.classes else []


def conditioned_latents(spec: ModelSpec, latents: Any, labels: list[Any], dtype: Any) -> Any:
    """Latents (B, Z) with the sum of the columns' embeddings appended: (B, 2Z); the latents alone if unconditional."""
    if not labels:
        return latents
    return layers.Concatenate(dtype=dtype)([latents, _embedding_sum(spec, labels[0], spec.latent_size, 1.0, dtype)])


def projected_logits(spec: ModelSpec, features: Any, labels: list[Any], dtype: Any) -> Any:
    """Logits (B, 1) = linear(features) + <features, embedding sum> / sqrt(F): Miyato & Koyama (2018), float32.

    Args:
        spec: sizes; `classes` says how many labels each column has.
        features: (B, F).
        labels: the output of `label_input`.
        dtype: the policy that `features` was computed under.
    """
    logits = layers.Dense(1, dtype="float32", name="logit")(features)
    if labels:
        size = features.shape[-1]
        embedding = _embedding_sum(spec, labels[0], size, size**-0.5, dtype)
        logits = layers.Add(dtype="float32")([logits, layers.Dot(axes=-1, dtype="float32")([features, embedding])])
    return logits


def _embedding_sum(spec: ModelSpec, labels: Any, size: int, scale: float, dtype: Any) -> Any:
    embeddings = [
        layers.Embedding(
            count,
            size,
            embeddings_initializer=keras.initializers.RandomNormal(stddev=scale),
            dtype=dtype,
            name=f"embedding_{column}",
        )(labels[:, column])
        for column, count in enumerate(spec.classes)
    ]
    return embeddings[0] if len(embeddings) == 1 else layers.Add(dtype=dtype)(embeddings)
