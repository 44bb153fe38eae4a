"""Cluster roles that are made of others, and APIServices."""

from __future__ import annotations

from typing import Any

from capim.runtime.metering import API_SERVICE, node_metrics, pod_metrics
from tests.support.workloads import Workloads

LABELS = {"team": "a"}


def _role(name: str, *resources: str, labels: dict[str, str] | None = None) -> dict[str, Any]:
    rules = [{"verbs": ["get"], "apiGroups": [""], "resources": [it]} for it in resources]
    return {"metadata": {"name": name, "labels": labels or {}}, "rules": rules}


def _resources(cluster: Workloads, name: str) -> list[str]:
    role = cluster.get("clusterroles", name, "")
    return [it for rule in role.get("rules") or () for it in rule["resources"]]


def test_a_role_takes_the_rules_of_those_it_selects() -> None:
    cluster = Workloads()
    selector = {"clusterRoleSelectors": [{"matchLabels": LABELS}]}
    cluster.create("clusterroles", "", {**_role("all"), "aggregationRule": selector})
    cluster.create("clusterroles", "", _role("b", "pods", labels=LABELS))
    cluster.create("clusterroles", "", _role("c", "nodes", "pods", labels=LABELS))
    cluster.create("clusterroles", "", _role("d", "secrets"))
    cluster.settle()
    assert _resources(cluster, "all") == ["pods", "nodes"]
    cluster.delete("clusterroles", "c", "")
    cluster.settle()
    assert _resources(cluster, "all") == ["pods"]


def _available(cluster: Workloads, name: str) -> tuple[str, str]:
    status = cluster.get("apiservices", name, "")["status"]
    (condition,) = status["conditions"]
    return condition["status"], condition["reason"]


def _service(name: str, service: str = "metrics-server") -> dict[str, Any]:
    version, _, group = name.partition(".")
    spec = {"group": group, "version": version, "groupPriorityMinimum": 1, "versionPriority": 1}
    reference = {"name": service, "namespace": "default"}
    return {"metadata": {"name": name}, "spec": {**spec, "service": reference}}


def test_an_api_service_waits_for_its_service() -> None:
    cluster = Workloads()
    cluster.create("apiservices", "", _service("v1.example.com", "x"))
    cluster.settle()
    assert _available(cluster, "v1.example.com") == ("False", "ServiceNotFound")
    ports = [{"port": 443, "protocol": "TCP", "targetPort": 443}]
    spec = {"type": "ClusterIP", "ports": ports, "clusterIP": "10.0.0.9"}
    cluster.create("services", "default", {"metadata": {"name": "x"}, "spec": spec})
    cluster.settle()
    assert _available(cluster, "v1.example.com") == ("False", "EndpointsNotFound")


def test_usage_is_served_as_long_as_a_metrics_server_is_registered() -> None:
    cluster = Workloads()
    assert "metrics.k8s.io" not in cluster.group.resources.groups()
    cluster.create("apiservices", "", _service(API_SERVICE))
    cluster.settle()
    assert _available(cluster, API_SERVICE) == ("True", "Passed")
    assert list(cluster.group.resources.groups()["metrics.k8s.io"]) == ["v1beta1"]
    cluster.delete("apiservices", API_SERVICE, "")
    assert "metrics.k8s.io" not in cluster.group.resources.groups()


def test_a_definition_has_an_api_service_for_every_version_it_serves() -> None:
    cluster = Workloads()
    schema = {"openAPIV3Schema": {"type": "object"}}
    versions = [
        {"name": name, "served": name != "v3", "storage": name == "v1", "schema": schema}
        for name in ("v1", "v2", "v3")
    ]
    names = {"plural": "things", "kind": "Thing", "singular": "thing", "listKind": "ThingList"}
    spec = {"group": "example.com", "scope": "Cluster", "names": names, "versions": versions}
    body = {"metadata": {"name": "things.example.com"}, "spec": spec}
    cluster.create("customresourcedefinitions", "", body)
    cluster.settle()
    names_of = [it["metadata"]["name"] for it in cluster.all("apiservices")]
    assert names_of == ["v1.example.com", "v2.example.com"]
    assert _available(cluster, "v1.example.com") == ("True", "Local")
    cluster.delete("customresourcedefinitions", "things.example.com", "")
    cluster.settle()
    assert cluster.all("apiservices") == []


def _pod(**requests: str) -> dict[str, Any]:
    container = {"name": "c", "resources": {"requests": requests}}
    metadata = {"name": "p", "namespace": "default", "uid": "u"}
    return {
        "metadata": metadata,
        "spec": {"containers": [container]},
        "status": {"phase": "Running"},
    }


def _cpu(usage: dict[str, str]) -> int:
    return int(usage["cpu"].removesuffix("n"))


def test_usage_is_steady_and_less_than_is_asked_for() -> None:
    pod = _pod(cpu="1", memory="1Gi")
    amounts = []
    for now in range(0, 3600, 60):
        made = pod_metrics(pod, float(now))
        assert made is not None
        amounts.append(_cpu(made["containers"][0]["usage"]))
    assert max(amounts) < 10**9
    assert max(amounts) < 1.3 * min(amounts)


def test_a_pod_that_does_not_run_uses_nothing() -> None:
    assert pod_metrics(_pod() | {"status": {"phase": "Pending"}}, 0.0) is None


def test_a_node_uses_what_its_pods_do_and_never_more_than_it_has() -> None:
    node = {
        "metadata": {"name": "n", "uid": "n"},
        "status": {"capacity": {"cpu": "2", "memory": "4Gi"}},
    }
    bare, busy = node_metrics(node, [], 0.0), node_metrics(node, [_pod(cpu="1")], 0.0)
    assert _cpu(bare["usage"]) < _cpu(busy["usage"])
    full = node_metrics(node, [_pod(cpu="64", memory="64Gi")], 0.0)
    assert full["usage"] == {"cpu": "2000000000n", "memory": "4194304Ki"}
