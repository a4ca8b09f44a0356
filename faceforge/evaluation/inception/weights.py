"""Finds or downloads the weights of the FID network and checks whether they are the published ones."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from faceforge.errors import FaceForgeError, first_line
from faceforge.evaluation.inception.checkpoint import read_checkpoint
from faceforge.evaluation.inception.tensors import tensor_shapes
from faceforge.files import atomic_file, sha256_file
from faceforge.progress import Progress

FILE = "pt_inception-2015-12-05-6726825d.pth"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
BYTES = 95_628_359
URL = f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{FILE}"
DOWNLOAD = "download"  # value in place of a path that downloads the file
HOW_TO_GET_IT = f"{FILE} (SHA-256 {SHA256}, {BYTES:,} bytes) from {URL}"


class InceptionUnavailableError(FaceForgeError):
    """The weights of the FID network are not available; metrics in other feature spaces still are."""


class WeightsFile(NamedTuple):
    """A file of weights.

    Attributes:
        path: on this machine.
        sha256: hex digest of its bytes.
    """

    path: Path
    sha256: str

    @property
    def published(self) -> bool:
        """Whether these are the weights by which FID is defined."""
        return self.sha256 == SHA256

    @property
    def note(self) -> str:
        """Note for numbers computed with other weights; empty for the published ones."""
        if self.published:
            return ""
        return f"not FID: the weights {self.path.name} (SHA-256 {self.sha256[:12]}...) are not the published {FILE}"


def find_weights(where: str = "", cache: Path | None = None) -> WeightsFile:
    """Finds the weights file, or downloads it if requested.

    Args:
        where: a path; a URL of the published file that fsspec reads (`https://`, `s3://`, `gs://`, ...); `download` for
            its published address; or empty: the file that an earlier download, pytorch-fid or torch-fidelity saved.
        cache: folder for downloaded files; default `cache_folder()`.

    Raises:
        InceptionUnavailableError: there is no such file, or it cannot be downloaded.
        FaceForgeError: a downloaded file is not the published one.
    """
    cache = cache or cache_folder()
    if not where:
        for path in (cache / FILE, *_other_caches()):
            if path.is_file() and (found := WeightsFile(path, sha256_file(path))).published:
                return found
        raise InceptionUnavailableError(
            f"the FID network is not on this machine; pass {DOWNLOAD!r} as its weights, or the path of {HOW_TO_GET_IT}"
        )
    if where == DOWNLOAD or "://" in where:
        return _fetched(URL if where == DOWNLOAD else where, cache / FILE)
    path = Path(where).expanduser()
    if not path.is_file():
        raise InceptionUnavailableError(f"weights {where} do not exist; pass the path of {HOW_TO_GET_IT}")
    return WeightsFile(path, sha256_file(path))


def read_weights(file: WeightsFile) -> dict[str, NDArray[Any]]:
    """Reads the tensors of the FID network and checks their names and shapes.

    Raises:
        FaceForgeError: the file is damaged or contains another network.
    """
    tensors = read_checkpoint(file.path)
    for name, shape in tensor_shapes().items():
        tensor = tensors.get(name)
        if tensor is None or tensor.shape != shape:
            problem = "lacks" if tensor is None else f"has the shape {tensor.shape} for"
            raise FaceForgeError(
                f"{file.path} {problem} {name} {shape}: it is not the FID network; use {HOW_TO_GET_IT}"
            )
    return tensors


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/faceforge`, by default `~/.cache/faceforge`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "faceforge"


def _other_caches() -> list[Path]:
    """Where pytorch-fid and torch-fidelity save the file."""
    hub = Path(os.environ.get("TORCH_HOME") or cache_folder().parent / "torch") / "hub" / "checkpoints"
    return [hub / FILE, hub / "weights-inception-2015-12-05-6726825d.pth"]


def _fetched(url: str, target: Path) -> WeightsFile:
    """The published file in the cache; downloaded first if it is not there."""
    if target.is_file() and sha256_file(target) == SHA256:
        return WeightsFile(target, SHA256)
    with atomic_file(target) as partial:
        try:
            import fsspec

            with fsspec.open(url, "rb") as source, partial.open("wb") as out, Progress("weights", BYTES, "byte") as bar:
                while block := source.read(1 << 20):
                    out.write(block)
                    bar.advance(len(block))
        except (OSError, ValueError, ImportError) as error:
            reason = first_line(error)
            raise InceptionUnavailableError(
                f"weights {url} cannot be fetched ({reason}); get {HOW_TO_GET_IT} another way and pass its path"
            ) from None
        if (digest := sha256_file(partial)) != SHA256:
            raise FaceForgeError(f"{url} is not the published file: SHA-256 {digest}; get {HOW_TO_GET_IT}")
    return WeightsFile(target, SHA256)
