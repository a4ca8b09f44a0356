"""Space-to-depth from stock layers, so that loading a saved network needs no custom code."""

from __future__ import annotations

from typing import Any

from keras import layers


def fold(x: Any, dtype: Any) -> Any:
    """(B, 2H, 2W, C) -> (B, H, W, 4C)."""
    height, width, channels = x.shape[1:]
    x = layers.Reshape((height // 2, 2, width // 2, 2, channels), dtype=dtype, name="fold_split")(x)
    x = layers.Permute((1, 3, 2, 4, 5), dtype=dtype, name="fold_order")(x)
    return layers.Reshape((height // 2, width // 2, 4 * channels), dtype=dtype, name="fold")(x)
