"""The standard DCGAN-64 (Radford et al., 2016) in PyTorch, and the step of tutorials that trains it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch  # type: ignore[import-not-found]
from torch import nn

Precision = Callable[[], Any]  # the context to compute in

WIDTH = 64


class DCGAN(NamedTuple):
    """Both networks and their training; `torch_style.Style` has the same members."""

    generator: Any
    discriminator: Any
    size: int = 64  # pixels
    latent_size: int = 100
    learning_rate: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    differentiates_twice: bool = False

    def train(
        self,
        generator: Any,
        discriminator: Any,
        adams: list[Any],
        real: Any,
        latents: Any,
        precision: Precision,
    ) -> tuple[Any, ...]:
        """One step; the networks may be compiled ones. Logits of real images, fakes, and fakes after the update."""
        g_adam, d_adam = adams
        # The loss takes logits, because BCELoss on probabilities does not support autocast.
        loss_of = nn.BCEWithLogitsLoss()
        ones, zeros = torch.ones(len(real), device=real.device), torch.zeros(len(real), device=real.device)

        discriminator.zero_grad()
        with precision():
            on_real = discriminator(real).view(-1)
            loss_real = loss_of(on_real, ones)
        loss_real.backward()
        with precision():
            fake = generator(latents[:, :, None, None])
            on_fake = discriminator(fake.detach()).view(-1)
            loss_fake = loss_of(on_fake, zeros)
        loss_fake.backward()
        d_adam.step()

        generator.zero_grad()
        with precision():
            again = discriminator(fake).view(-1)
            loss = loss_of(again, ones)
        loss.backward()
        g_adam.step()
        return on_real, on_fake, again


def dcgan(recipe: dict[str, Any]) -> DCGAN:
    """Networks with weights drawn from N(0, 0.02)."""

    def up(inputs: int, outputs: int, stride: int, padding: int) -> list[Any]:
        convolution = nn.ConvTranspose2d(inputs, outputs, 4, stride, padding, bias=False)
        return [convolution, nn.BatchNorm2d(outputs), nn.ReLU(True)]

    def down(inputs: int, outputs: int) -> list[Any]:
        convolution = nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False)
        return [convolution, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2, inplace=True)]

    w = WIDTH
    generator = nn.Sequential(
        *up(DCGAN._field_defaults["latent_size"], 8 * w, 1, 0),
        *up(8 * w, 4 * w, 2, 1),
        *up(4 * w, 2 * w, 2, 1),
        *up(2 * w, w, 2, 1),
        nn.ConvTranspose2d(w, 3, 4, 2, 1, bias=False),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(3, w, 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2, inplace=True),
        *down(w, 2 * w),
        *down(2 * w, 4 * w),
        *down(4 * w, 8 * w),
        nn.Conv2d(8 * w, 1, 4, 1, 0, bias=False),
    )
    for network in (generator, discriminator):
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(layer.weight, 0.0, 0.02)
            elif isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.weight, 1.0, 0.02)
                nn.init.zeros_(layer.bias)
    return DCGAN(generator, discriminator)
