"""Resizing in known cases; `inception/test_network.py` compares it with TensorFlow's own operation."""

import numpy as np

from faceforge.evaluation.inception.resize import resize_tf1


def test_has_no_half_pixel_offset() -> None:
    ramp = np.arange(4, dtype=np.float32)[None, :, None] * np.ones((4, 1, 1), np.float32)
    np.testing.assert_allclose(resize_tf1(ramp, 8)[0, :, 0], [0, 0.5, 1, 1.5, 2, 2.5, 3, 3])
