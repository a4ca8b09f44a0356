"""The address of a Kubeflow Pipelines server and the identity that calls it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from faceforge.errors import FaceForgeError

ENDPOINT = "KF_PIPELINES_ENDPOINT"
UI_ENDPOINT = "KF_PIPELINES_UI_ENDPOINT"
TOKEN = "KF_PIPELINES_TOKEN"  # noqa: S105  (the name of a variable)
TOKEN_PATH = "KF_PIPELINES_SA_TOKEN_PATH"  # noqa: S105
NAMESPACE = "KF_PIPELINES_NAMESPACE"


@dataclass(frozen=True)
class Server:
    """A Kubeflow Pipelines server, and the namespace and account that runs use there.

    Attributes:
        endpoint: address of the API; '' = environment variable KF_PIPELINES_ENDPOINT.
        namespace: profile namespace of a multi-user installation.
        service_account: Kubernetes service account of the pods; '' = the namespace's default.
    """

    endpoint: str = ""
    namespace: str = ""
    service_account: str = ""

    @property
    def address(self) -> str:
        """The API's address with its scheme and without a trailing slash.

        Raises:
            FaceForgeError: none is set, or it is no http(s) address.
        """
        endpoint = self.endpoint or os.environ.get(ENDPOINT, "")
        if not endpoint:
            raise FaceForgeError(
                f"no Kubeflow Pipelines endpoint: set {ENDPOINT} (for example http://localhost:8888) or give "
                "--endpoint; to run on this machine instead: make run"
            )
        endpoint = _without_account(endpoint if "://" in endpoint else f"https://{endpoint}", ENDPOINT).rstrip("/")
        if not endpoint.startswith(("http://", "https://")):
            raise FaceForgeError(f"{ENDPOINT} {endpoint!r} is not an http(s) address")
        return endpoint

    def page(self, kind: str, identifier: str) -> str:
        """Address of a page of the UI; `kind` is `runs` or `recurringrun`."""
        ui = _without_account(os.environ.get(UI_ENDPOINT, ""), UI_ENDPOINT).rstrip("/") or self.address
        return f"{ui}/#/{kind}/details/{identifier}"


def _without_account(address: str, variable: str) -> str:
    """The same address; a FaceForgeError if it holds a user or password, which would be printed and are never used."""
    if "@" in address.partition("://")[2]:
        raise FaceForgeError(f"{variable} contains a user name or password; remove it, and set {TOKEN} for access")
    return address
