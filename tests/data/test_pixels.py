from __future__ import annotations

import time

import numpy as np
import pytest

from faceforge.data.pixels import encode, from_bytes, map_ordered, pixel_digest


@pytest.mark.parametrize("channels", [1, 3])
def test_encoding_loses_nothing(channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 5, channels), np.uint8)
    stored = encode(pixels)
    np.testing.assert_array_equal(from_bytes(stored.png, channels), pixels)
    assert stored.sums == tuple(pixels.astype(int).sum((0, 1)))
    assert stored.squares == tuple((pixels.astype(int) ** 2).sum((0, 1)))


def test_digest_depends_on_shape_and_values() -> None:
    flat = np.zeros((4, 4, 3), np.uint8)
    changed = flat.copy()
    changed[0, 0, 0] = 1
    assert len({pixel_digest(p) for p in (flat, changed, flat.reshape(2, 8, 3), flat.reshape(4, 12, 1))}) == 4
    assert pixel_digest(flat) == pixel_digest(np.zeros((4, 8, 3), np.uint8)[:, ::2])


def test_map_keeps_order_and_raises() -> None:
    def slow_first(number: int) -> int:
        time.sleep(0.02 if number % 7 == 0 else 0)
        return number * 2

    assert list(map_ordered(slow_first, range(50))) == [number * 2 for number in range(50)]
    with pytest.raises(ZeroDivisionError):
        list(map_ordered(lambda number: 1 // number, [1, 0, 1]))
