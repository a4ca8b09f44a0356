"""Sampling an exported ONNX file with onnxruntime and numpy, without TensorFlow.

>>> from faceforge import Generator
>>> Generator.load("generator.onnx").generate(label="smiling", num_images=20, seed=1)   # uses this module

The file contains its label vocabularies and sizes. A seed gives the same images as the bundle that the file was
exported from. Loading it runs no code from the file.
"""

from __future__ import annotations

import functools
import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceforge.compute.memory import total_memory
from faceforge.errors import FaceForgeError, first_line
from faceforge.models.ranges import to_uint8

FACTS_KEY = "faceforge"  # in the file's metadata: JSON, see `faceforge.export.onnx`
FORMAT_VERSION = 1
BATCH_SECONDS = 300.0  # for one call of the network: a file may hold a loop without end
SHARE_OF_MEMORY = 0.5  # of the machine or container, for the tensors of all networks: a file may ask for any size
_SILENT = 4  # onnxruntime's log level: errors are raised as well
_MAX_EDGE, _MAX_LATENTS = 1024, 4096


@dataclass(frozen=True)
class OnnxSpec:
    """Sizes of the generator."""

    latent_size: int
    image_size: int
    channels: int


@dataclass(frozen=True)
class OnnxInfo:
    """The file's metadata: the part of `BundleInfo` that sampling needs."""

    spec: OnnxSpec
    labels: dict[str, list[str]]
    dataset_digest: str


class OnnxModel:
    """Samples like a bundle; has no discriminator.

    Attributes:
        info: sizes, labels and provenance.
    """

    def __init__(self, info: OnnxInfo, session: Any) -> None:
        self.info, self._session = info, session

    @staticmethod
    def load(path: str | Path) -> OnnxModel:
        """Reads a file that `faceforge export` wrote.

        Raises:
            FaceForgeError: the file is missing, unreadable or not from FaceForge, or onnxruntime is not installed.
        """
        if not Path(path).is_file():
            raise FaceForgeError(f"{path} does not exist; make it with faceforge export")
        try:
            import onnxruntime
        except ImportError:
            raise FaceForgeError("reading ONNX files needs onnxruntime: pip install '.[lite]' in a checkout") from None
        _limit_memory()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _SILENT
        options.add_session_config_entry("session.use_env_allocators", "1")
        # Threads that wait for the next call by spinning would take the cores from those that encode and answer.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            metadata = session.get_modelmeta().custom_metadata_map
        except Exception as error:  # onnxruntime's own kinds share no other base
            reason = first_line(error, 200)
            raise FaceForgeError(f"{path} is not a readable ONNX file: {reason}") from None
        info = _facts(path, metadata)
        _check_interface(path, info, session)
        return OnnxModel(info, session)

    def generate(self, latents: NDArray[Any], labels: NDArray[Any], batch: int = 256) -> NDArray[np.uint8]:
        """Images uint8 (N, H, W, C) of latents (N, Z) and labels (N, columns)."""
        spec = self.info.spec
        images = np.empty((len(latents), spec.image_size, spec.image_size, spec.channels), np.uint8)
        for at in range(0, len(latents), batch):
            rows = slice(at, at + batch)
            inputs: dict[str, NDArray[Any]] = {"latents": latents[rows].astype(np.float32)}
            if self.info.labels:
                inputs["labels"] = labels[rows].astype(np.int32)
            images[rows] = to_uint8(self._run(inputs, images[rows].shape))
        return images

    def _run(self, inputs: dict[str, NDArray[Any]], shape: tuple[int, ...]) -> NDArray[Any]:
        """The network's output for a batch, of this shape.

        Raises:
            FaceForgeError: it fails, takes longer than `BATCH_SECONDS`, or has another shape.
        """
        import onnxruntime

        options = onnxruntime.RunOptions()
        options.log_severity_level = _SILENT
        deadline = threading.Timer(BATCH_SECONDS, setattr, (options, "terminate", True))
        deadline.daemon = True
        deadline.start()
        try:
            output: NDArray[Any] = self._session.run(["images"], inputs, options)[0]
        except Exception as error:  # onnxruntime's own kinds share no other base
            if options.terminate:
                reason = f"it takes longer than {BATCH_SECONDS:g} s for {len(inputs['latents'])} images"
            elif "bfc_arena" in str(error):  # onnxruntime's allocator has no type of error of its own
                reason = f"it needs more than {_memory_limit() // 2**20:,} MiB of memory"
            else:
                reason = first_line(error, 200)
            raise FaceForgeError(f"the network of the ONNX file cannot be run: {reason}") from None
        finally:
            deadline.cancel()
        if getattr(output, "shape", None) != shape or output.dtype.kind != "f":
            raise FaceForgeError(
                f"the network of the ONNX file does not return images of {shape[1]} x {shape[2]} pixels"
            )
        return output

    def logits(self, images: NDArray[np.uint8], labels: NDArray[Any], batch: int = 256) -> NDArray[np.float32]:
        """Not available: the file holds no discriminator.

        Raises:
            FaceForgeError: always.
        """
        raise FaceForgeError("an ONNX file holds the generator only; load the bundle to score images")


def _memory_limit() -> int:
    """Bytes that all networks of this process may take together."""
    return int(total_memory() * SHARE_OF_MEMORY)


@functools.cache
def _limit_memory() -> None:
    """Sets the memory limit, which onnxruntime takes once per process."""
    import onnxruntime

    place = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    settings = onnxruntime.OrtArenaCfg({"max_mem": _memory_limit(), "arena_extend_strategy": 1})
    onnxruntime.create_and_register_allocator(place, settings)


def _facts(path: str | Path, metadata: dict[str, str]) -> OnnxInfo:
    if FACTS_KEY not in metadata:
        raise FaceForgeError(f"{path} was not exported by FaceForge: its metadata lacks labels and sizes")
    try:
        facts = json.loads(metadata[FACTS_KEY])
        if facts["format_version"] != FORMAT_VERSION:
            raise FaceForgeError(f"{path} has format {facts['format_version']}; this version reads {FORMAT_VERSION}")
        spec = OnnxSpec(facts["latent_size"], facts["image_size"], facts["channels"])
        info = OnnxInfo(spec, facts["labels"], facts["dataset_digest"])
        if not _is_plausible(info):
            raise ValueError
        return info
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise FaceForgeError(f"{path} has damaged metadata; export the model again") from None


def _is_plausible(info: OnnxInfo) -> bool:
    """Whether sizes are within bounds and labels are lists of texts by column."""
    spec = info.spec
    sizes = (spec.latent_size, _MAX_LATENTS), (spec.image_size, _MAX_EDGE), (spec.channels, 3)
    return (
        all(type(size) is int and 1 <= size <= most for size, most in sizes)
        and spec.channels in (1, 3)
        and all(isinstance(column, str) for column in info.labels)
        and all(
            isinstance(classes, list) and classes and all(isinstance(name, str) for name in classes)
            for classes in info.labels.values()
        )
        and isinstance(info.dataset_digest, str)
    )


def _check_interface(path: str | Path, info: OnnxInfo, session: Any) -> None:
    """Refuses a network without the inputs and the output that its metadata promise."""
    inputs = {each.name for each in session.get_inputs()}
    expected = {"latents", "labels"} if info.labels else {"latents"}
    if inputs != expected or "images" not in {each.name for each in session.get_outputs()}:
        raise FaceForgeError(
            f"{path} is not a generator of FaceForge: it needs the inputs {' and '.join(sorted(expected))} "
            "and the output images"
        )
