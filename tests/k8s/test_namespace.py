"""The namespace of pipelines is one setting of an overlay."""

from __future__ import annotations

from collections.abc import Callable

import yaml

from tests.k8s.conftest import K8S, named


def test_a_profile_s_namespace_replaces_kubeflow_everywhere(render: Callable[[str], str]) -> None:
    text = render("profile")
    objects = list(yaml.safe_load_all(text))
    assert {o["metadata"].get("namespace") for o in objects} == {None, "faceforge", "team-a"}
    mentions = [line.strip() for line in text.splitlines() if "kubeflow" in line]
    assert mentions == ["KF_PIPELINES_ENDPOINT: http://ml-pipeline.kubeflow:8888"], "the API server stays where it is"
    assert named(objects, "RoleBinding")["subjects"][0]["namespace"] == "team-a"
    (policy,) = (o for o in objects if o["kind"] == "NetworkPolicy" and o["metadata"]["name"] == "mlflow")
    labels = [
        source["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        for source in policy["spec"]["ingress"][0]["from"]
        if "namespaceSelector" in source
    ]
    assert labels == ["team-a"] * 3


def test_retries_of_the_workflow_controller_keep_kubeflow_s_other_settings() -> None:
    patch = yaml.safe_load((K8S / "kubeflow/retries.yaml").read_text())
    assert set(patch["data"]) == {"workflowDefaults"}
    defaults = yaml.safe_load(patch["data"]["workflowDefaults"])
    retries = defaults["spec"]["templateDefaults"]["retryStrategy"]
    assert (retries["limit"], retries["retryPolicy"]) == ("2", "Always")
    assert defaults["spec"]["ttlStrategy"]["secondsAfterCompletion"] == 3600
