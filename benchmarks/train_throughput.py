"""Training throughput in images per second: FaceForge, and the same network in a plain PyTorch loop.

    python benchmarks/train_throughput.py                             # the standard DCGAN-64, batch 64
    python benchmarks/train_throughput.py --torch other/bin/python    # beside PyTorch, run by a Python that has it
    python benchmarks/train_throughput.py --preset toy --torch other/bin/python       # the default family, penalties
    python benchmarks/train_throughput.py --preset faces64 --set "model.width=64, train.batch_size=256"
    KERAS_BACKEND=jax python benchmarks/train_throughput.py

FaceForge trains as `faceforge train` does, including shuffling, latents, metrics and several steps per dispatch, in
float32 and in the precision it chooses on this machine. PyTorch trains the same networks by the same recipe, plainly
and tuned (see `torch_training.py`), in a process that stays warm. Rounds are interleaved and medians are compared.
Images are random, and models unconditional. FaceForge trains on all visible GPUs and PyTorch on the first one: to
compare them, show both one GPU (CUDA_VISIBLE_DEVICES=0).

`tflops` and `mfu` are the arithmetic of the networks (`faceforge.models.flops`) per second, and its share of the GPU's
bfloat16 peak.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # leaves GPU memory for PyTorch
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import keras
import numpy as np

from faceforge.compute import backend
from faceforge.compute.precision import choose_precision, peak_flops
from faceforge.config import Config, resolve
from faceforge.errors import FaceForgeError
from faceforge.models.spec import ModelSpec
from faceforge.presets import PRESETS
from faceforge.training.feed import InMemory
from faceforge.training.run import Run

IMAGES = 4096
MARKS = 100  # points of the curves; a dispatch never has more than 1/100 of the run's steps

Rounds = Callable[[int], float]  # number of steps -> seconds


def main() -> None:
    """Prints one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch", metavar="PYTHON", help="a Python that has PyTorch; for presets of dcgan64 and style")
    parser.add_argument("--preset", default="dcgan64", choices=PRESETS)
    parser.add_argument("--batch", type=int, help="images per step; default: the preset's, 64 for dcgan64")
    parser.add_argument("--set", default="", metavar="SETTINGS", help="further settings, as for `faceforge train`")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, help="steps per round; default 16, on a GPU 320")
    options = parser.parse_args()
    steps = options.steps or (320 if backend.accelerators() else 16)
    try:
        config = recipe(options.preset, options.batch, options.set, steps)
        if options.torch and not (config.model.family == "style" or (options.preset, options.set) == ("dcgan64", "")):
            parser.error("--torch compares the standard DCGAN-64, or presets of the family style")
        figures = measure(config, options.torch, options.rounds, steps)
    except FaceForgeError as error:
        parser.error(str(error))
    facts = {"preset": options.preset, "settings": options.set, "batch": config.train.batch_size}
    print(json.dumps(facts | figures))


def recipe(preset: str, batch: int | None, settings: str, steps: int) -> Config:
    """The configuration of a run long enough for `steps` steps per dispatch, or the maximum."""
    batch = batch or (64 if preset == "dcgan64" else resolve(preset, settings).train.batch_size)
    fixed = f"train.batch_size={batch}, train.kimg={batch * steps * MARKS / 1000}, train.log_points={MARKS}"
    return resolve(preset, f"{fixed}, train.labels=, {settings}")


def measure(config: Config, python: str | None, rounds: int, steps: int) -> dict[str, Any]:
    """Median rates in images per second, their ratios, and hardware and versions."""
    batch = config.train.batch_size
    chosen = choose_precision(config.train.precision)
    with ExitStack() as stack:
        facts: dict[str, Any] = {"device": (backend.accelerators() or [f"CPU, {os.cpu_count()} cores"])[0]}
        facts["versions"] = {"python": platform.python_version(), "keras": keras.__version__, **backend.version()}
        contenders: dict[str, Rounds] = {}
        if python:
            about, others = stack.enter_context(torch_contenders(python, config))
            facts |= {"torch": about}
            contenders |= others
        runs = {precision: make_run(config, precision) for precision in dict.fromkeys(["float32", chosen])}
        contenders |= {f"faceforge_{precision}": rounds_of(run) for precision, run in runs.items()}
        seconds = interleaved(contenders, rounds, steps)
    rates = {name: steps * batch / statistics.median(values) for name, values in seconds.items()}
    per_image = {f"faceforge_{precision}": run.flops() for precision, run in runs.items()}
    peak = peak_flops(chosen) * runs[chosen].summary()["devices"]
    faceforge, torch = ([name for name in rates if name.startswith(package)] for package in ("faceforge", "torch"))
    return {
        **facts,
        "rounds": rounds,
        "steps": steps,
        "images_per_second": {name: round(rate, 1) for name, rate in rates.items()},
        "ratios": {f"{a} / {b}": round(rates[a] / rates[b], 2) for a in faceforge for b in torch},
        "gflop_per_image": round(next(iter(per_image.values())) / 1e9, 3),
        "tflops": {name: round(rates[name] * flops / 1e12, 3) for name, flops in per_image.items()},
        "mfu": round(rates[f"faceforge_{chosen}"] * per_image[f"faceforge_{chosen}"] / peak, 4) if peak else None,
    }


def interleaved(contenders: dict[str, Rounds], rounds: int, steps: int) -> dict[str, list[float]]:
    """Seconds of every round after the first; a contender that fails is dropped with a message."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name in list(seconds):
            try:
                took = contenders[name](steps)
            except TorchError as error:
                print(f"{name} is skipped: {error}", file=sys.stderr)
                del seconds[name]
                continue
            if number:
                seconds[name].append(took)
                print(f"{name}: {steps} steps in {took:.2f} s", file=sys.stderr)
    return seconds


def make_run(config: Config, precision: str) -> Run:
    """A training run on random images, set up as in `faceforge.training.train`."""
    train = config.train.model_copy(update={"precision": precision})
    size, channels = config.ingest.image_size, config.ingest.channels
    images = np.random.default_rng(0).integers(0, 256, (IMAGES, size, size, channels), np.uint8)
    codes = np.zeros((IMAGES, 0), np.int32)
    feed = InMemory(images, codes, train.batch_size, train.seed, resident=bool(backend.accelerators()))
    spec = ModelSpec(**config.model.model_dump(), image_size=size, channels=channels, classes=())
    return Run(spec, train, {}, feed, backend.Replicas())


def rounds_of(run: Run) -> Rounds:
    """Times rounds of a run; a round ends when its last metrics can be read."""

    def call(steps: int) -> float:
        began, end = time.perf_counter(), run.done + steps
        while run.done < end:
            metrics = run.advance()
        float(np.asarray(metrics["loss/generator"]))
        return (time.perf_counter() - began) * steps / (steps + run.done - end)  # the last dispatch may overshoot

    return call


class TorchError(Exception):
    """PyTorch did not run; the message gives the reason."""


@contextmanager
def torch_contenders(python: str, config: Config) -> Iterator[tuple[dict[str, Any], dict[str, Rounds]]]:
    """Starts `torch_training.py` under another Python; yields its description and its contenders."""
    settings = {"image_size": config.ingest.image_size, **config.model.model_dump(), **config.train.model_dump()}
    command = [python, str(Path(__file__).with_name("torch_training.py")), json.dumps(settings)]
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    except OSError as error:
        raise FaceForgeError(f"{python} cannot be started: {error.strerror}") from None
    assert process.stdin is not None
    assert process.stdout is not None
    requests, responses = process.stdin, process.stdout
    try:
        first = responses.readline()
        if not first:
            raise FaceForgeError(f"{python} has no working PyTorch; name a Python that has")
        about = json.loads(first)

        def rounds_of(name: str) -> Rounds:
            def call(steps: int) -> float:
                print(json.dumps({"contender": name, "steps": steps}), file=requests, flush=True)
                response = json.loads(responses.readline() or '{"error": "PyTorch has stopped"}')
                if "error" in response:
                    raise TorchError(response["error"])
                return float(response["seconds"])

            return call

        yield about, {name: rounds_of(name) for name in about.pop("contenders")}
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
