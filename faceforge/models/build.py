"""Builds the two networks of a specification, for training and for bundles."""

from __future__ import annotations

import random

import keras

from faceforge.models import compact, dcgan, style
from faceforge.models.conditioning import LEVEL_EMBEDDING, Conditions
from faceforge.models.spec import ModelSpec

FAMILIES = {"compact": compact, "style": style, "dcgan": dcgan}


def build_networks(
    spec: ModelSpec, seed: int = 0, precision: str = "float32", weighted: bool = False, levels: int = 0
) -> tuple[keras.Model, keras.Model]:
    """Generator and discriminator with fresh weights that depend on `seed` only.

    Every layer is named after its role and resolution, so that variables of two networks correspond by
    `variable.path` ("conv32/kernel").

    Args:
        spec: family and sizes.
        seed: seed of the initial weights.
        precision: a Keras dtype policy, `float32` or `mixed_bfloat16`; weights, images and logits are float32 in both.
        weighted: for training: both networks get a further input `weights`, float32 (B, 1), which multiplies the sum of
            the label embeddings; ignored without classes.
        levels: for training: number of noise levels (Diffusion-GAN). Above 0, the discriminator gets a last input
            `levels`, int32 (B, 1), which is embedded and projected like a label.

    Returns:
        generator: latents float32 (B, Z) [, labels int32 (B, columns)] -> images float32 (B, H, W, C).
        discriminator: images float32 (B, H, W, C) [, labels] -> logits float32 (B, 1).
    """
    random.seed(
        seed
    )  # Keras draws its initialisers' seeds from here; keras.utils.set_random_seed would import TensorFlow
    family = FAMILIES[spec.family]
    policy = keras.DTypePolicy(precision)
    generator = family.generator(spec, Conditions.make(spec, weighted), policy)
    return generator, family.discriminator(spec, Conditions.make(spec, weighted, levels), policy)


def plain_networks(
    spec: ModelSpec, generator: keras.Model, discriminator: keras.Model
) -> tuple[keras.Model, keras.Model]:
    """Networks for a bundle: float32, without the training inputs, equal to the trained ones at weight 1 and level 0.

    Args:
        spec: architecture and sizes of the trained networks.
        generator: from `build_networks`, as it was trained.
        discriminator: from `build_networks`, as it was trained.
    """
    plain = build_networks(spec)
    for network, trained in zip(plain, (generator, discriminator), strict=True):
        values = {variable.path: variable for variable in trained.variables}
        for variable in network.variables:
            variable.assign(values[variable.path])
        if (levels := values.get(f"{LEVEL_EMBEDDING}/embeddings")) is not None:
            # linear(f) + <f, level> is one linear map of the features f, whose kernel is (F, 1).
            kernel = network.get_layer("logit").kernel
            kernel.assign(kernel + levels[0][:, None])
    return plain
