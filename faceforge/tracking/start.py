"""What a training run starts from: fresh weights, a bundle, or a version of the registry."""

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
    """Where training starts.

    Attributes:
        name: `models:/NAME/VERSION`, a path, or `fresh weights` with a reason; for people and the lineage.
        bundle: its folder; None = fresh weights.
    """

    name: str
    bundle: Path | None = None


def check_start(wanted: str) -> str:
    """Refuses, before any work, what `starting_point` will; needs a connection where `wanted` is a version.

    Returns:
        `wanted`; a folder as an absolute path.

    Raises:
        FaceForgeError: no such folder, version or alias; a champion that does not exist yet is none.
    """
    if not wanted or wanted == CHAMPION:
        return wanted
    if not wanted.startswith("models:"):
        folder = Path(wanted).expanduser().absolute()
        BundleInfo.read(folder)
        return str(folder)
    name, version = _parsed(wanted)
    if version != CHAMPION:
        find_version(name, version)
    return wanted


def starting_point(wanted: str, model_name: str | None, run: StepRun | None, scratch: Path) -> Start:
    """What `train.init_from` means.

    A champion that does not exist yet is no error: the first run of a series starts from fresh weights. A retry
    starts from what its run's first attempt has started from, whoever is the champion by then.

    Args:
        wanted: empty; `champion` = that of `model_name`; `models:/NAME@ALIAS` or `models:/NAME/VERSION`; else a folder.
        model_name: registered model that `champion` is of; None: `champion` is refused.
        run: of the training step; None: not tracked, the registry is that of MLFLOW_TRACKING_URI.
        scratch: folder that a version's bundle is copied into.

    Raises:
        FaceForgeError: no such folder, version or alias, or it is no bundle, or the registry does not answer.
    """
    if not wanted:
        return Start(FRESH)
    if wanted != CHAMPION and not wanted.startswith("models:"):
        folder = Path(wanted).expanduser()
        BundleInfo.read(folder)
        return Start(str(folder), folder)
    if wanted == CHAMPION and not model_name:
        raise FaceForgeError("train.init_from=champion: of which model? write train.init_from=models:/NAME@champion")
    name, version = (model_name or "", CHAMPION) if wanted == CHAMPION else _parsed(wanted)
    if not current_uri():
        connect(create=False)
    before = run.tag(STARTED_TAG) if run is not None else ""
    if before.startswith(FRESH):
        return Start(before)
    if not version.isdigit() and before.startswith(f"models:/{name}/"):
        return Start(before, download_bundle(before, scratch))
    return _from_registry(name, version, scratch)


def _parsed(uri: str) -> tuple[str, str]:
    """Name, and alias or number."""
    found = MODEL_URI.fullmatch(uri)
    if found is None:
        raise FaceForgeError(f"train.init_from = {uri!r}: write champion, models:/NAME@ALIAS or models:/NAME/VERSION")
    return found["name"], found["alias"] or found["version"]


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
