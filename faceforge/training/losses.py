"""Losses as pure functions of the discriminator's logits, each (B, 1) -> float32 scalar."""

from __future__ import annotations

from typing import Any

from keras import ops


def relativistic(ahead: Any, behind: Any) -> Any:
    """mean softplus(-(ahead - behind)): the relativistic pairing loss.

    The discriminator minimises it with (real, fake), the generator with (fake, real). Jolicoeur-Martineau (2018);
    with R1 + R2 it converges locally: Huang et al. (2024), "The GAN is dead; long live the GAN!".
    """
    return ops.mean(ops.softplus(behind - ahead))


def bce_discriminator(real: Any, fake: Any, smoothing: float = 0.0) -> Any:
    """mean [softplus(-real) + smoothing real] + mean softplus(fake): binary cross-entropy, Goodfellow et al. (2014).

    The target of real images is 1 - smoothing (one-sided label smoothing): Salimans et al. (2016), section 3.4.
    """
    return ops.mean(ops.softplus(-real) + smoothing * real) + ops.mean(ops.softplus(fake))


def bce_generator(fake: Any) -> Any:
    """mean softplus(-fake): the non-saturating generator loss. Goodfellow et al. (2014), section 3."""
    return ops.mean(ops.softplus(-fake))


def hinge_discriminator(real: Any, fake: Any) -> Any:
    """mean max(0, 1 - real) + mean max(0, 1 + fake). Lim & Ye (2017); Miyato et al. (2018), eq. 16."""
    return ops.mean(ops.relu(1.0 - real)) + ops.mean(ops.relu(1.0 + fake))


def wasserstein_discriminator(real: Any, fake: Any) -> Any:
    """mean fake - mean real. Arjovsky et al. (2017), eq. 3; valid only while the discriminator is about 1-Lipschitz."""
    return ops.mean(fake) - ops.mean(real)


def negative_mean(fake: Any) -> Any:
    """-mean fake: the generator's loss of both hinge and Wasserstein."""
    return -ops.mean(fake)


def discriminator_loss(kind: str, real: Any, fake: Any, smoothing: float = 0.0) -> Any:
    """The discriminator's loss of the named kind (`TrainConfig.loss`); `smoothing` is used by bce only."""
    match kind:
        case "relativistic":
            return relativistic(real, fake)
        case "bce":
            return bce_discriminator(real, fake, smoothing)
        case "hinge":
            return hinge_discriminator(real, fake)
        case "wasserstein":
            return wasserstein_discriminator(real, fake)
    raise ValueError(f"no loss is called {kind!r}")


def generator_loss(kind: str, real: Any, fake: Any) -> Any:
    """The generator's loss of the named kind (`TrainConfig.loss`)."""
    match kind:
        case "relativistic":
            return relativistic(fake, real)
        case "bce":
            return bce_generator(fake)
        case "hinge" | "wasserstein":
            return negative_mean(fake)
    raise ValueError(f"no loss is called {kind!r}")
