"""Prints the tables of docs/scaling.md, computed from rates that the other benchmarks measure.

    python benchmarks/scaling.py --prepare 1170 --write 55000 --stored 7500 --train 120

It measures nothing, so other rates or prices give new tables at once.
"""

from __future__ import annotations

import argparse
from math import comb

COUNTS = {"200 thousand": 200_000, "10 million": 10_000_000, "1 billion": 1_000_000_000}
DECODED = 64 * 64 * 3
SELECTION = 200  # bytes of memory per image during selection (digests, their order, hashes, thumbnails)
HOLDOUT, RADIUS = 0.1, 4  # ingest.holdout, ingest.near_duplicates


def main() -> None:
    """Prints two Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prepare", type=float, default=1170, help="images/s prepared by one core")
    parser.add_argument("--write", type=float, default=55_000, help="images/s written by one process")
    parser.add_argument(
        "--search", type=float, default=1.2e7, help="images/s that one core enters into a near-duplicate hash table"
    )
    parser.add_argument("--stored", type=float, default=7500, help="bytes of a stored image, 64 px")
    parser.add_argument("--train", type=float, default=120, help="images/s of training")
    parser.add_argument("--core-hour", type=float, default=0.05, help="price of a core for an hour")
    parser.add_argument("--gigabyte-month", type=float, default=0.02, help="price of storage")
    options = parser.parse_args()
    print(
        "| images | stored | prepared by 2 cores | by 64 cores | near duplicates | written | selection memory | cost |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, count in COUNTS.items():
        work = count / options.prepare
        search = count * tables(count) / options.search
        written = count / options.write
        row = [
            name,
            size(count * options.stored),
            span(work / 2),
            span(work / 64),
            span(search / 2),
            span(written),
            size(count * SELECTION),
            f"{(work + search + written) / 3600 * options.core_hour:,.2f}",
        ]
        print(f"| {' | '.join(row)} |")
    print()
    print("| images | decoded, uint8 | one pass of training | storage costs a month |")
    print("|---|---|---|---|")
    for name, count in COUNTS.items():
        row = [
            name,
            size(count * DECODED),
            span(count / options.train),
            f"{count * options.stored / 1e9 * options.gigabyte_month:,.2f}",
        ]
        print(f"| {' | '.join(row)} |")


def tables(count: int) -> int:
    """Hash tables that the search for near duplicates builds, at the default radius."""
    from faceforge.data.preprocess.near_duplicates import block_count

    held_out = int(count * HOLDOUT)
    return comb(block_count(count - held_out, held_out, RADIUS), RADIUS)


def span(seconds: float) -> str:
    """A duration with its unit."""
    for limit, unit, name in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:,.0f} {name}"
    return f"{seconds / 86_400:,.0f} days"


def size(count: float) -> str:
    """A number of bytes with its unit."""
    for limit, unit, name in ((1e9, 1e6, "MB"), (1e12, 1e9, "GB")):
        if count < limit:
            return f"{count / unit:,.0f} {name}"
    return f"{count / 1e12:,.1f} TB"


if __name__ == "__main__":
    main()
