"""Starting from a model that exists: whatever of it fits into new networks."""

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
_LATENT_KERNEL = "first/kernel"  # of every family's generator: latents first, then the label embeddings
_NAMED = 6  # layers that a summary names of each network

Values = dict[str, NDArray[np.float32]]


class Transferred(NamedTuple):
    """What became of a transfer.

    Attributes:
        taken: numbers that come from the source.
        total: numbers that the networks have.
        fresh: layers of each network, by its name, that start anew.
        new_labels: what the source did not know: `column` or `column=class`.
    """

    taken: int
    total: int
    fresh: dict[str, list[str]]
    new_labels: list[str]

    def summary(self) -> str:
        """One line for people."""
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
    """Starts two networks, in place, from whatever of a bundle fits: layers of the same name and shapes.

    Label embeddings go by the names of columns and classes. A class that is new to its column starts from the mean of
    the others, a new column and the levels of noise from zero, and of the generator's first layer the latents' share
    fits whether or not there are labels: so networks that differ from the source in their labels only, at first
    compute what it does.

    Args:
        source: where to start from.
        labels: the label vocabularies of the networks, columns in their order.
        generator: freshly built, of `build_networks`.
        discriminator: likewise.

    Raises:
        FaceForgeError: nothing fits; the networks are as they were.
    """
    vocabularies = _Vocabularies(source.info.labels, labels)
    taken, total = 0, 0
    fresh: dict[str, list[str]] = {}
    starts: list[tuple[Any, NDArray[np.float32]]] = []
    for network, given in ((generator, source.generator), (discriminator, source.discriminator)):
        values: Values = {variable.path: _array(variable) for variable in given.variables}
        fresh[network.name] = []
        for layer in network.layers:
            found = [
                _start(variable, values, vocabularies, source.info.spec.latent_size, network)
                for variable in layer.variables
            ]
            total += layer.count_params()
            if None in found:  # a layer fits as a whole or not at all: a bias is worth nothing without its kernel
                fresh[network.name].append(layer.name)
                continue
            for variable, start in zip(layer.variables, filter(None, found), strict=True):
                starts.append((variable, start.values))
                taken += start.taken
    if not taken:
        spec = source.info.spec
        raise FaceForgeError(
            f"nothing of the model to start from fits: it is {spec.family}, width {spec.width} up to {spec.max_width}, "
            f"{spec.image_size} px, latent {spec.latent_size}; set model.* alike, or leave train.init_from empty"
        )
    for variable, array in starts:
        variable.assign(array)
    return Transferred(taken, total, fresh, vocabularies.new())


class _Start(NamedTuple):
    """What a variable starts from, and how many numbers of that are the source's."""

    values: NDArray[np.float32]
    taken: int


class _Vocabularies:
    """The labels of the source and of the new networks, side by side."""

    def __init__(self, theirs: Mapping[str, Sequence[str]], ours: Mapping[str, Sequence[str]]) -> None:
        self._theirs, self._ours = theirs, ours

    def embedding(self, column: int, values: Values, fresh: Any) -> _Start | None:
        """The start of our `column`-th embedding, None if the source's does not fit."""
        name = list(self._ours)[column]
        if name not in self._theirs:
            return _Start(np.zeros(fresh.shape, np.float32), 0)
        known = list(self._theirs[name])
        rows = values[f"embedding_{list(self._theirs).index(name)}/embeddings"]
        if rows.shape[1] != fresh.shape[1]:
            return None
        mean = rows.mean(axis=0)
        start = np.stack([rows[known.index(label)] if label in known else mean for label in self._ours[name]])
        return _Start(start, rows.shape[1] * sum(label in known for label in self._ours[name]))

    def new(self) -> list[str]:
        """Columns that only we have, and `column=class` for classes that only we have."""
        found = []
        for name, classes in self._ours.items():
            known = self._theirs.get(name)
            found += [name] if known is None else [f"{name}={label}" for label in classes if label not in known]
        return found


def _start(
    variable: Any, values: Values, vocabularies: _Vocabularies, latent_size: int, network: keras.Model
) -> _Start | None:
    """What a variable starts from, None if nothing fits."""
    path, shape = variable.path, tuple(variable.shape)
    if match := _LABEL_EMBEDDING.fullmatch(path):
        return vocabularies.embedding(int(match[1]), values, variable)
    if path.startswith(LEVEL_EMBEDDING):  # the source's logits are those of level 0
        return _Start(np.zeros(shape, np.float32), 0)
    theirs = values.get(path)
    if path == _LATENT_KERNEL and network.inputs[0].shape[-1] != latent_size:
        return None  # whatever its shape: latents and label embeddings would be mixed up
    if theirs is not None and theirs.shape == shape:
        return _Start(theirs, theirs.size)
    if path == _LATENT_KERNEL and theirs is not None and theirs.shape[1] == shape[1]:
        start = _array(variable).copy()
        start[:latent_size] = theirs[:latent_size]
        return _Start(start, latent_size * shape[1])
    return None


def _array(variable: Any) -> NDArray[np.float32]:
    import keras

    return np.asarray(keras.ops.convert_to_numpy(variable), np.float32)
