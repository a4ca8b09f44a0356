"""One table: what FaceForge does, what others do, and the ratio; every row from one run on this machine.

    python benchmarks/table.py                          # about half an hour on two cores
    python benchmarks/table.py --torch PYTHON           # also beside PyTorch, torch-fidelity and prdc in this Python
    python benchmarks/table.py --quick                  # fewer rounds: rough figures in about five minutes
    python benchmarks/table.py --only evaluation

Runs the other benchmarks of this folder, whose descriptions say what is compared. Within a row both sides were measured
in interleaved rounds, so other work on the machine slows both. A ratio above 1 means that FaceForge is faster. What is
not installed is named in the row.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TUNED = {
    "torch_bfloat16": "PyTorch, bfloat16, channels_last",
    "torch_compiled": "PyTorch, bfloat16, channels_last, compiled",
}


@dataclass(frozen=True)
class Row:
    """One comparison; `unit` is images/s, of which more is better, or s, of which less is."""

    what: str
    unit: str
    ours: float | None
    peer: str
    theirs: float | None

    @property
    def ratio(self) -> float | None:
        """How many times faster FaceForge is; None if one side was not measured."""
        if not self.ours or not self.theirs:
            return None
        return self.ours / self.theirs if self.unit == "images/s" else self.theirs / self.ours

    def line(self, machine: str) -> str:
        """The row as Markdown."""
        ours, theirs = ("not measured" if x is None else f"{x:,.3g} {self.unit}" for x in (self.ours, self.theirs))
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        return f"| {self.what} | {ours} | {self.peer}: {theirs} | {ratio} | {machine} |"


def main() -> None:
    """Prints the table, a row as soon as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch", default="", metavar="PYTHON", help="a Python that has PyTorch, torch-fidelity, prdc")
    parser.add_argument("--only", default="", choices=["", *PARTS])
    parser.add_argument("--quick", action="store_true", help="fewer rounds and images: rough figures")
    options = parser.parse_args()
    machine = f"{len(os.sched_getaffinity(0))} cores, {processor()}"
    print("| what | FaceForge | peer | ratio | machine |\n|---|---|---|---|---|", flush=True)
    for name, part in PARTS.items():
        if options.only in ("", name):
            for row in part(options.torch, options.quick):
                print(row.line(machine), flush=True)


def training(torch: str, quick: bool) -> Iterator[Row]:
    """The standard DCGAN-64, and the default family with its penalties."""
    arguments = ["--rounds", "2", "--steps", "2"] if quick else []
    for preset, what in {"dcgan64": "DCGAN-64", "toy": "default family, preset toy"}.items():
        peer = ["--torch", torch] if torch else []
        (found,) = script("train_throughput.py", "--preset", preset, *arguments, *peer)
        rates = found["images_per_second"]
        tuned = max((name for name in rates if name in TUNED), key=rates.get, default="torch_bfloat16")
        yield Row(f"training, {what}, float32", "images/s", rates["faceforge_float32"], "PyTorch, plain",
                  rates.get("torch_float32"))  # fmt: skip
        yield Row(f"training, {what}, fastest precision", "images/s", list(rates.values())[-1], TUNED[tuned],
                  rates.get(tuned))  # fmt: skip


def evaluation(torch: str, quick: bool) -> Iterator[Row]:
    """Distances of 10,000 samples, and the FID network."""
    effort = ["--images", "64", "--rounds", "1"] if quick else []
    (found,) = script("evaluation.py", *effort, *(["--peer", torch] if torch else []))
    count = f"{found['samples']:,} samples, {found['dimensions']} features"
    peers = {
        "frechet": ("Frechet distance", "pytorch-fid's formula"),
        "frechet_singular": ("Frechet distance, few images", "pytorch-fid's formula"),
        "kid": (f"KID, {count}", "torch-fidelity"),
        "prdc": (f"precision, recall, density, coverage, {count}", "prdc"),
        "neighbours": (f"nearest neighbours, both ways, {count}", "scikit-learn"),
    }
    for name, (what, peer) in peers.items():
        yield Row(what, "s", found[f"{name}_seconds"], peer, found.get(f"{name}_reference_seconds"))
    best = max(found["float32_images_per_second"], found["bfloat16_images_per_second"])
    yield Row("FID network, 64 px", "images/s", best, "torch-fidelity", found.get("torch_fidelity_images_per_second"))


def ingest(torch: str, quick: bool) -> Iterator[Row]:
    """Folders of JPEG files to data sets."""
    few = ["--count", "500", "--rounds", "1"] if quick else []
    large = ["--width", "1024", "--height", "1024", "--count", "1000", *few]
    peers = {"tfds": "TFDS ImageFolder", "datasets": "Hugging Face datasets", "bare": "bare loop, writes nothing"}
    for size, arguments in {"178 x 218": few, "1024 x 1024": large}.items():
        (found,) = script("ingest.py", *arguments)
        for name, peer in peers.items():
            rates = found.get("faceforge_images_per_second"), found.get(f"{name}_images_per_second")
            yield Row(f"ingest, {size} to 64 px", "images/s", rates[0], peer, rates[1])


def serving(torch: str, quick: bool) -> Iterator[Row]:
    """DCGAN-64 by onnxruntime, 64 clients."""
    (found,) = script("serving.py", "--clients", "64", "--batches", "256")
    rates = found["images_per_second"], found["network_images_per_second"]
    yield Row("HTTP service, DCGAN-64, 64 clients", "images/s", rates[0], "its network alone", rates[1])


def sampling(torch: str, quick: bool) -> Iterator[Row]:
    """The same generator in Keras and onnxruntime."""
    effort = ["--rounds", "1", "--seconds", "0.1"] if quick else []
    (found,) = script("generate.py", "--batches", "64", *effort)
    keras = next(value for name, value in found.items() if name.startswith("keras_"))
    yield Row("sampling, DCGAN-64", "images/s", keras, "onnxruntime", found["onnx_cpu_images_per_second"])


def script(name: str, *arguments: str) -> list[dict[str, Any]]:
    """Runs a benchmark; the lines of JSON that it prints."""
    command = [sys.executable, str(HERE / name), *arguments]
    finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in finished.stdout.splitlines() if line.startswith("{")]


def processor() -> str:
    """The processor's model name."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.is_file() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


PARTS: dict[str, Callable[[str, bool], Iterator[Row]]] = {
    "training": training,
    "evaluation": evaluation,
    "ingest": ingest,
    "sampling": sampling,
    "serving": serving,
}


if __name__ == "__main__":
    main()
