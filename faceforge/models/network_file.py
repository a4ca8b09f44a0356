"""Reading a network from a `.keras` file that may come from a stranger.

Keras builds whatever the file describes before it looks at the weights. So the description is checked first: it may use
plain layers of Keras only, and may need no more memory than the weights in the file account for.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

_DESCRIPTION, _WEIGHTS = "config.json", "model.weights.h5"
_DESCRIPTION_BYTES = 8 * 2**20
_FEATURES = 2**26  # values per image that a layer may return: 1,024 channels of 256 x 256 pixels
_WEIGHT_BYTES = 2  # of the smallest type of weights, bfloat16
_CLASSES = {
    *("Add", "Concatenate", "Dot", "Functional", "InputLayer", "Multiply", "__keras_tensor__"),
    *("BatchNormalization", "Conv2D", "Conv2DTranspose", "Dense", "Embedding", "LeakyReLU", "ReLU", "Rescaling"),
    *("Cropping1D", "Flatten", "Permute", "Reshape", "UpSampling2D"),
    *("DTypePolicy", "GlorotUniform", "HeNormal", "Ones", "RandomNormal", "VarianceScaling", "Zeros"),
    *("GetItem", "__slice__"),  # of bundles with several label columns from before Cropping1D took their place
    # Not of FaceForge's own networks; bundles may hold others.
    *("Activation", "Average", "AveragePooling2D", "GlobalAveragePooling2D", "GroupNormalization"),
    *("LayerNormalization", "MaxPooling2D", "Softmax", "Subtract"),
    *("Constant", "GlorotNormal", "HeUniform", "RandomUniform", "TruncatedNormal"),
}


def read_network(path: Path) -> keras.Model:
    """Reads a network without running code of the file, and without building one that is larger than its weights.

    Raises:
        ValueError: it describes something else than a network of plain layers, or a larger one than the file holds.
        Exception: the file is damaged; Keras raises many types.
    """
    import keras

    with zipfile.ZipFile(path) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise ValueError("its parts are compressed, which Keras never does")
        with archive.open(_WEIGHTS) as weights:
            _check_weights(weights, path.stat().st_size)
        with archive.open(_DESCRIPTION) as stream:
            text = stream.read(_DESCRIPTION_BYTES + 1)
    if len(text) > _DESCRIPTION_BYTES:
        raise ValueError(f"its description is longer than {_DESCRIPTION_BYTES // 2**20} MiB")
    description = json.loads(text)
    names = list(_class_names(description))
    if foreign := sorted(set(names) - _CLASSES):
        raise ValueError(f"it uses {foreign[0][:60]!r}, which is not among the layers that are read")
    if names.count("Functional") > 1:
        raise ValueError("it has networks inside of its network")
    # Keras initialises weights that a thread has left open later in that thread; the check's own thread has no later.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(_check_size, description, path.stat().st_size).result()
    return keras.saving.load_model(path, compile=False, safe_mode=True)


def _class_names(description: Any) -> Iterator[str]:
    """The names of all classes in a description of a network."""
    if isinstance(description, dict):
        if "class_name" in description:
            yield str(description["class_name"])
        description = list(description.values())
    if isinstance(description, list):
        for part in description:
            yield from _class_names(part)


def _check_size(description: dict[str, Any], file_bytes: int) -> None:
    """Refuses a description of more weights than the file holds, or of very large feature maps; allocates nothing."""
    import keras

    with keras.StatelessScope(initialize_variables=False):
        network = keras.saving.deserialize_keras_object(description, safe_mode=True)
    if (count := network.count_params()) * _WEIGHT_BYTES > file_bytes:
        raise ValueError(f"it describes a network of {count:,} weights, more than the file holds")
    for layer in network.layers:
        for output in [layer.output] if hasattr(layer.output, "shape") else layer.output:
            if math.prod(size or 1 for size in output.shape) > _FEATURES:
                raise ValueError(f"its layer {layer.name[:60]!r} returns more than {_FEATURES:,} values per image")


def _check_weights(stream: Any, file_bytes: int) -> None:
    """Refuses weights that lead to other files, or that unpack to more than the file's size."""
    import h5py

    with h5py.File(stream, "r") as file:
        groups = [file]
        while groups:
            group = groups.pop()
            for name in group:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise ValueError("its weights refer to other files or places")
                item = group[name]
                if isinstance(item, h5py.Group):
                    groups.append(item)
                elif item.external or item.is_virtual:
                    raise ValueError("its weights refer to other files or places")
                elif item.size * item.dtype.itemsize > file_bytes:
                    raise ValueError("its weights are larger than the file")
