"""ONNX files of the form of YuNet that find the same faces in every image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

Face = tuple[float, float, float]  # centre x and y, and edge, in the 320 pixels that the network sees
LANDMARKS = ((-0.2, -0.1), (0.2, -0.1), (0.0, 0.05), (-0.15, 0.2), (0.15, 0.2))  # in units of the edge


def detector(file: Path, faces: Sequence[Face]) -> Path:
    """An ONNX file with the outputs of YuNet at strides 8, 16 and 32, whatever its input holds."""
    onnx = pytest.importorskip("onnx", reason="the onnx extra is not installed")
    from onnx import TensorProto, helper, numpy_helper

    outputs: dict[str, np.ndarray] = {}
    for stride in (8, 16, 32):
        side = 320 // stride
        for name, width in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            outputs[f"{name}_{stride}"] = np.zeros((1, side * side, width), np.float32)
    for x, y, edge in faces:
        column, row = int(x // 8), int(y // 8)
        place = row * 40 + column
        outputs["cls_8"][0, place] = outputs["obj_8"][0, place] = 0.99
        outputs["bbox_8"][0, place] = [x / 8 - column, y / 8 - row, np.log(edge / 8), np.log(edge / 8)]
        points = [(x + dx * edge, y + dy * edge) for dx, dy in LANDMARKS]
        outputs["kps_8"][0, place] = np.ravel([(a / 8 - column, b / 8 - row) for a, b in points])
    nodes = [helper.make_node("ReduceMean", ["input"], ["mean"], keepdims=0)]
    nodes += [helper.make_node("Mul", ["mean", "none"], ["zero"])]
    nodes += [helper.make_node("Add", [f"value {name}", "zero"], [name]) for name in outputs]
    constants = {"none": np.zeros((), np.float32)} | {f"value {name}": value for name, value in outputs.items()}
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 320, 320])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape) for name, value in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), file)
    return file
