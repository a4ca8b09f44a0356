"""Losses as pure functions of the discriminator's logits, each (B, 1) -> scalar."""

from __future__ import annotations

from typing import Any

from keras import ops


def relativistic(ahead: Any, behind: Any) -> Any:
    """mean softplus(-(ahead - behind)): the relativistic pairing loss.

    The discriminator minimises it with (real, fake), the generator with (fake, real). Jolicoeur-Martineau (2018);
    with R1 + R2 it converges locally: Huang et al. (2024), "The GAN is dead; long live the GAN!".
    """
    return ops.mean(ops.softplus(behind - ahead))


def bce_discriminator(real: Any, fake: Any) -> Any:
    """mean softplus(-real) + mean softplus(fake): binary cross-entropy. Goodfellow et al. (2014), eq. 1."""
    return ops.mean(ops.softplus(-real)) + ops.mean(ops.softplus(fake))


def bce_generator(fake: Any) -> Any:
    """mean softplus(-fake): the non-saturating generator loss. Goodfellow et al. (2014), section 3."""
    return ops.mean(ops.softplus(-fake))


def discriminator_loss(kind: str, real: Any, fake: Any) -> Any:
    """The discriminator's loss of the named kind, `relativistic` or `bce`."""
    return relativistic(real, fake) if kind == "relativistic" else bce_discriminator(real, fake)


def generator_loss(kind: str, real: Any, fake: Any) -> Any:
    """The generator's loss of the named kind, `relativistic` or `bce`."""
    return relativistic(fake, real) if kind == "relativistic" else bce_generator(fake)
