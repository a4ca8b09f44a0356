"""Images per second and peak memory of ingest for sources of growing size; both should stay constant.

    python benchmarks/ingest_scale.py --counts 20000 200000
    python benchmarks/ingest_scale.py --counts 20000 200000 --source faces.parquet --edge 64

The images of a source (default: toy faces) are repeated, each copy marked with its number so that no two are equal, and
written as JPEG in Parquet. Then `faceforge ingest` runs in its own process without the search for near duplicates,
because all copies are near duplicates. Memory is the peak sum of the resident memory of its processes, sampled ten
times a second; shared memory is counted in each of them.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

ROWS = 500
DISTINCT = 2000
MARK = 4  # edge of one of the blocks of a mark, pixels: they survive JPEG
KINDS = 4  # classes of the label column


def main() -> None:
    """Prints one line of JSON per count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[20_000, 200_000])
    parser.add_argument("--source", default="toyfaces", help="any source that ingest takes")
    parser.add_argument("--edge", type=int, default=64, choices=[32, 64, 128], help="of the repeated images, px")
    parser.add_argument("--image-size", type=int, default=64, choices=[32, 64, 128], help="ingest.image_size")
    options = parser.parse_args()
    for count in options.counts:
        with tempfile.TemporaryDirectory() as scratch:
            file, out = Path(scratch) / "repeated.parquet", Path(scratch) / "set"
            repeat(originals(options.source, options.edge), count, file)
            seconds, memory = watch(command(file, out, options.image_size))
            began = time.perf_counter()
            subprocess.run(command(file, out, options.image_size), check=True, capture_output=True)
            again = time.perf_counter() - began
            info = json.loads((out / "dataset.json").read_text())
            kept = sum(split["total"] for split in info["counts"].values())
            measured = {
                "images": count,
                "kept": kept,
                "seconds": round(seconds, 1),
                "images_per_second": round(count / seconds, 1),
                "peak_mib": round(memory / 2**20),
                "source_mib": round(file.stat().st_size / 2**20),
                "set_mib": round(sum(shard.stat().st_size for shard in out.glob("*.parquet")) / 2**20),
                "unchanged_seconds": round(again, 1),
            }
            print(json.dumps(measured), flush=True)


def command(file: Path, out: Path, size: int) -> list[str]:
    """The command line of ingest."""
    settings = f"ingest.image_size={size}, ingest.limit=0, ingest.labels=kind, ingest.near_duplicates=-1"
    return [sys.executable, "-m", "faceforge.cli.main", "ingest", str(file), "--out", str(out), "--set", settings]


def originals(source: str, edge: int) -> list[NDArray[np.uint8]]:
    """Some images of a source, uint8 (edge, edge, 3)."""
    from faceforge.config import IngestConfig
    from faceforge.data.preprocess.prepare import RejectedError, prepare_image
    from faceforge.data.sources import open_source

    config = IngestConfig.model_validate({"image_size": edge, "labels": (), "limit": DISTINCT})
    images = []
    for sample in open_source(source, config).samples():
        try:
            images.append(prepare_image(sample.read(), config).pixels)
        except RejectedError:
            continue
    return images


def repeat(images: list[NDArray[np.uint8]], count: int, file: Path) -> None:
    """Writes `count` marked copies as JPEG in Parquet."""
    rows: Iterator[dict[str, object]] = (
        {"image": {"bytes": marked(image, number), "path": f"{number:09d}.jpg"}, "kind": f"kind {number % KINDS}"}
        for number, image in enumerate(islice(cycle(images), count))
    )
    schema = pa.schema([("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])), ("kind", pa.string())])
    with pq.ParquetWriter(file, schema, compression="none") as writer:
        while batch := list(islice(rows, ROWS)):
            writer.write_table(pa.Table.from_pylist(batch, schema))


def marked(image: NDArray[np.uint8], number: int) -> bytes:
    """The image as JPEG, with its number in binary as black and white blocks along the upper and lower edges."""
    copy = image.copy()
    for bit in range(copy.shape[1] // MARK):
        copy[:MARK, bit * MARK : (bit + 1) * MARK] = 255 * (number >> bit & 1)
    for bit in range(copy.shape[1] // MARK):
        copy[-MARK:, bit * MARK : (bit + 1) * MARK] = 255 * (number >> (bit + copy.shape[1] // MARK) & 1)
    buffer = io.BytesIO()
    Image.fromarray(copy).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def watch(arguments: list[str], stop: Callable[[], bool] = lambda: False) -> tuple[float, int]:
    """Runs a command to its end, or kills it once `stop` returns true.

    Returns:
        its seconds, and the peak memory of it and its children in bytes.
    """
    began, peak = time.perf_counter(), 0
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
    main = psutil.Process(process.pid)
    while process.poll() is None:
        resident = 0
        try:
            for member in (main, *main.children(recursive=True)):
                resident += member.memory_info().rss
        except psutil.Error:
            continue
        peak = max(peak, resident)
        if stop():
            process.kill()
            process.wait()
            return time.perf_counter() - began, peak
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)}: failed with exit code {process.returncode}")
    return time.perf_counter() - began, peak


if __name__ == "__main__":
    main()
