"""From a specification to the two networks, as they are trained and as a bundle keeps them."""

from __future__ import annotations

import random

import keras

from faceforge.models import compact, dcgan, residual
from faceforge.models.conditioning import LEVEL_EMBEDDING, Conditions
from faceforge.models.spec import ModelSpec

FAMILIES = {"compact": compact, "residual": residual, "dcgan": dcgan}


def build_networks(
    spec: ModelSpec, seed: int = 0, precision: str = "float32", weighted: bool = False, levels: int = 0
) -> tuple[keras.Model, keras.Model]:
    """Generator and discriminator with fresh weights that depend on `seed` only.

    Every layer is named after its role and resolution, so that `variable.path` ("conv32/kernel") tells which variables
    of two networks belong together.

    Args:
        spec: family and sizes.
        seed: of the weights.
        precision: a Keras dtype policy, `float32` or `mixed_bfloat16`; weights, images and logits are float32 in both.
        weighted: for training: both get one input more, `weights`, float32 (B, 1), by which the sum of the label
            embeddings is multiplied; ignored without classes.
        levels: for training: above 0, the discriminator gets `levels` last, int32 (B, 1) below this number: the noise
            in its images (Diffusion-GAN), embedded and projected like a label.

    Returns:
        generator: latents float32 (B, Z) [, labels int32 (B, columns)] -> images float32 (B, H, W, C).
        discriminator: images float32 (B, H, W, C) [, labels] -> logits float32 (B, 1).
    """
    random.seed(seed)  # where Keras takes its initialisers' seeds from; its own function would import TensorFlow
    family = FAMILIES[spec.family]
    policy = keras.DTypePolicy(precision)
    generator = family.generator(spec, Conditions.make(spec, weighted), policy)
    return generator, family.discriminator(spec, Conditions.make(spec, weighted, levels), policy)


def plain_networks(
    spec: ModelSpec, generator: keras.Model, discriminator: keras.Model
) -> tuple[keras.Model, keras.Model]:
    """Networks as in bundles that compute in float32 what trained ones do with weights of 1 and at level 0.

    Args:
        spec: what the trained networks were built from.
        generator: of `build_networks`, for training.
        discriminator: of `build_networks`, for training.
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
