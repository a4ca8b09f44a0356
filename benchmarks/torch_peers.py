"""Trains the networks and losses of a public GAN program on an array of images: the PyTorch side of `peers.py`.

    python benchmarks/torch_peers.py r3gan --checkout R3GAN/ --images train.npy --out samples/ --kimg 20 --seconds 60

Needs PyTorch, numpy and a checkout of the program, whose own classes are imported; none of its code is here. Their
training loops need CUDA, so the loop is this one: the program's own step (discriminator, generator, Adam with its
settings, average of the generator's weights) on one device. Samples are written twice, when `--kimg` thousand images
have been shown and when `--seconds` of processor time are used; the line of JSON has both figures for both.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch  # type: ignore[import-not-found]

Step = Callable[[Any, int], None]  # (real images float32 (B, 3, H, W) in [-1, 1], number of the step)


def main() -> None:
    """Prints a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("--checkout", required=True)
    parser.add_argument("--images", required=True, help="uint8 (N, H, W, 3), .npy")
    parser.add_argument("--out", type=Path, required=True, help="folder of images.npy and seconds.npy")
    parser.add_argument("--kimg", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True, help="of processor time")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--width", type=int, default=128, help="channels of the widest layers")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sys.path.insert(0, options.checkout)
    torch.manual_seed(options.seed)
    images = np.load(options.images)
    average, latent, step = PEERS[options.peer](images.shape[1], options.width, options.batch)
    order = np.random.default_rng(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    marks: dict[str, dict[str, float]] = {}
    began, number = time.process_time(), 0
    while len(marks) < 2:
        chosen = images[order.integers(len(images), size=options.batch)]
        step(torch.from_numpy(chosen).permute(0, 3, 1, 2).float() / 127.5 - 1, number)
        number += 1
        shown, used = number * options.batch / 1000, time.process_time() - began
        for name, reached in (("images", shown >= options.kimg), ("seconds", used >= options.seconds)):
            if reached and name not in marks:
                marks[name] = {"kimg": shown, "seconds": round(used, 1)}
                np.save(options.out / f"{name}.npy", draw(average, latent, options.samples))
    print(json.dumps({"torch": torch.__version__, "weights": sum(w.numel() for w in average.parameters()), **marks}))


def draw(generator: Any, latent: int, count: int) -> Any:
    """Samples uint8 (count, H, W, 3)."""
    parts = []
    with torch.no_grad():
        for part in torch.randn(count, latent, generator=torch.Generator().manual_seed(1)).split(64):
            parts.append(generator(part, torch.zeros(len(part), 0)))
    pixels = (torch.cat(parts).permute(0, 2, 3, 1) * 127.5 + 128).clamp(0, 255)
    return pixels.to(torch.uint8).numpy()


def follow(average: Any, generator: Any, decay: float) -> None:
    """Moves the average of the weights towards the present ones."""
    with torch.no_grad():
        for mean, now in zip(average.parameters(), generator.parameters(), strict=True):
            mean.lerp_(now, 1 - decay)
        for mean, now in zip(average.buffers(), generator.buffers(), strict=True):
            mean.copy_(now)


def r3gan(size: int, width: int, batch: int) -> tuple[Any, int, Step]:
    """R3GAN (Huang et al. 2024) with the settings of its preset FFHQ-64 at the start of training, and equal widths."""
    networks, losses = import_module("training.networks"), import_module("training.loss")
    stages = size.bit_length() - 2
    shape = {
        "WidthPerStage": [width] * stages,
        "CardinalityPerStage": [width // 8] * stages,  # groups of 16 channels, as in its presets
        "BlocksPerStage": [2] * stages,
        "ExpansionFactor": 2,
        "FP16Stages": [],
        "c_dim": 0,
        "img_resolution": size,
    }
    generator, discriminator = networks.Generator(NoiseDimension=64, **shape), networks.Discriminator(**shape)
    average = copy.deepcopy(generator).eval()
    adams = {
        phase: torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.0, 0.9), eps=1e-8)
        for phase, network in (("D", discriminator), ("G", generator))
    }
    loss = losses.R3GANLoss(generator, discriminator)

    def step(real: Any, number: int) -> None:
        for phase, adam in adams.items():
            for name, network in (("D", discriminator), ("G", generator)):
                network.requires_grad_(name == phase)
            adam.zero_grad(set_to_none=True)
            loss.accumulate_gradients(phase, real, torch.zeros(batch, 0), torch.randn(batch, 64), gamma=2.0, gain=1)
            adam.step()
        follow(average, generator, 0.5 ** (batch / max(0.05 * number * batch, 1e-8)))  # half-life 5 % of the run

    return average, 64, step


def stylegan2(size: int, width: int, batch: int) -> tuple[Any, int, Step]:
    """StyleGAN2-ADA (Karras et al. 2020) with its configuration `auto`, and fewer channels.

    Without its augmentation, whose probability starts at 0 and would stay below a few percent in runs this short.
    """
    networks, losses = import_module("training.networks"), import_module("training.loss")
    channels = {"channel_base": 32 * width, "channel_max": width}
    generator = networks.Generator(
        z_dim=512, c_dim=0, w_dim=512, img_resolution=size, img_channels=3, mapping_kwargs={"num_layers": 2},
        synthesis_kwargs=channels,
    )  # fmt: skip
    discriminator = networks.Discriminator(
        c_dim=0, img_resolution=size, img_channels=3, epilogue_kwargs={"mbstd_group_size": 4}, **channels
    )
    average = copy.deepcopy(generator).eval()
    device = torch.device("cpu")
    gamma = 0.0002 * size**2 / batch
    loss = losses.StyleGAN2Loss(device, generator.mapping, generator.synthesis, discriminator, r1_gamma=gamma)
    intervals = {"G": 4, "D": 16}
    modules = {"G": generator, "D": discriminator}

    def adam(phase: str) -> Any:
        ratio = intervals[phase] / (intervals[phase] + 1)
        return torch.optim.Adam(modules[phase].parameters(), lr=0.0025 * ratio, betas=(0.0, 0.99**ratio), eps=1e-8)

    adams = {phase: adam(phase) for phase in modules}
    none = torch.zeros(batch, 0)

    def step(real: Any, number: int) -> None:
        for phase, module in modules.items():
            kinds = ["main", "reg"] if number % intervals[phase] == 0 else ["main"]
            for kind in kinds:
                adams[phase].zero_grad(set_to_none=True)
                module.requires_grad_(True)
                gain = intervals[phase] if kind == "reg" else 1
                loss.accumulate_gradients(
                    f"{phase}{kind}", real, none, torch.randn(batch, 512), none, sync=True, gain=gain
                )
                module.requires_grad_(False)
                for weight in module.parameters():
                    if weight.grad is not None:
                        torch.nan_to_num(weight.grad, nan=0, posinf=1e5, neginf=-1e5, out=weight.grad)
                adams[phase].step()
        half_life = min(batch * 10 / 32 * 1000, 0.05 * number * batch)
        follow(average, generator, 0.5 ** (batch / max(half_life, 1e-8)))

    generator.requires_grad_(False)
    discriminator.requires_grad_(False)
    return average, 512, step


PEERS: dict[str, Callable[[int, int, int], tuple[Any, int, Step]]] = {"r3gan": r3gan, "stylegan2": stylegan2}


if __name__ == "__main__":
    main()
