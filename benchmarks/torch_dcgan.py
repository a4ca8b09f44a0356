"""The standard DCGAN-64 in plain PyTorch, as tutorials train it: the PyTorch side of `train_throughput.py`.

    python benchmarks/torch_dcgan.py --batch 64

Needs only PyTorch. Each line on standard input, `{"contender": name, "steps": n}`, is answered with `{"seconds": t}`;
networks and compiled code stay warm in between. The first output line lists versions, device and contenders.

A step is that of the tutorials: the discriminator on real images, then on fakes, Adam; the fakes through the updated
discriminator, Adam on the generator; three means are read for the log. Images are on the device as float32 in [-1, 1],
so that no data loader is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch  # type: ignore[import-not-found]
from torch import nn

LATENT, WIDTH, SIZE, CHANNELS = 100, 64, 64, 3
IMAGES = 1024
CONTENDERS = ["torch_float32", "torch_bfloat16", "torch_compiled"]


def main() -> None:
    """Answers requests until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=64)
    options = parser.parse_args()
    responses = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # output of PyTorch's compilers must not mix with the responses
    gpu = torch.cuda.is_available()
    names = CONTENDERS if gpu else CONTENDERS[:2]
    about = torch.cuda.get_device_name() if gpu else f"CPU, {torch.get_num_threads()} threads"
    print(json.dumps({"version": torch.__version__, "device": about, "contenders": names}), file=responses)
    steps: dict[str, Callable[[], None]] = {}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["contender"] not in steps:
                steps[request["contender"]] = training_step(request["contender"], options.batch)
            step = steps[request["contender"]]
            began = _now()
            for _ in range(request["steps"]):
                step()
            response: dict[str, Any] = {"seconds": _now() - began}
        except Exception as error:  # a compiler may be missing; the others can still be measured
            response = {"error": f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"}
        print(json.dumps(response), file=responses)


def training_step(contender: str, batch: int) -> Callable[[], None]:
    """A function that trains on one batch per call.

    Args:
        contender: `torch_float32` is the unchanged tutorial; `torch_bfloat16` uses channels_last memory order, bfloat16
            autocast and fused Adam; `torch_compiled` adds `torch.compile`.
        batch: images per batch.
    """
    plain = CONTENDERS.index(contender) == 0
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    images = torch.rand(IMAGES, CHANNELS, SIZE, SIZE, device=device) * 2 - 1
    generator, discriminator = networks(device)
    if not plain:
        order = torch.channels_last
        images, generator, discriminator = (x.to(memory_format=order) for x in (images, generator, discriminator))
    g_adam, d_adam = (
        torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=None if plain else True)
        for network in (generator, discriminator)
    )
    if contender == "torch_compiled":
        generator, discriminator = torch.compile(generator), torch.compile(discriminator)
    # The loss takes logits for all contenders, because BCELoss on probabilities does not support autocast.
    loss_of = nn.BCEWithLogitsLoss()
    ones, zeros = torch.ones(batch, device=device), torch.zeros(batch, device=device)
    number = 0

    def precision() -> AbstractContextManager[Any]:
        return nullcontext() if plain else torch.autocast(device.type, torch.bfloat16)

    def step() -> None:
        nonlocal number
        start = number * batch % (IMAGES - batch + 1)
        number += 1
        real = images[start : start + batch]

        discriminator.zero_grad()
        with precision():
            on_real = discriminator(real).view(-1)
            loss_real = loss_of(on_real, ones)
        loss_real.backward()
        with precision():
            fake = generator(torch.randn(batch, LATENT, 1, 1, device=device))
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
        if plain:  # tuned loops do not wait for the device at every step
            _ = [logits.mean().item() for logits in (on_real, on_fake, again)]

    return step


def networks(device: torch.device) -> tuple[Any, Any]:
    """Generator and discriminator of Radford et al. (2016), weights drawn from N(0, 0.02)."""

    def up(inputs: int, outputs: int, stride: int, padding: int) -> list[Any]:
        convolution = nn.ConvTranspose2d(inputs, outputs, 4, stride, padding, bias=False)
        return [convolution, nn.BatchNorm2d(outputs), nn.ReLU(True)]

    def down(inputs: int, outputs: int) -> list[Any]:
        convolution = nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False)
        return [convolution, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2, inplace=True)]

    w = WIDTH
    generator = nn.Sequential(
        *up(LATENT, 8 * w, 1, 0),
        *up(8 * w, 4 * w, 2, 1),
        *up(4 * w, 2 * w, 2, 1),
        *up(2 * w, w, 2, 1),
        nn.ConvTranspose2d(w, CHANNELS, 4, 2, 1, bias=False),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(CHANNELS, w, 4, 2, 1, bias=False),
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
    return generator.to(device), discriminator.to(device)


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    main()
