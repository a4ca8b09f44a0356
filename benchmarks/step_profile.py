"""Where the time of a training step goes on a CPU: a table by kind of operation, from TensorFlow's profiler.

    python -m benchmarks.step_profile                             # the presets dcgan64 (batch 64) and toy
    python -m benchmarks.step_profile --presets faces64 --stock   # with stock Keras layers, as before `cpu_layers`

Milliseconds are those of a step by the clock, divided in proportion to the time that threads spend on each kind of
operation. The last row is the time by the clock that no thread computes: dispatch, input and waiting.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path
from unittest.mock import patch

from benchmarks.train_throughput import make_run, recipe, rounds_of

STEPS = 8
# Name of an operation's type, or of its layer -> row of the table; the first that matches counts.
KINDS = {
    "Conv2DBackpropFilter": "convolutions: gradient at the weights",
    "MatMul": "matrix products: dense layers, gradients of convolutions at the weights",
    "Conv2DBackpropInput": "convolutions: transposed, and gradient at the inputs",
    "Conv2D": "convolutions: forward",
    "FusedBatchNorm": "batch normalisation",
    "/norm": "batch normalisation",
    "relu": "activations",
    "/scale": "modulation by the style",
    "/shift": "modulation by the style",
    "CpuExecutable::Execute": "optimizers and moving average",
}
CONTAINERS = {"", "While", "If", "StatelessIf", "PartitionedCall", "StatefulPartitionedCall"}  # hold operations
OTHER = "losses, penalties, metrics, sums, casts, copies"
WAITING = "no thread computes: dispatch, input, waiting"


def main() -> None:
    """Prints a Markdown table per preset."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", default=["dcgan64", "toy"])
    parser.add_argument("--stock", action="store_true", help="stock Keras layers in place of those for CPUs")
    options = parser.parse_args()
    for preset in options.presets:
        step, kinds = profile(preset, options.stock)
        print(f"\n{preset}, {step:.0f} ms a step\n\n| operations | ms | share |\n|---|---|---|")
        for kind, milliseconds in kinds.most_common():
            print(f"| {kind} | {milliseconds:.1f} | {milliseconds / step:.0%} |")


def profile(preset: str, stock: bool) -> tuple[float, Counter[str]]:
    """Milliseconds of a step, in all and by kind of operation."""
    import tensorflow as tf

    from faceforge.compute.precision import choose_precision

    config = recipe(preset, None, "", STEPS)
    with patch("faceforge.compute.backend.accelerate", lambda network: network) if stock else patch.dict({}):
        advance = rounds_of(make_run(config, choose_precision("auto")))
    advance(STEPS)
    advance(STEPS)
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        began = time.perf_counter()
        advance(STEPS)
        step = (time.perf_counter() - began) / STEPS * 1000
        tf.profiler.experimental.stop()
        intervals = operations(next(Path(folder).rglob("*.xplane.pb")))
    kinds = Counter[str]()
    for kind, begin, end in intervals:
        kinds[kind] += end - begin
    busy = covered([(begin, end) for _, begin, end in intervals]) / STEPS / 1e9  # picoseconds
    busy = min(busy, step)
    total = kinds.total()
    return step, Counter({kind: busy * value / total for kind, value in kinds.items()} | {WAITING: step - busy})


def operations(file: Path) -> list[tuple[str, int, int]]:
    """Kind, begin and end in picoseconds of every operation of a profile."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace()
    space.ParseFromString(file.read_bytes())
    found = []
    for plane in space.planes:
        for line in plane.lines if plane.name == "/host:CPU" else ():
            for event in line.events:
                name = plane.event_metadata[event.metadata_id].name
                if "CpuExecutable::Execute" in name or ("/" in name and name.rpartition(":")[2] not in CONTAINERS):
                    begin = line.timestamp_ns * 1000 + event.offset_ps
                    found.append((kind_of(name), begin, begin + event.duration_ps))
    return found


def kind_of(name: str) -> str:
    """The row of an operation, from its name and type, as in "while/norm4_1/Cast:Cast"."""
    return next((kind for part, kind in KINDS.items() if part in name), OTHER)


def covered(intervals: list[tuple[int, int]]) -> float:
    """Length of the union of intervals."""
    total, reached = 0, 0
    for begin, end in sorted(intervals):
        total += max(0, end - max(begin, reached))
        reached = max(reached, end)
    return total


if __name__ == "__main__":
    main()
