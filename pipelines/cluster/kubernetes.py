"""Access to the Kubernetes API, where this machine or pod has it."""

from __future__ import annotations

from typing import Any

from faceforge.errors import FaceForgeError


def connect_kubernetes() -> Any:
    """A client of the cluster of KUBECONFIG, `~/.kube/config`, or of this pod.

    Raises:
        FaceForgeError: no cluster is configured.
    """
    from kubernetes import client, config

    try:
        try:
            config.load_kube_config()
        except config.ConfigException:
            config.load_incluster_config()
    except config.ConfigException:
        raise FaceForgeError("no Kubernetes cluster is configured; set KUBECONFIG or write ~/.kube/config") from None
    settings = client.Configuration.get_default_copy()
    settings.retries = False
    return client.ApiClient(settings)
