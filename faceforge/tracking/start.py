"""The weights that training starts from: fresh ones, a bundle's, or a registered version's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from faceforge.errors import FaceForgeError
from faceforge.models.bundle import BundleInfo
from faceforge.tracking.connection import connect, current_uri
from faceforge.tracking.tags import STARTED_TAG
from faceforge.tracking.versions import CHAMPION, MODEL_URI, champion_bundle, download_bundle, find_version

if TYPE_CHECKING:
    from faceforge.tracking.step_run import StepRun

FRESH = "fresh weights"


@dataclass(frozen=True)
class Start:
    """The weights that training starts from.

    Attributes:
        name: `models:/NAME/VERSION`, a path, or `fresh weights` with a reason; for display and lineage.
        bundle: folder of the bundle; None = fresh weights.
    """

    name: str
    bundle: Path | None = None


def check_start(init_from: str) -> str:
    """Checks `train.init_from` before any work; needs a connection if it names a registered version.

    Returns:
        `init_from`; a folder as an absolute path.

    Raises:
        FaceForgeError: no such folder, version or alias. A champion that does not exist yet is no error.
    """
    if not init_from or init_from == CHAMPION:
        return init_from
    if not init_from.startswith("models:"):
        folder = Path(init_from).expanduser().absolute()
        BundleInfo.read(folder)
        return str(folder)
    name, version = _parsed(init_from)
    if version != CHAMPION:
        find_version(name, version)
    return init_from


def starting_point(init_from: str, model_name: str | None, run: StepRun | None, scratch: Path) -> Start:
    """Resolves `train.init_from` to a bundle, downloaded if necessary.

    A champion that does not exist yet is no error: the first run of a series starts from fresh weights. A retry
    starts from the same version as its first attempt, even if the champion has changed since.

    Args:
        init_from: empty = fresh weights; `champion` = that of `model_name`; `models:/NAME@ALIAS` or
            `models:/NAME/VERSION`; else a folder.
        model_name: registered model that `champion` is of; None: `champion` is refused.
        run: run of the training step; None: not tracked, the registry is that of MLFLOW_TRACKING_URI.
        scratch: folder for a downloaded bundle.

    Raises:
        FaceForgeError: no such folder, version or alias, not a bundle, or the registry does not answer.
    """
    if not init_from:
        return Start(FRESH)
    if init_from != CHAMPION and not init_from.startswith("models:"):
        folder = Path(init_from).expanduser()
        BundleInfo.read(folder)
        return Start(str(folder), folder)
    if init_from == CHAMPION and not model_name:
        raise FaceForgeError("train.init_from=champion: of which model? write train.init_from=models:/NAME@champion")
    name, version = (model_name or "", CHAMPION) if init_from == CHAMPION else _parsed(init_from)
    if not current_uri():
        connect(create=False)
    before = run.tag(STARTED_TAG) if run is not None else ""
    if before.startswith(FRESH):
        return Start(before)
    if not version.isdigit() and before.startswith(f"models:/{name}/"):
        return Start(before, download_bundle(before, scratch))
    return _from_registry(name, version, scratch)


def _parsed(uri: str) -> tuple[str, str]:
    """Name, and alias or number, of a model address."""
    address = MODEL_URI.fullmatch(uri)
    if address is None:
        raise FaceForgeError(f"train.init_from = {uri!r}: write champion, models:/NAME@ALIAS or models:/NAME/VERSION")
    return address["name"], address["alias"] or address["version"]


def _from_registry(name: str, version: str, scratch: Path) -> Start:
    if version == CHAMPION:
        champion = champion_bundle(name, scratch)
        if not champion.version:
            return Start(f"{FRESH}: {name} has no champion yet")
        if champion.bundle is None:
            raise FaceForgeError(
                f"the champion of {name} cannot be read: {champion.error}; roll it back, or name another"
            )
        return Start(f"models:/{name}/{champion.version}", champion.bundle)
    uri = f"models:/{name}/{find_version(name, version).version}"
    return Start(uri, download_bundle(uri, scratch))
