"""Blocks of matrices in parallel."""

from __future__ import annotations

import threading

import numpy as np
from threadpoolctl import threadpool_info

from faceforge.evaluation.metrics.blocks import for_each_block, map_blocks, slices


def _blas_threads() -> set[int]:
    """Threads of NumPy's BLAS; other packages may bring their own."""
    return {
        library["num_threads"]
        for library in threadpool_info()
        if library["user_api"] == "blas" and "numpy" in library["filepath"]
    }


def test_results_are_in_order_and_each_is_computed_by_one_thread() -> None:
    before = _blas_threads()
    for _ in range(2):
        results = list(map_blocks(lambda block: (block, threading.get_ident(), _blas_threads()), range(20)))
        assert [block for block, *_ in results] == list(range(20))
        assert all(threads == {1} for *_, threads in results)
        assert _blas_threads() == before


def test_every_block_is_filled() -> None:
    numbers = np.zeros(1000)

    def fill(rows: slice) -> None:
        numbers[rows] = np.arange(rows.start, rows.stop)

    for_each_block(fill, slices(len(numbers), 64))
    np.testing.assert_array_equal(numbers, np.arange(1000))
