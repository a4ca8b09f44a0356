"""Export of the generator as one self-contained ONNX file.

Inputs:  `latents` float32 (batch, Z), standard normal; `labels` int32 (batch, columns), class numbers, where the model
         is conditional. The batch is dynamic.
Output:  `images` float32 (batch, H, W, C), about [-1, 1].
Facts:   metadata key `faceforge`, JSON: sizes, label vocabularies in the order of the columns and of the class numbers,
         dataset digest, and how FaceForge draws the latents of a seed.

The graph is written node by node from the Keras graph with the `onnx` package; it supports the layers that our model
families use. Feature maps inside are channels first, as ONNX requires; weights are always float32.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError
from faceforge.inference.onnx import FACTS_KEY, FORMAT_VERSION
from faceforge.models.bundle import Bundle

if TYPE_CHECKING:
    import keras

OPSET = 17  # read by onnxruntime 1.12 and later
IR_VERSION = 8  # the file format that belongs to this opset

_LATENTS = "rows 256 b to 256 b + 255 of seed s: numpy.random.Generator(Philox(key=[s, b])).standard_normal float32"


def write_onnx(bundle: Bundle, path: Path) -> None:
    """Writes the bundle's generator as an ONNX file.

    Raises:
        FaceForgeError: the network has a layer that this exporter does not support.
    """
    import onnx
    from onnx import TensorProto, helper

    spec, network = bundle.info.spec, bundle.generator
    graph = _Graph()
    images = graph.channels_last(graph.value(network.outputs[0]))
    graph.nodes.append(helper.make_node("Identity", [images], ["images"]))
    inputs = [helper.make_tensor_value_info("latents", TensorProto.FLOAT, ["batch", spec.latent_size])]
    if bundle.info.labels:
        inputs.append(helper.make_tensor_value_info("labels", TensorProto.INT32, ["batch", len(spec.classes)]))
    shape: list[str | int | None] = ["batch", spec.image_size, spec.image_size, spec.channels]
    outputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "generator", inputs, outputs, graph.weights),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="faceforge",
    )
    helper.set_model_props(model, {FACTS_KEY: json.dumps(_facts(bundle), ensure_ascii=False)})
    onnx.checker.check_model(model, full_check=True)
    onnx.save_model(model, path)


def onnx_images(path: Path, inputs: list[NDArray[Any]]) -> NDArray[np.float32]:
    """Images float32 (N, H, W, C) from an exported file; inputs are latents (N, Z) [, labels (N, columns)]."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    arguments = dict(zip(("latents", "labels"), inputs, strict=False))
    return np.asarray(session.run(["images"], arguments)[0])


def _facts(bundle: Bundle) -> dict[str, Any]:
    info = bundle.info
    return {
        "format_version": FORMAT_VERSION,
        "latent_size": info.spec.latent_size,
        "image_size": info.spec.image_size,
        "channels": info.spec.channels,
        "image_range": [-1, 1],
        "labels": info.labels,
        "latents": _LATENTS,
        "dataset_digest": info.dataset_digest,
    }


class _Value(NamedTuple):
    """A tensor of the ONNX graph."""

    name: str
    channels_first: bool = False  # a feature map (batch, C, H, W) where Keras has (batch, H, W, C)


class _Graph:
    """ONNX nodes and weights, collected by walking back from an output to the inputs."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self._converted: dict[int, _Value] = {}

    def value(self, tensor: keras.KerasTensor) -> _Value:
        """The ONNX counterpart of a symbolic tensor; converts everything it depends on first."""
        if id(tensor) not in self._converted:
            layer, node_index, _ = tensor._keras_history
            node = layer._inbound_nodes[node_index]
            kind = type(layer).__name__
            if kind == "InputLayer":
                value = _Value(layer.name)
            elif kind not in _LAYERS:
                raise FaceForgeError(f"layer {layer.name} ({kind}) has no ONNX counterpart in this exporter")
            elif kind == "GetItem":
                value = _LAYERS[kind](self, node.arguments.args[1], [self.value(node.arguments.args[0])])
            else:
                value = _LAYERS[kind](self, layer, [self.value(tensor) for tensor in node.input_tensors])
            self._converted[id(tensor)] = value
        return self._converted[id(tensor)]

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node with one output; returns the output's name."""
        from onnx import helper

        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name, **attributes))
        return name

    def weight(self, values: Any) -> str:
        """Adds a constant, floats as float32 and integers as int64; returns its name."""
        from onnx import numpy_helper

        array = np.asarray(values)
        array = array.astype(np.int64 if array.dtype.kind == "i" else np.float32)
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def channels_first(self, value: _Value) -> str:
        """The name of a feature map as (batch, C, H, W)."""
        return value.name if value.channels_first else self.add("Transpose", value.name, perm=[0, 3, 1, 2])

    def channels_last(self, value: _Value) -> str:
        """The name of a tensor in Keras' layout, channels last."""
        return self.add("Transpose", value.name, perm=[0, 2, 3, 1]) if value.channels_first else value.name


def _dense(graph: _Graph, layer: Any, inputs: list[_Value]) -> _Value:
    name = graph.add("MatMul", inputs[0].name, graph.weight(_array(layer.kernel)))
    if layer.use_bias:
        name = graph.add("Add", name, graph.weight(_array(layer.bias)))
    return _Value(_activated(graph, layer, name))


def _reshape(graph: _Graph, layer: Any, inputs: list[_Value]) -> _Value:
    shape = graph.weight([0, *layer.target_shape])  # 0 keeps the batch
    return _Value(graph.add("Reshape", graph.channels_last(inputs[0]), shape))


def _batch_norm(graph: _Graph, layer: Any, inputs: list[_Value]) -> _Value:
    parts = (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance)
    weights = [graph.weight(_array(part)) for part in parts]
    x = graph.channels_first(inputs[0])
    return _Value(graph.add("BatchNormalization", x, *weights, epsilon=layer.epsilon), True)


def _convolution(graph: _Graph, layer: Any, inputs: list[_Value]) -> _Value:
    kernel = _array(layer.kernel).transpose(3, 2, 0, 1)  # (h, w, in, out) -> (out, in, h, w)
    parts = [graph.weight(kernel), *([graph.weight(_array(layer.bias))] if layer.use_bias else [])]
    name = graph.add(
        "Conv", graph.channels_first(inputs[0]), *parts, strides=list(layer.strides), auto_pad="SAME_UPPER"
    )
    return _Value(_activated(graph, layer, name), True)


def _transposed_convolution(graph: _Graph, layer: Any, inputs: list[_Value]) -> _Value:
    kernel = _array(layer.kernel).transpose(3, 2, 0, 1)  # (h, w, out, in) -> (in, out, h, w)
    parts = [graph.weight(kernel), *([graph.weight(_array(layer.bias))] if layer.use_bias else [])]
    surplus = [size - stride for size, stride in zip(layer.kernel_size, layer.strides, strict=True)]
    pads = [each // 2 for each in surplus] + [each - each // 2 for each in surplus]
    name = graph.add("ConvTranspose", graph.channels_first(inputs[0]), *parts, strides=list(layer.strides), pads=pads)
    return _Value(_activated(graph, layer, name), True)


def _upsampling(graph: _Graph, layer: Any, inputs: list[_Value]) -> _Value:
    scales = graph.weight(np.array([1, 1, *layer.size], np.float32))
    attributes = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
    return _Value(graph.add("Resize", graph.channels_first(inputs[0]), "", scales, **attributes), True)


def _leaky_relu(graph: _Graph, layer: Any, inputs: list[_Value]) -> _Value:
    (x,) = inputs
    return _Value(graph.add("LeakyRelu", x.name, alpha=float(layer.negative_slope)), x.channels_first)


def _relu(graph: _Graph, layer: Any, inputs: list[_Value]) -> _Value:
    (x,) = inputs
    return _Value(graph.add("Relu", x.name), x.channels_first)


def _cropping(graph: _Graph, layer: Any, inputs: list[_Value]) -> _Value:
    first, last = layer.cropping
    bounds = [graph.weight([first]), graph.weight([-last if last else np.iinfo(np.int64).max]), graph.weight([1])]
    return _Value(graph.add("Slice", inputs[0].name, *bounds))


def _column(graph: _Graph, key: Any, inputs: list[_Value]) -> _Value:
    return _Value(graph.add("Gather", inputs[0].name, graph.weight(int(key[1])), axis=1))


def _embedding(graph: _Graph, layer: Any, inputs: list[_Value]) -> _Value:
    return _Value(graph.add("Gather", graph.weight(_array(layer.embeddings)), inputs[0].name))


def _elementwise(kind: str, graph: _Graph, layer: Any, inputs: list[_Value]) -> _Value:
    """Sums or products; a feature map keeps its layout, and what is combined with it is brought into that layout."""
    channels_first = any(value.channels_first for value in inputs)
    names = [graph.channels_first(value) if channels_first else value.name for value in inputs]
    return _Value(graph.add(kind, *names), channels_first)


def _concatenation(graph: _Graph, layer: Any, inputs: list[_Value]) -> _Value:
    return _Value(graph.add("Concat", *(graph.channels_last(value) for value in inputs), axis=layer.axis))


_LAYERS: dict[str, Callable[[_Graph, Any, list[_Value]], _Value]] = {
    "Add": partial(_elementwise, "Sum"),
    "BatchNormalization": _batch_norm,
    "Concatenate": _concatenation,
    "Conv2D": _convolution,
    "Conv2DTranspose": _transposed_convolution,
    "Cropping1D": _cropping,
    "Dense": _dense,
    "Embedding": _embedding,
    "GetItem": _column,  # in bundles of earlier versions
    "LeakyReLU": _leaky_relu,
    "Multiply": partial(_elementwise, "Mul"),
    "ReLU": _relu,
    "Reshape": _reshape,
    "UpSampling2D": _upsampling,
}
_ACTIVATIONS = {"linear": "", "tanh": "Tanh"}


def _activated(graph: _Graph, layer: Any, name: str) -> str:
    activation = layer.activation.__name__
    if activation not in _ACTIVATIONS:
        raise FaceForgeError(f"layer {layer.name} has the activation {activation}, which this exporter does not know")
    return graph.add(_ACTIVATIONS[activation], name) if _ACTIVATIONS[activation] else name


def _array(variable: Any) -> NDArray[np.float32]:
    import keras

    return np.asarray(keras.ops.convert_to_numpy(variable), np.float32)
