"""What Kubeflow's workflow controller does with pods that fail, read from its config map."""

from __future__ import annotations

from faceforge.errors import FaceForgeError
from pipelines.cluster.kubernetes import read_config_map

_CONFIG_MAP = "workflow-controller-configmap"


def describe_retries(namespace: str = "kubeflow") -> str:
    """Which failed pods the controller starts again, in words; '' if its configuration cannot be read from here."""
    import yaml

    try:
        defaults = yaml.safe_load(read_config_map(namespace, _CONFIG_MAP).get("workflowDefaults") or "") or {}
    except (FaceForgeError, yaml.YAMLError):
        return ""
    strategy = defaults.get("spec", {}).get("templateDefaults", {}).get("retryStrategy") or {}
    # Argo's default is OnFailure, or Always with an expression (argo-workflows, docs/retries.md).
    policy = strategy.get("retryPolicy") or ("Always" if strategy.get("expression") else "OnFailure")
    if not strategy:
        return "pods are retried only by --retries of pipeline compile"
    if policy == "OnError":
        return "deleted pods are retried, those killed for lack of memory are not (see k8s/kubeflow/retries.yaml)"
    return f"deleted and killed pods are retried (policy {policy}, {strategy.get('limit', 'no')} times)"
