"""Blocks of matrices in parallel."""

from __future__ import annotations

import threading

from threadpoolctl import threadpool_info

from faceforge.evaluation.metrics.blocks import map_blocks


def _blas_threads(_: object = None) -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_results_are_in_order_and_each_is_computed_by_one_thread() -> None:
    before = _blas_threads()
    results = list(map_blocks(lambda block: (block, threading.get_ident(), _blas_threads()), range(20)))
    assert [block for block, *_ in results] == list(range(20))
    assert all(threads == {1} for *_, threads in results)
    assert _blas_threads() == before
