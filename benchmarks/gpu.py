"""What a single GPU does, within ten minutes: training, FID network and sampling; one JSON file and one table.

    pip install '.[gpu]' 'jax[cuda13]'
    python benchmarks/gpu.py --out work/gpu                         # JAX; --backend tensorflow for TensorFlow
    python benchmarks/gpu.py --out work/gpu --minutes 5 --only train
    python benchmarks/gpu.py --out work/gpu --tiny                  # tries the script on any machine

Every row runs in a process of its own, so that one that fails or runs out of memory costs only itself; both files are
written after every row. Rows that no longer fit into the time are marked as skipped. Training is that of `faceforge
train` on random images that lie on the GPU, with the preset's own batch. `first_seconds` is the time from the start of
the process to the first metrics: imports, building, compiling and the first steps. `share_of_peak` is the arithmetic of
the networks per second by the GPU's bfloat16 peak (`faceforge.compute.precision`).
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
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
ROUNDS = 3
FID_GFLOP = 11.4  # per image of 299 px: 5.7 billion multiplications and additions
PRECISIONS = ("float32", "mixed_bfloat16")
NETWORKS = {
    "dcgan64": ("dcgan64", ""),
    "faces64-gpu": ("faces64-gpu", ""),
    "faces64-gpu at 128 px": ("faces64-gpu", "ingest.image_size=128"),
}
TINY = "model.width=4, model.max_width=8, train.batch_size=4"
COLUMNS = ("row", "images_per_second", "tflops", "share_of_peak", "first_seconds", "skipped")


@dataclass(frozen=True)
class Effort:
    """How long a row measures: seconds per round, and images of a batch outside training."""

    seconds: float
    batch: int
    settings: str = ""


FULL, SMALL = Effort(seconds=2, batch=512), Effort(seconds=0.1, batch=8, settings=TINY)


def main() -> None:
    """Runs all rows, or one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("work/gpu"), help="folder of gpu.json and gpu.md")
    parser.add_argument("--backend", choices=("jax", "tensorflow"), default="jax")
    parser.add_argument("--minutes", type=float, default=10, help="for all rows together")
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--tiny", action="store_true", help="tiny networks: tries the script, measures nothing")
    parser.add_argument("--row", help=argparse.SUPPRESS)
    options = parser.parse_args()
    effort = SMALL if options.tiny else FULL
    if options.row:
        print(json.dumps(rows(effort)[options.row]()))
        return
    names = [name for name in rows(effort) if options.only in name]
    if not names:
        parser.error(f"no row contains {options.only!r}; rows: {', '.join(rows(effort))}")
    print(run(names, options.out, options.backend, 60 * options.minutes, options.tiny))


def rows(effort: Effort) -> dict[str, Callable[[], dict[str, Any]]]:
    """All measurements by name, the most important first."""
    made: dict[str, Callable[[], dict[str, Any]]] = {}
    for precision in reversed(PRECISIONS):
        for network, (preset, settings) in NETWORKS.items():
            made[f"train {network}, {precision}"] = partial(train, preset, settings, precision, effort)
        made[f"FID network, {precision}"] = partial(fid, precision, effort)
        if precision == PRECISIONS[1]:
            for network, (preset, settings) in NETWORKS.items():
                made[f"sample {network}"] = partial(sample, preset, settings, effort)
    return made


def run(names: list[str], out: Path, backend: str, seconds: float, tiny: bool) -> str:
    """Runs rows one after another, writes both files, and returns the table."""
    out.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + seconds
    report: dict[str, Any] = {"backend": backend, "tiny": tiny, "python": platform.python_version(), "rows": []}
    for name in names:
        row = {"row": name, **measure_apart(name, backend, deadline - time.monotonic(), tiny)}
        report |= {key: row.pop(key) for key in ("device", "versions") if key in row}
        report["rows"].append(row)
        print(row, file=sys.stderr, flush=True)
        (out / "gpu.json").write_text(json.dumps(report, indent=2) + "\n")
        (out / "gpu.md").write_text(table(report))
    return table(report)


def measure_apart(name: str, backend: str, seconds: float, tiny: bool) -> dict[str, Any]:
    """One row in a process of its own; or why there is no figure."""
    if seconds <= 0:
        return {"skipped": "no time left"}
    command = [sys.executable, "-m", "benchmarks.gpu", "--row", name, *(["--tiny"] if tiny else [])]
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "BENCHMARK_BEGAN": str(time.time()),
    }
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return {"skipped": "no time left"}
    if done.returncode:
        print(done.stderr[-4000:], file=sys.stderr, flush=True)
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return {"skipped": lines[-1][:200]}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def table(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    versions = ", ".join(f"{name} {version}" for name, version in report.get("versions", {}).items())
    lines = [
        f"{report.get('device', 'no device')}; {versions}",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|---" * len(COLUMNS) + "|",
    ]
    for row in report["rows"]:
        lines.append(f"| {' | '.join('' if row.get(name) is None else str(row[name]) for name in COLUMNS)} |")
    return "\n".join(lines) + "\n"


def train(preset: str, settings: str, precision: str, effort: Effort) -> dict[str, Any]:
    """Images per second of training."""
    from benchmarks.train_throughput import MARKS, make_run
    from faceforge.config import resolve

    config = resolve(preset, ", ".join(filter(None, (settings, effort.settings))))
    kimg = config.train.batch_size * 320 * MARKS / 1000  # enough for the largest number of steps per dispatch
    train = {"kimg": kimg, "epochs": 0.0, "log_points": MARKS}
    run = make_run(config.model_copy(update={"train": config.train.model_copy(update=train)}), precision)

    def work() -> int:
        before = run.done
        metrics = run.advance()
        float(np.asarray(metrics["loss/generator"]))  # waits for the device
        return (run.done - before) * config.train.batch_size

    return timed(work, effort, precision, run.flops(), run.summary()["devices"])


def fid(precision: str, effort: Effort) -> dict[str, Any]:
    """Images of 64 px per second through the FID network, with random weights."""
    from benchmarks.evaluation import random_weights
    from faceforge.evaluation.inception.extractor import Inception
    from faceforge.evaluation.inception.weights import WeightsFile

    network = Inception(WeightsFile(Path("random"), ""), precision.removeprefix("mixed_"), random_weights())
    images = np.random.default_rng(0).integers(0, 256, (effort.batch, 64, 64, 3), np.uint8)
    return timed(lambda: len(network.features(images)), effort, precision, FID_GFLOP * 1e9)


def sample(preset: str, settings: str, effort: Effort) -> dict[str, Any]:
    """Images per second from latents to uint8 images in memory, with fresh weights."""
    from faceforge.config import resolve
    from faceforge.models.build import build_networks
    from faceforge.models.bundle import Bundle, BundleInfo
    from faceforge.models.sampling import cycle_labels, draw_latents
    from faceforge.models.spec import ModelSpec

    config = resolve(preset, ", ".join(filter(None, (settings, effort.settings))))
    size, channels = config.ingest.image_size, config.ingest.channels
    spec = ModelSpec(**config.model.model_dump(), image_size=size, channels=channels, classes=())
    info = BundleInfo(
        spec=spec, labels={}, loss=config.train.loss, dataset_digest="none", config={}, training={}, versions={}
    )
    model = Bundle(info, *build_networks(spec))
    latents, labels = draw_latents(0, effort.batch, spec.latent_size), cycle_labels({}, effort.batch)
    return timed(lambda: len(model.generate(latents, labels, batch=effort.batch)), effort)


def timed(
    work: Callable[[], int], effort: Effort, precision: str = "", flops: float = 0.0, devices: int = 1
) -> dict[str, Any]:
    """Median rate of `work`, which returns the number of images that it has processed."""
    import keras

    from faceforge.compute import backend
    from faceforge.compute.precision import peak_flops

    work()  # compiles
    first = time.time() - float(os.environ.get("BENCHMARK_BEGAN", time.time()))
    rates = []
    for _ in range(ROUNDS):
        images, began = 0, time.perf_counter()
        while not images or time.perf_counter() - began < effort.seconds:
            images += work()
        rates.append(images / (time.perf_counter() - began))
    rate, peak = statistics.median(rates), peak_flops(precision) * devices
    return {
        "device": (backend.accelerators() or [f"CPU, {os.cpu_count()} cores"])[0],
        "versions": {"keras": keras.__version__, **backend.version()},
        "images_per_second": round(rate, 1),
        "spread": round((max(rates) - min(rates)) / rate, 3),
        "tflops": round(rate * flops / 1e12, 3) if flops else None,
        "share_of_peak": round(rate * flops / peak, 3) if peak else None,
        "first_seconds": round(first, 1),
    }


if __name__ == "__main__":
    main()
