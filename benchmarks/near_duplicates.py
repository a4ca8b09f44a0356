"""Seconds and memory of the search for near duplicates as the number of images grows: both should grow in proportion.

    python benchmarks/near_duplicates.py --counts 1000000 4000000 16000000

A tenth of the random hashes is the holdout; a thousand training images are copies of holdout images with up to
`--radius` bits changed, and must all be found. Random hashes are the best case: photographs of one kind (aligned faces)
share more bits, so more pairs are compared. Each count runs in its own process; memory is the peak of the process,
which includes the hashes (8 bytes per image).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np

HOLDOUT, COPIES = 0.1, 1000


def main() -> None:
    """Prints one line of JSON per count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[1_000_000, 4_000_000, 16_000_000])
    parser.add_argument("--radius", type=int, default=4, help="ingest.near_duplicates")
    parser.add_argument("--run", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        print(json.dumps(measure(options.run, options.radius)))
        return
    for count in options.counts:
        command = [sys.executable, __file__, "--run", str(count), "--radius", str(options.radius)]
        subprocess.run(command, check=True)


def measure(count: int, radius: int) -> dict[str, float]:
    """Searches `count` hashes; wall and processor seconds, peak memory."""
    from faceforge.data.preprocess.near_duplicates import block_count, near_duplicates, table_masks

    random = np.random.default_rng(0)
    hashes = random.integers(0, 2**64, count, np.uint64)
    held_out = int(count * HOLDOUT)
    holdout, train = hashes[:held_out], hashes[held_out:]
    for row in range(COPIES):
        bits = random.choice(64, random.integers(0, radius + 1), replace=False)
        train[row] = holdout[row] ^ np.uint64(sum(1 << int(bit) for bit in bits))
    wall, processor = time.perf_counter(), time.process_time()
    rows, _ = near_duplicates(train, holdout, radius)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    if not set(range(COPIES)) <= set(rows.tolist()):
        raise SystemExit("a copy was not found")
    return {
        "images": count,
        "radius": radius,
        "tables": len(list(table_masks(block_count(len(train), held_out, radius), radius))),
        "seconds": round(wall, 1),
        "processor_seconds": round(processor, 1),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


if __name__ == "__main__":
    main()
