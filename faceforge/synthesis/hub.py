"""Uploads a synthetic image set to a dataset repository of the Hugging Face hub, by the hub's own client."""

from __future__ import annotations

import os
from pathlib import Path

from faceforge.errors import FaceForgeError, first_line
from faceforge.synthesis.manifest import Manifest


def check_hub() -> None:
    """Checks that the client is installed.

    Raises:
        FaceForgeError: it is not.
    """
    try:
        import huggingface_hub  # noqa: F401
    except ImportError:
        raise FaceForgeError("--push needs huggingface_hub: pip install '.[hub]' in a checkout") from None


def push(folder: Path, repository: str, public: bool = False) -> str:
    """Uploads a set as one commit and returns the repository's address; a new repository is private.

    The access token is that of the client: HF_TOKEN, or what `hf auth login` stored; HF_ENDPOINT names another server.

    Args:
        folder: the set.
        repository: `USER/NAME` or `ORGANISATION/NAME`.
        public: make a new repository public.

    Raises:
        FaceForgeError: the client is not installed, or the hub refuses.
    """
    check_hub()
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    manifest = Manifest.read(folder)
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    try:
        address = api.create_repo(repository, repo_type="dataset", private=not public, exist_ok=True)
        api.upload_folder(
            repo_id=repository,
            repo_type="dataset",
            folder_path=folder,
            commit_message=f"{manifest.made:,} images by {manifest.model['name']}, digest {manifest.digest[:12]}",
        )
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise FaceForgeError(f"{repository} was not uploaded: {first_line(error, 200)}") from error
    return str(address)
