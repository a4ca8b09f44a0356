"""How time and memory grow with the work: ingest, generate, evaluate and training, as JSON and a picture.

    python -m benchmarks.growth --only ingest --counts 1000 10000 100000 1000000
    python -m benchmarks.growth --only generate --counts 1000 10000 100000
    python -m benchmarks.growth --only evaluate --counts 1000 10000
    python -m benchmarks.growth --only train
    python -m benchmarks.growth --draw growth.jsonl --out docs/images/growth.png

Each point runs a command of `faceforge` in its own process, start included. `cpu_seconds` are those of all its
processes, which other work on the machine hardly changes; `peak_mib` is the peak sum of their resident memory. Images
are toy faces of 32 px. `ingest` reads marked copies from Parquet (see `ingest_scale.py`). `generate` is killed when
half of its images are there, and resumed; both runs count. `evaluate` takes as many samples as counted; its holdout has
600 images, or with `--holdout` grows with them. `train` takes 8 steps of 16 images at each image size, with networks
of the preset `toy`; all others are as small as possible.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.ingest_scale import command, originals, repeat, watch

Point = dict[str, float | str]
SIZE, IMAGES, SIZES = 32, 6000, (32, 64, 128, 256)
TINY = "model.width=4, model.max_width=4, model.latent_size=8, train.kimg=0.128, train.batch_size=16"
QUICK = "evaluate.classifier_epochs=1, evaluate.resamples=100"


def main() -> None:
    """Prints one line of JSON per point, or draws those of earlier runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, default="ingest")
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="of images, for train")
    parser.add_argument("--holdout", action="store_true", help="evaluate with holdouts that grow with the samples")
    parser.add_argument("--draw", type=Path, help="lines of JSON that earlier runs printed")
    parser.add_argument("--out", type=Path, default=Path("growth.png"), help="picture of --draw")
    options = parser.parse_args()
    if options.draw:
        draw([json.loads(line) for line in options.draw.read_text().splitlines()], options.out)
        return
    with tempfile.TemporaryDirectory() as scratch:
        for point in PARTS[options.only](options, Path(scratch)):
            print(json.dumps(point), flush=True)


def ingest(options: argparse.Namespace, scratch: Path) -> Iterator[Point]:
    """Parquet with JPEG to an image set."""
    images = originals("toyfaces", SIZE)
    for count in options.counts:
        file, out = scratch / f"{count}.parquet", scratch / f"{count}"
        repeat(images, count, file)
        yield measure("ingest", count, partial(watch, command(file, out, SIZE)))
        file.unlink()


def generate(options: argparse.Namespace, scratch: Path) -> Iterator[Point]:
    """Images written, interrupted and resumed."""
    bundle = train_tiny(toyfaces(scratch / "data", IMAGES), scratch / "model")
    for count in options.counts:
        out = scratch / f"made-{count}"
        arguments = faceforge("generate", "--model", str(bundle), "--count", str(count), "--out", str(out))
        work, half = out.with_name(f".{out.name}.work"), count // 2 // 2000

        def half_done(work: Path = work, half: int = half) -> bool:
            return len(list(work.glob("part-*"))) > half

        yield measure("generate", count, partial(watch, arguments, half_done), partial(watch, arguments))


def evaluate(options: argparse.Namespace, scratch: Path) -> Iterator[Point]:
    """Samples measured against a holdout."""
    data = toyfaces(scratch / "data", IMAGES)
    bundle = train_tiny(data, scratch / "model")
    for count in options.counts:
        if options.holdout:
            data = toyfaces(scratch / f"data-{count}", 10 * count)
        arguments = ("--bundle", str(bundle), "--data", str(data), "--out", str(scratch / f"report-{count}"))
        settings = f"evaluate.samples={count}, {QUICK}"
        name = "evaluate, holdout grows" if options.holdout else "evaluate, holdout of 600"
        yield measure(name, count, partial(watch, faceforge("evaluate", *arguments, "--set", settings)))


def train(options: argparse.Namespace, scratch: Path) -> Iterator[Point]:
    """Networks of the preset `toy`, trained for a few steps."""
    for size in options.sizes:
        data = toyfaces(scratch / f"{size}", 512, size)
        arguments = ("--data", str(data), "--out", str(scratch / f"model-{size}"))
        settings = f"ingest.image_size={size}, train.kimg=0.128, train.batch_size=16"
        yield measure("train", size, partial(watch, faceforge("train", *arguments, "--set", settings)))


def toyfaces(out: Path, count: int, size: int = SIZE) -> Path:
    """An image set of drawn faces, a tenth held out."""
    settings = f"ingest.image_size={size}, ingest.limit={count}, ingest.near_duplicates=-1"
    watch(faceforge("ingest", "toyfaces", "--out", str(out), "--set", settings))
    return out


def train_tiny(data: Path, out: Path) -> Path:
    """The bundle of a model that is as good as untrained."""
    watch(faceforge("train", "--data", str(data), "--out", str(out), "--set", f"ingest.image_size={SIZE}, {TINY}"))
    return out / "bundle"


def faceforge(*arguments: str) -> list[str]:
    """A command line."""
    return [sys.executable, "-m", "faceforge.cli.main", *arguments]


def measure(part: str, count: int, *runs: Callable[[], tuple[float, int]]) -> Point:
    """One point, of runs one after the other; each returns its seconds and its peak memory in bytes (see `watch`)."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    measured = [run() for run in runs]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "part": part,
        "count": count,
        "seconds": round(sum(seconds for seconds, _ in measured), 1),
        "cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "peak_mib": round(max(memory for _, memory in measured) / 2**20),
    }


def draw(points: list[Point], out: Path) -> None:
    """Seconds and memory over the number of images, and training memory over the image size."""
    from matplotlib.figure import Figure

    figure = Figure((12, 3.6), layout="constrained")
    counted = [point for point in points if point["part"] != "train"]
    trained = [point for point in points if point["part"] == "train"]
    for axes, chosen, value, title in zip(
        figure.subplots(1, 3),
        (counted, counted, trained),
        ("cpu_seconds", "peak_mib", "peak_mib"),
        ("processor seconds by images", "peak memory by images, MiB", "training's peak memory by image size, MiB"),
        strict=True,
    ):
        for part in dict.fromkeys(point["part"] for point in chosen):
            line = [(point["count"], point[value]) for point in chosen if point["part"] == part]
            axes.plot(*zip(*sorted(line), strict=True), marker="o", label=part)
        axes.set_xscale("log")
        if chosen is trained:
            sizes = sorted({point["count"] for point in trained})
            axes.set_xticks(sizes, labels=[str(size) for size in sizes], minor=False)
            axes.minorticks_off()
        if value == "peak_mib":
            axes.set_ylim(bottom=0)
        else:
            axes.set_yscale("log")
        axes.set_title(title, fontsize=10)
        axes.grid(alpha=0.3)
        if chosen:
            axes.legend(fontsize=8)
    figure.savefig(out, dpi=100, metadata={"Software": None})


PARTS: dict[str, Callable[[argparse.Namespace, Path], Iterator[Point]]] = {
    "ingest": ingest,
    "generate": generate,
    "evaluate": evaluate,
    "train": train,
}


if __name__ == "__main__":
    main()
