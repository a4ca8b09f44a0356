"""The networks of a preset trained by plain PyTorch: the PyTorch side of `train_throughput.py`.

    python benchmarks/torch_training.py '{"family": "dcgan", "batch_size": 64}'

Needs only PyTorch. Each line on standard input, `{"contender": name, "steps": n}`, is answered with `{"seconds": t}`;
networks and compiled code stay warm in between. The first output line lists versions, device and contenders.

    torch_float32   as tutorials write it
    torch_bfloat16  channels_last memory order, bfloat16 autocast, fused Adam, no waiting for the device
    torch_compiled  also torch.compile; where penalties are trained only for the generator, because compiled networks
                    cannot be differentiated twice

The family `dcgan` is trained as in tutorials: the discriminator on real images, then on fakes, Adam; the fakes through
the updated discriminator, Adam on the generator. The family `style` has the penalties R1 and R2 at every step, and a
moving average of the generator (see `torch_style.py`). Images are on the device as float32 in [-1, 1], so that no data
loader is measured.
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
from torch_dcgan import dcgan  # type: ignore[import-not-found]
from torch_style import Style  # type: ignore[import-not-found]

IMAGES = 1024
CONTENDERS = ["torch_float32", "torch_bfloat16", "torch_compiled"]
FAMILIES: dict[str, Callable[..., Any]] = {"dcgan": dcgan, "style": Style}


def main() -> None:
    """Answers requests until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", help="JSON: family, batch_size, and of `style` what `torch_style.py` reads")
    recipe = json.loads(parser.parse_args().recipe)
    responses = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # output of PyTorch's compilers must not mix with the responses
    gpu = torch.cuda.is_available()
    about = torch.cuda.get_device_name() if gpu else f"CPU, {torch.get_num_threads()} threads"
    print(json.dumps({"version": torch.__version__, "device": about, "contenders": CONTENDERS}), file=responses)
    steps: dict[str, Callable[[], None]] = {}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["contender"] not in steps:
                steps[request["contender"]] = training_step(request["contender"], recipe)
            step = steps[request["contender"]]
            began = _now()
            for _ in range(request["steps"]):
                step()
            response: dict[str, Any] = {"seconds": _now() - began}
        except Exception as error:  # a compiler may be missing; the others can still be measured
            response = {"error": f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"}
        print(json.dumps(response), file=responses)


def training_step(contender: str, recipe: dict[str, Any]) -> Callable[[], None]:
    """A function that trains on one batch per call."""
    tuned, compiled = CONTENDERS.index(contender) > 0, CONTENDERS.index(contender) > 1
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    gan = FAMILIES[recipe["family"]](recipe)
    generator, discriminator = gan.generator.to(device), gan.discriminator.to(device)
    images = torch.rand(IMAGES, 3, gan.size, gan.size, device=device) * 2 - 1
    if tuned:
        images, generator, discriminator = (
            each.to(memory_format=torch.channels_last) for each in (images, generator, discriminator)
        )
    adams = [
        torch.optim.Adam(network.parameters(), lr=gan.learning_rate, betas=gan.betas, fused=True if tuned else None)
        for network in (generator, discriminator)
    ]
    if compiled:
        generator = torch.compile(generator)
        discriminator = discriminator if gan.differentiates_twice else torch.compile(discriminator)

    def precision() -> AbstractContextManager[Any]:
        return torch.autocast(device.type, torch.bfloat16) if tuned else nullcontext()

    batch, number = recipe["batch_size"], 0

    def step() -> None:
        nonlocal number
        start = number * batch % (IMAGES - batch + 1)
        number += 1
        latents = torch.randn(batch, gan.latent_size, device=device)
        logits = gan.train(generator, discriminator, adams, images[start : start + batch], latents, precision)
        if not tuned:  # for the log; tuned loops do not wait for the device at every step
            _ = [each.mean().item() for each in logits]

    return step


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    main()
