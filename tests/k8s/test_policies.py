"""Which pod may reach which, by the semantics of network policies."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple

import pytest
import yaml

from tests.k8s.conftest import Objects, named, pods


class Pod(NamedTuple):
    namespace: str
    labels: dict[str, str]
    namespace_labels: dict[str, str] = {}  # noqa: RUF012
    address: str = "10.0.0.9"


def matches(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    assert set(selector) <= {"matchLabels", "matchExpressions"}
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        {"Exists": e["key"] in labels}[e["operator"]] for e in selector.get("matchExpressions", [])
    )


def is_peer(peer: dict[str, Any], pod: Pod, namespace: str) -> bool:
    if "ipBlock" in peer:
        address = ip_address(pod.address)
        first, *rest = [ip_network(net) for net in (peer["ipBlock"]["cidr"], *peer["ipBlock"].get("except", []))]
        return address in first and not any(address in net for net in rest)
    if "namespaceSelector" in peer:
        labels = {"kubernetes.io/metadata.name": pod.namespace, **pod.namespace_labels}
        if not matches(peer["namespaceSelector"], labels):
            return False
    elif pod.namespace != namespace:
        return False
    return matches(peer.get("podSelector", {}), pod.labels)


def passes(policies: Objects, direction: str, pod: Pod, other: Pod, port: int) -> bool:
    mine = [
        p["spec"]
        for p in policies
        if p["metadata"]["namespace"] == pod.namespace
        and matches(p["spec"]["podSelector"], pod.labels)
        and direction in p["spec"]["policyTypes"]
    ]
    key, side = ("ingress", "from") if direction == "Ingress" else ("egress", "to")
    rules = [rule for spec in mine for rule in spec.get(key, [])]
    return not mine or any(
        ("ports" not in rule or port in [p["port"] for p in rule["ports"]])
        and (side not in rule or any(is_peer(peer, other, pod.namespace) for peer in rule[side]))
        for rule in rules
    )


def reaches(objects: Objects, source: Pod, target: Pod, port: int) -> bool:
    policies = [o for o in objects if o["kind"] == "NetworkPolicy"]
    return passes(policies, "Egress", source, target, port) and passes(policies, "Ingress", target, source, port)


@pytest.fixture(scope="module", params=["all", "kserve", "gpu"])
def world(request: pytest.FixtureRequest, render: Callable[[str], str]) -> tuple[Objects, dict[str, Pod]]:
    objects = list(yaml.safe_load_all(render(request.param)))
    ours = {m["labels"]["app.kubernetes.io/name"]: Pod(n, m["labels"]) for n, m, _ in pods(objects)}
    others = {
        "step": Pod("kubeflow", {"workflows.argoproj.io/workflow": "faceforge-x", "anything": "else"}),
        "other": Pod("kubeflow", {"app": "notebook"}),
        "foreign-step": Pod("elsewhere", {"workflows.argoproj.io/workflow": "x"}),
        "dns": Pod("kube-system", {"k8s-app": "kube-dns"}),
        "node-dns": Pod("node", {}, address="169.254.20.10"),
        "credentials": Pod("cloud", {}, address="169.254.169.254"),
        "outside": Pod("internet", {}, address="203.0.113.5"),
        "outside6": Pod("internet", {}, address="2001:db8::5"),
        "client": Pod("ingress", {}, {"faceforge-client": "true"}),
        "prometheus": Pod("monitoring", {"app.kubernetes.io/name": "prometheus"}),
    }
    return objects, ours | others


ALLOWED = {
    ("step", "mlflow", 5000),
    ("faceforge-doctor", "mlflow", 5000),
    ("faceforge-workers", "mlflow", 5000),
    ("faceforge-serve", "mlflow", 5000),
    ("mlflow", "postgres", 5432),
    ("mlflow", "objectstore", 8333),
    ("client", "faceforge-serve", 8000),
    ("prometheus", "faceforge-serve", 8000),
    *(
        (name, dns, 53)
        for name in ("mlflow", "postgres", "objectstore", "faceforge-serve")
        for dns in ("dns", "node-dns")
    ),
}


def test_exactly_these_connections_are_allowed(world: tuple[Objects, dict[str, Pod]]) -> None:
    objects, everyone = world
    inside = {name for name, pod in everyone.items() if pod.namespace == "faceforge"}
    managed = any(o["metadata"]["name"] == "mlflow-to-managed" for o in objects)
    assert inside == {"mlflow", "faceforge-serve"} | (set() if managed else {"postgres", "objectstore"})
    found = {
        (source, target, port)
        for source in everyone
        for target in everyone
        for port in (53, 80, 443, 5000, 5432, 8000, 8080, 8333, 8888, 9333)
        if source != target
        and (source in inside or target in inside)
        and reaches(objects, everyone[source], everyone[target], port)
    }
    # A managed database and a bucket may have any address but link-local ones, and so may pods.
    anywhere = everyone.keys() - inside - {"node-dns", "credentials"} if managed else set()
    monitored = any(o["kind"] == "ServiceMonitor" for o in objects)
    there = everyone.keys() - (set() if monitored else {"prometheus"})
    allowed = {way for way in ALLOWED if way[0] in there and way[1] in everyone}
    assert found == allowed | {("mlflow", name, port) for name in anywhere for port in (443, 5432)}


def test_workers_are_reached_by_workers_alone(render: Callable[[str], str]) -> None:
    objects = list(yaml.safe_load_all(render("all")))
    worker = Pod("kubeflow", {"app.kubernetes.io/name": "faceforge-workers"})
    assert all(reaches(objects, worker, worker, port) for port in (2222, 40000))
    for other in (Pod("kubeflow", {"app": "notebook"}), Pod("elsewhere", worker.labels)):
        assert not reaches(objects, other, worker, 2222)


def test_every_policy_selects_a_pod(world: tuple[Objects, dict[str, Pod]]) -> None:
    objects, everyone = world
    for policy in (o for o in objects if o["kind"] == "NetworkPolicy"):
        assert any(
            pod.namespace == policy["metadata"]["namespace"] and matches(policy["spec"]["podSelector"], pod.labels)
            for pod in everyone.values()
        ), policy["metadata"]["name"]


def test_ports_are_those_that_containers_listen_on(world: tuple[Objects, dict[str, Pod]]) -> None:
    objects, _ = world
    for policy in (o for o in objects if o["kind"] == "NetworkPolicy"):
        meant = [
            c
            for namespace, metadata, spec in pods(objects)
            if namespace == policy["metadata"]["namespace"]
            and matches(policy["spec"]["podSelector"], metadata["labels"])
            for c in spec["containers"]
        ]
        listening = {p["containerPort"] for c in meant for p in c.get("ports", [])}
        for rule in policy["spec"].get("ingress", []):
            assert {p["port"] for p in rule.get("ports", [])} <= listening


def test_prometheus_finds_the_service(render: Callable[[str], str]) -> None:
    objects = list(yaml.safe_load_all(render("all")))
    monitor, service = named(objects, "ServiceMonitor")["spec"], named(objects, "Service", "faceforge-serve")
    assert matches(monitor["selector"], service["metadata"]["labels"])
    assert monitor["endpoints"][0]["port"] in [p["name"] for p in service["spec"]["ports"]]
