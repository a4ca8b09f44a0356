"""FaceForge's default family `style` in PyTorch (see `faceforge.models.style`), unconditional, and its training step.

The recipe is a dict of the sizes and settings of a preset: `image_size`, `latent_size`, `width`, `max_width`, `loss`,
`gamma`, `learning_rate`, `beta1`, `beta2`.
"""

from __future__ import annotations

from typing import Any

import torch  # type: ignore[import-not-found]
from torch import nn
from torch.nn import functional  # type: ignore[import-not-found]
from torch_dcgan import Precision  # type: ignore[import-not-found]

MAPPING = 128  # channels of the mapping network
DECAY = 0.999  # of the moving average; its value does not matter for speed


class Style:
    """Both networks and their training; `torch_dcgan.DCGAN` has the same members."""

    differentiates_twice = True

    def __init__(self, recipe: dict[str, Any]) -> None:
        self.size, self.latent_size = recipe["image_size"], recipe["latent_size"]
        self.learning_rate, self.betas = recipe["learning_rate"], (float(recipe["beta1"]), float(recipe["beta2"]))
        sizes = [4 * 2**stage for stage in range(self.size.bit_length() - 2)]
        widths = {size: min(recipe["width"] * self.size // size, recipe["max_width"]) for size in sizes}
        self.generator, self.discriminator = Generator(self.latent_size, widths), discriminator(widths)
        self._average = [weight.detach().clone() for weight in self.generator.parameters()]
        self._loss, self._gamma = LOSSES[recipe["loss"]], recipe["gamma"]

    def train(
        self,
        generator: Any,
        discriminator: Any,
        adams: list[Any],
        real: Any,
        latents: Any,
        precision: Precision,
    ) -> tuple[Any, ...]:
        """One step; the networks may be compiled ones. Logits of real images, fakes, and fakes after the update.

        One pass of both kinds of images, and one double-backward pass for both penalties.
        """
        g_adam, d_adam = adams
        rows = len(real)
        generator.zero_grad()
        with precision():
            fake = generator(latents)
        images = torch.cat([real, fake.detach().float()]).requires_grad_()

        discriminator.zero_grad()
        with precision():
            logits = discriminator(images)
        (slopes,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
        penalty = 0.5 * self._gamma * slopes.float().square().sum() / rows
        on_real, on_fake = logits.float().split(rows)
        (self._loss(on_real, on_fake)[1] + penalty).backward()
        d_adam.step()

        discriminator.requires_grad_(False)
        with precision():
            again = discriminator(fake).float()
        self._loss(on_real.detach(), again)[0].backward()
        discriminator.requires_grad_(True)
        g_adam.step()
        with torch.no_grad():
            torch._foreach_lerp_(self._average, list(self.generator.parameters()), 1 - DECAY)
        return on_real, on_fake, again


class Generator(nn.Module):
    """Latents (B, Z) -> images (B, 3, H, W)."""

    def __init__(self, latent_size: int, widths: dict[int, int]) -> None:
        super().__init__()
        first, *sizes = widths
        self.shape = (widths[first], first, first)
        self.mapping = nn.Sequential(
            nn.Linear(latent_size, MAPPING), nn.LeakyReLU(0.2), nn.Linear(MAPPING, MAPPING), nn.LeakyReLU(0.2)
        )
        self.first = nn.Linear(latent_size, first**2 * widths[first], bias=False)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(widths[size // 2], widths[size], 3, padding=1, bias=False) for size in sizes
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width, 1e-3) for width in widths.values())
        self.scales = nn.ModuleList(nn.Linear(MAPPING, width) for width in widths.values())
        self.shifts = nn.ModuleList(nn.Linear(MAPPING, width) for width in widths.values())
        for scale in self.scales:
            nn.init.ones_(scale.bias)
        self.image = nn.Conv2d(widths[sizes[-1]], 3, 3, padding=1)

    def forward(self, latents: Any) -> Any:
        """See the class."""
        style = self.mapping(latents)
        x = self.first(latents).view(-1, *self.shape)
        for number, (norm, scale, shift) in enumerate(zip(self.norms, self.scales, self.shifts, strict=True)):
            if number:
                x = self.convolutions[number - 1](functional.interpolate(x, scale_factor=2.0, mode="nearest"))
            x = norm(x) * scale(style)[:, :, None, None] + shift(style)[:, :, None, None]
            x = functional.leaky_relu(x, 0.2)
        return self.image(x)


def discriminator(widths: dict[int, int]) -> Any:
    """Images (B, 3, H, W) -> logits (B, 1)."""
    *sizes, folded, _ = widths
    layers: list[Any] = [nn.PixelUnshuffle(2), nn.Conv2d(12, widths[folded], 3, padding=1), nn.LeakyReLU(0.2)]
    for size in reversed(sizes):
        layers += [nn.Conv2d(widths[2 * size], widths[size], 4, 2, 1), nn.LeakyReLU(0.2)]
    features = widths[sizes[0]]
    flat = [nn.Flatten(), nn.Linear(sizes[0] ** 2 * features, features), nn.LeakyReLU(0.2), nn.Linear(features, 1)]
    return nn.Sequential(*layers, *flat)


def relativistic(real: Any, fake: Any) -> tuple[Any, Any]:
    """Losses of the generator and of the discriminator."""
    return functional.softplus(real - fake).mean(), functional.softplus(fake - real).mean()


def bce(real: Any, fake: Any) -> tuple[Any, Any]:
    """Losses of the generator and of the discriminator."""
    for_fake = functional.softplus(fake).mean()
    return functional.softplus(-fake).mean(), functional.softplus(-real).mean() + for_fake


LOSSES = {"relativistic": relativistic, "bce": bce}
