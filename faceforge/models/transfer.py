"""Initialises new networks with the fitting weights of an existing model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError
from faceforge.models.bundle import Bundle
from faceforge.models.conditioning import LEVEL_EMBEDDING

if TYPE_CHECKING:
    import keras

_LABEL_EMBEDDING = re.compile(r"embedding_(\d+)/embeddings")
# Layers of generators whose inputs are the latents, then the label embeddings.
_LATENT_KERNELS = ("first/kernel", "map1/kernel")
_NAMED = 6  # layers that a summary names of each network

Values = dict[str, NDArray[np.float32]]


class Transferred(NamedTuple):
    """Result of a transfer.

    Attributes:
        taken: number of weights copied from the source.
        total: number of weights of the networks.
        fresh: network name -> layers that keep their random initialisation.
        new_labels: labels unknown to the source, as `column` or `column=class`.
    """

    taken: int
    total: int
    fresh: dict[str, list[str]]
    new_labels: list[str]

    def summary(self) -> str:
        """One line for logs."""
        parts = [
            f"{self.taken:,} of {self.total:,} weights ({100 * self.taken / self.total:.0f} %) start from the source"
        ]
        for network, names in self.fresh.items():
            if names:
                more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
                parts.append(f"new in the {network}: {', '.join(names[:_NAMED])}{more}")
        if self.new_labels:
            parts.append(f"labels new to it: {', '.join(self.new_labels)}")
        return "; ".join(parts)


def transfer(
    source: Bundle, labels: Mapping[str, Sequence[str]], generator: keras.Model, discriminator: keras.Model
) -> Transferred:
    """Copies weights of a bundle into two networks, in place, for all layers with the same name and shapes.

    Label embeddings are matched by the names of columns and classes. A new class of a known column starts at the mean
    of that column's other classes; new columns and noise levels start at zero; the latents' rows of the generator's
    first layer fit with or without labels. Networks that differ from the source only in their labels therefore start
    out computing the same function. Columns that only the source has are replaced by the mean of their classes, which
    is added to the first of the new columns.

    Args:
        source: the existing model.
        labels: the new networks' label columns, in order -> classes.
        generator: freshly built by `build_networks`.
        discriminator: the same.

    Raises:
        FaceForgeError: nothing fits; the networks are unchanged.
    """
    vocabularies = _Vocabularies(source.info.labels, labels)
    taken, total = 0, 0
    fresh: dict[str, list[str]] = {}
    starts: list[tuple[Any, NDArray[np.float32]]] = []
    for network, existing in ((generator, source.generator), (discriminator, source.discriminator)):
        fresh[network.name] = []
        if existing is None:  # a release bundle has no discriminator: the new one starts fresh
            fresh[network.name] = [layer.name for layer in network.layers if layer.variables]
            total += network.count_params()
            continue
        values: Values = {variable.path: _array(variable) for variable in existing.variables}
        for layer in network.layers:
            layer_starts = [
                _start(variable, values, vocabularies, source.info.spec.latent_size, network)
                for variable in layer.variables
            ]
            total += layer.count_params()
            if None in layer_starts:  # a layer is copied whole or not at all: a bias is useless without its kernel
                fresh[network.name].append(layer.name)
                continue
            for variable, start in zip(layer.variables, filter(None, layer_starts), strict=True):
                starts.append((variable, start.values))
                taken += start.taken
    if not taken:
        spec = source.info.spec
        raise FaceForgeError(
            f"no layer of the model to start from fits: it is {spec.family}, width {spec.width} up to "
            f"{spec.max_width}, {spec.image_size} px, latent {spec.latent_size}; use the same model.* settings, or "
            "leave train.init_from empty"
        )
    for variable, array in starts:
        variable.assign(array)
    return Transferred(taken, total, fresh, vocabularies.unknown())


class _Start(NamedTuple):
    """Initial values of a variable, and how many of them come from the source."""

    values: NDArray[np.float32]
    taken: int


class _Vocabularies:
    """The label vocabularies of the source and of the new networks."""

    def __init__(self, source: Mapping[str, Sequence[str]], new: Mapping[str, Sequence[str]]) -> None:
        self._source, self._new = source, new

    def embedding(self, column: int, values: Values, fresh: Any) -> _Start | None:
        """The start of the new networks' `column`-th embedding; None if the source's does not fit."""
        name = list(self._new)[column]
        size = fresh.shape[1]
        if any(self._rows(known, values).shape[1] != size for known in self._source):
            return None if name in self._source else _Start(np.zeros(fresh.shape, np.float32), 0)
        # The embeddings of all columns are summed, so the mean of a column that is gone can move to another one.
        gone = [self._rows(known, values).mean(axis=0) for known in self._source if known not in self._new]
        offset = np.sum(gone, axis=0) if gone and column == 0 else np.zeros(size, np.float32)
        if name not in self._source:
            return _Start(np.tile(offset, (fresh.shape[0], 1)).astype(np.float32), 0)
        known_classes, rows = list(self._source[name]), self._rows(name, values)
        mean = rows.mean(axis=0)
        start = np.stack(
            [rows[known_classes.index(label)] if label in known_classes else mean for label in self._new[name]]
        )
        return _Start(start + offset, size * sum(label in known_classes for label in self._new[name]))

    def _rows(self, column: str, values: Values) -> NDArray[np.float32]:
        """The source's embeddings of the classes of one of its columns, (classes, size)."""
        return values[f"embedding_{list(self._source).index(column)}/embeddings"]

    def unknown(self) -> list[str]:
        """Columns, and `column=class` for classes of known columns, that the source does not have."""
        names: list[str] = []
        for name, classes in self._new.items():
            known = self._source.get(name)
            names += [name] if known is None else [f"{name}={label}" for label in classes if label not in known]
        return names


def _start(
    variable: Any, values: Values, vocabularies: _Vocabularies, latent_size: int, network: keras.Model
) -> _Start | None:
    """The initial values of a variable from the source; None if nothing fits."""
    path, shape = variable.path, tuple(variable.shape)
    if match := _LABEL_EMBEDDING.fullmatch(path):
        return vocabularies.embedding(int(match[1]), values, variable)
    if path.startswith(LEVEL_EMBEDDING):  # the source's logits are for level 0
        return _Start(np.zeros(shape, np.float32), 0)
    existing = values.get(path)
    if path in _LATENT_KERNELS and network.inputs[0].shape[-1] != latent_size:
        return None  # even if the shapes agree: latent and label rows would be mixed up
    if existing is not None and existing.shape == shape:
        return _Start(existing, existing.size)
    if path in _LATENT_KERNELS and existing is not None and existing.shape[1] == shape[1]:
        start = _array(variable).copy()
        start[:latent_size] = existing[:latent_size]
        return _Start(start, latent_size * shape[1])
    return None


def _array(variable: Any) -> NDArray[np.float32]:
    import keras

    return np.asarray(keras.ops.convert_to_numpy(variable), np.float32)
