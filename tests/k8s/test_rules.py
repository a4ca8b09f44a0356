"""Rules that all manifests must follow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from packaging.version import Version

from faceforge import __version__
from tests.k8s.conftest import Objects, named, pods


def containers(objects: Objects) -> list[dict[str, Any]]:
    return [c for _, _, spec in pods(objects) for c in spec.get("initContainers", []) + spec["containers"]]


def test_objects_are_valid_for_the_schemas_of_kubernetes(objects: Objects) -> None:
    import kubernetes_validate

    custom = {"ServiceMonitor", "InferenceService"}
    for o in objects:
        if o["kind"] not in custom:
            kubernetes_validate.validate(o, "1.32", strict=True)


def test_no_object_is_defined_twice(objects: Objects) -> None:
    names = [(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in objects]
    assert len(names) == len(set(names))
    settings = next(o for o in objects if o["metadata"]["name"] == "faceforge" and o["kind"] == "ConfigMap")
    pipelines = settings["data"]["KF_PIPELINES_NAMESPACE"]
    assert {namespace for _, namespace, _ in names} == {None, "faceforge", pipelines}


def test_pods_meet_the_restricted_standard(objects: Objects) -> None:
    assert named(objects, "Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for _, _, spec in pods(objects):
        security = spec["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] > 10000
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        assert not any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC"))
        allowed = {"name", "configMap", "secret", "emptyDir", "persistentVolumeClaim"}
        assert all(set(volume) <= allowed for volume in spec["volumes"])
    for container in containers(objects):
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["readOnlyRootFilesystem"] is True
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert "privileged" not in security
        assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}


def test_every_container_is_bounded_and_pinned(objects: Objects) -> None:
    for container in containers(objects):
        resources = container["resources"]
        assert {"cpu", "memory"} <= set(resources["requests"])
        assert {"cpu", "memory"} <= set(resources["limits"])
        image, _, tag = container["image"].rpartition(":")
        assert image
        assert tag[0].isdigit()
        if "faceforge" in image:
            assert Version(tag.removesuffix("-gpu")) == Version(__version__)


def test_long_running_containers_have_probes(objects: Objects) -> None:
    for o in objects:
        if o["kind"] in ("Deployment", "StatefulSet"):
            for container in o["spec"]["template"]["spec"]["containers"]:
                assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)


def test_selectors_find_their_pods(objects: Objects) -> None:
    everything = pods(objects)
    for o in objects:
        if o["kind"] not in ("Service", "PodDisruptionBudget"):
            continue
        selector = o["spec"]["selector"].get("matchLabels", o["spec"]["selector"])
        found = [
            spec
            for namespace, metadata, spec in everything
            if namespace == o["metadata"]["namespace"] and selector.items() <= metadata["labels"].items()
        ]
        assert len(found) == 1, o["metadata"]["name"]
        for port in o["spec"].get("ports", []):
            assert port["targetPort"] in [p["name"] for c in found[0]["containers"] for p in c["ports"]]


def test_what_pods_refer_to_exists(objects: Objects) -> None:
    existing = {(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in objects}
    for namespace, _, spec in pods(objects):
        for kind, name in referenced(spec):
            assert (kind, namespace, name) in existing


def referenced(spec: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Kind and name of the objects that a pod needs."""
    if "serviceAccountName" in spec:
        yield "ServiceAccount", spec["serviceAccountName"]
    names = {"configMap": ("ConfigMap", "name"), "secret": ("Secret", "secretName")}
    names["persistentVolumeClaim"] = ("PersistentVolumeClaim", "claimName")
    for volume in spec["volumes"]:
        yield from ((kind, volume[key][name]) for key, (kind, name) in names.items() if key in volume)
    sources = {"configMapRef": "ConfigMap", "secretRef": "Secret"}
    for container in spec.get("initContainers", []) + spec["containers"]:
        for source in container.get("envFrom", []):
            yield from ((kind, source[key]["name"]) for key, kind in sources.items() if key in source)
        for variable in container.get("env", []):
            if "valueFrom" in variable:
                yield "Secret", variable["valueFrom"]["secretKeyRef"]["name"]


def test_rights_are_few_and_named(objects: Objects) -> None:
    assert not [o for o in objects if o["kind"].startswith("Cluster")]
    role = named(objects, "Role")
    binding = named(objects, "RoleBinding")
    account = named(objects, "ServiceAccount", "faceforge")
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert [s["name"] for s in binding["subjects"]] == [account["metadata"]["name"]]
    for rule in role["rules"]:
        assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]
        if "secrets" in rule["resources"]:
            assert rule["verbs"] == ["get"]
            assert rule["resourceNames"]


def test_generated_names_change_with_their_content(objects: Objects) -> None:
    """So that a new password or address starts new pods. What compiled pipelines name stays as it is."""
    for o in objects:
        if o["kind"] in ("ConfigMap", "Secret"):
            assert bool(re.search(r"-[a-z0-9]{10}$", o["metadata"]["name"])) == (
                o["metadata"]["name"] not in ("faceforge", "faceforge-mlflow")
            )


def test_new_volumes_are_made_writable_for_the_steps(objects: Objects) -> None:
    job = named(objects, "Job", "faceforge-open-volumes")["spec"]["template"]["spec"]
    assert job["securityContext"]["fsGroup"] == 0
    opened = {volume["persistentVolumeClaim"]["claimName"] for volume in job["volumes"]}
    assert opened == {"faceforge-data", "faceforge-checkpoints"}
    assert {mount["mountPath"] for mount in job["containers"][0]["volumeMounts"]} == {"/data", "/checkpoints"}
