"""From a specification to the two networks."""

from __future__ import annotations

import keras

from faceforge.models import compact, dcgan
from faceforge.models.spec import ModelSpec

FAMILIES = {"compact": compact, "dcgan": dcgan}


def build_networks(spec: ModelSpec, seed: int = 0, precision: str = "float32") -> tuple[keras.Model, keras.Model]:
    """Generator and discriminator with fresh weights that depend on `seed` only.

    Args:
        spec: family and sizes.
        seed: of the weights.
        precision: a Keras dtype policy, `float32` or `mixed_bfloat16`; weights, images and logits are float32 in both.
    """
    keras.utils.set_random_seed(seed)
    family = FAMILIES[spec.family]
    policy = keras.DTypePolicy(precision)
    return family.generator(spec, policy), family.discriminator(spec, policy)
