"""Publishing a synthetic image set to a folder or an object store, completely or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

from faceforge.errors import FaceForgeError, first_line
from faceforge.files import atomic_folder
from faceforge.synthesis.manifest import MANIFEST, Manifest


def published_name(manifest: Manifest) -> str:
    """Name of the published folder, such as `faceforge-3-0123456789ab`: model, version and content digest."""
    model = manifest.model["name"].removeprefix("models:/").replace("/", "-")
    return f"{model}-{manifest.digest[:12]}"


def publish(folder: Path, destination: str) -> str:
    """Copies a synthetic image set to `DESTINATION/NAME` and returns that address.

    Args:
        folder: the set.
        destination: a folder, or an fsspec address such as `s3://bucket/faces`.

    The manifest is written last, so that a folder with a manifest is complete. A set that is already
    published is not written again.

    Raises:
        FaceForgeError: the destination cannot be written to.
    """
    manifest = Manifest.read(folder)
    name = published_name(manifest)
    if "://" not in destination:
        return str(_to_folder(folder, Path(destination).expanduser().absolute() / name))
    address = f"{destination.rstrip('/')}/{name}"
    try:
        import fsspec

        files, root = fsspec.url_to_fs(address)
        if files.exists(f"{root}/{MANIFEST}") and files.cat_file(f"{root}/{MANIFEST}") == _text(folder):
            return address
        for file in manifest.files:
            target = f"{root}/{file.path}"
            files.makedirs(target.rpartition("/")[0], exist_ok=True)
            files.put_file(str(folder / file.path), target)
        files.put_file(str(folder / MANIFEST), f"{root}/{MANIFEST}")
    except Exception as error:  # every kind of store fails in its own ways
        reason = first_line(error, 200)
        raise FaceForgeError(f"{destination} cannot be written to: {reason}") from error
    return address


def _to_folder(folder: Path, target: Path) -> Path:
    if (target / MANIFEST).is_file() and (target / MANIFEST).read_bytes() == _text(folder):
        return target
    try:
        with atomic_folder(target) as partial:
            shutil.copytree(folder, partial, dirs_exist_ok=True)
    except OSError as error:
        raise FaceForgeError(f"{target.parent} cannot be written to: {error.strerror or error}") from error
    return target


def _text(folder: Path) -> bytes:
    return (folder / MANIFEST).read_bytes()
