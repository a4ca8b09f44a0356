"""Work on blocks of large matrices, in parallel."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from functools import cache
from typing import TypeVar

from threadpoolctl import ThreadpoolController

from faceforge.data.pixels import map_ordered

BLOCK = 1024  # rows of a block of a matrix
STRIP = 64  # rows of features whose float64 copy stays in a core's cache

_Block = TypeVar("_Block")
_Result = TypeVar("_Result")


def slices(count: int, size: int | None = None) -> list[slice]:
    """`count` rows, `size` at a time; None: those of a block."""
    size = size or BLOCK
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def map_blocks(function: Callable[[_Block], _Result], blocks: Iterable[_Block]) -> Generator[_Result]:
    """`function` of every block, in order, in a thread per core.

    A matrix product inside `function` runs in the thread that calls it. BLAS would start threads for each product, and
    all of them together would share the cores: this takes 1.5 times as long.
    """
    with _loaded_libraries().limit(limits=1, user_api="blas"):
        yield from map_ordered(function, blocks)


def for_each_block(function: Callable[[_Block], None], blocks: Iterable[_Block]) -> None:
    """Calls `function`, which writes its results into arrays, with every block, in a thread per core."""
    for _ in map_blocks(function, blocks):
        pass


@cache
def _loaded_libraries() -> ThreadpoolController:
    """The libraries with threads, NumPy's BLAS among them; finding them takes longer than a small product."""
    return ThreadpoolController()
