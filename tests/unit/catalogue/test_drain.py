"""What draining a node asks: its pods, their owners, evictions, and what keeps volumes attached."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.unit.catalogue.site import JSON, MERGE, PROBE, PROTOBUF, TYPED, WORKER

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from tests.support.served import Answer
    from tests.unit.catalogue.site import Site

_PODS = "/api/v1/namespaces/default/pods"
_SELECTOR = quote(f"spec.nodeName={WORKER}", safe="")
#: the Eviction of default/free, as 1.14 was recorded to send it
_EVICTION = bytes.fromhex(
    "6b3873000a150a09706f6c6963792f763112084576696374696f6e"
    "121f0a1b0a046672656512001a0764656661756c7422002a0032003800420012001a002200"
)
_EMPTY_LIST_KINDS = {
    "/apis/storage.k8s.io/v1/volumeattachments": "VolumeAttachmentList",
    "/api/v1/persistentvolumes": "PersistentVolumeList",
}


def _run_pod(
    site: Site, name: str, *, namespace: str = "default", node: str = WORKER
) -> JsonObject:
    path = f"/api/v1/namespaces/{namespace}/pods"
    spec = {"nodeName": node, "containers": [{"name": "c", "image": "x:1"}]}
    site.create(path, {"metadata": {"name": name, "labels": {"app": name}}, "spec": spec})
    ready = {"type": "Ready", "status": "True"}
    patch = {"status": {"phase": "Running", "conditions": [ready]}}
    answer = site.send("PATCH", f"{path}/{name}/status", patch, content_type=MERGE)
    assert answer.status == 200, answer.body
    return answer.json()


def _evict(site: Site, name: str = "free", *, namespace: str = "default") -> Answer:
    eviction = {
        "kind": "Eviction",
        "apiVersion": "policy/v1",
        "metadata": {"name": name, "namespace": namespace},
        "deleteOptions": {},
    }
    path = f"/api/v1/namespaces/{namespace}/pods/{name}/eviction?timeout=10s"
    return site.send("POST", path, eviction, content_type=PROTOBUF)


def test_R27_list_pods_of_a_node_in_pages(site: Site) -> None:
    names = [f"pod-{number}" for number in range(3)]
    for name in names:
        _run_pod(site, name)
    _run_pod(site, "elsewhere", node="other")
    query = f"fieldSelector={_SELECTOR}&limit=2&timeout=10s"
    first = site.send("GET", f"/api/v1/pods?{query}").json()
    assert first["kind"] == "PodList"
    token = quote(first["metadata"]["continue"], safe="")
    second = site.send("GET", f"/api/v1/pods?continue={token}&{query}").json()
    assert "continue" not in second["metadata"]
    found = [item["metadata"]["name"] for page in (first, second) for item in page["items"]]
    assert found == names


def test_R28_list_pods_of_a_node_at_once(site: Site) -> None:
    _run_pod(site, "pod-0")
    _run_pod(site, "elsewhere", node="other")
    answer = site.send("GET", f"/api/v1/pods?fieldSelector={_SELECTOR}", accept=PROBE)
    assert [item["metadata"]["name"] for item in answer.json()["items"]] == ["pod-0"]


@pytest.mark.parametrize("accept", [TYPED, PROBE])
def test_R29_get_the_daemon_set_of_a_pod(site: Site, accept: str) -> None:
    path = "/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy?timeout=10s"
    answer = site.send("GET", path, accept=accept)
    assert (answer.status, answer.json()["kind"]) == (200, "DaemonSet")


def test_R30_post_eviction_protobuf(site: Site) -> None:
    _run_pod(site, "free")
    answer = site.send(
        "POST", f"{_PODS}/free/eviction?timeout=10s", _EVICTION, content_type=PROTOBUF
    )
    assert (answer.status, answer.json()["status"]) == (201, "Success")
    assert site.send("GET", f"{_PODS}/free").status == 404


def test_R31_post_eviction_json(site: Site) -> None:
    _run_pod(site, "free")
    metadata = {"name": "free", "namespace": "default", "creationTimestamp": None}
    eviction = {
        "kind": "Eviction",
        "apiVersion": "policy/v1",
        "metadata": metadata,
        "deleteOptions": {},
    }
    path = f"{_PODS}/free/eviction?timeout=10s"
    answer = site.send("POST", path, eviction, content_type=JSON, accept=PROBE)
    assert (answer.status, answer.json()["kind"]) == (201, "Status")
    assert site.send("GET", f"{_PODS}/free").status == 404


def test_R32_post_eviction_against_a_budget_is_429_with_its_cause(site: Site) -> None:
    _run_pod(site, "free")
    budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "free"}}}
    site.create(budgets, {"metadata": {"name": "budget"}, "spec": spec})
    status = {"observedGeneration": 1, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1}
    _set_budget(site, budgets, status | {"disruptionsAllowed": 0})
    refused = _evict(site)
    body = refused.json()
    assert (refused.status, body["reason"]) == (429, "TooManyRequests")
    [cause] = body["details"]["causes"]
    assert cause["reason"] == "DisruptionBudget"
    assert cause["message"].startswith("The disruption budget budget needs 1 healthy pods")
    _set_budget(site, budgets, status | {"disruptionsAllowed": 1})
    assert _evict(site).status == 201


def _set_budget(site: Site, budgets: str, status: JsonObject) -> None:
    path = f"{budgets}/budget/status"
    assert site.send("PATCH", path, {"status": status}, content_type=MERGE).status == 200


def test_R33_post_eviction_of_a_pod_that_is_gone_is_404(site: Site) -> None:
    answer = _evict(site)
    assert (answer.status, answer.json()["reason"]) == (404, "NotFound")
    assert answer.json()["details"] == {"name": "free", "kind": "pods"}


def test_R34_post_eviction_in_a_terminating_namespace(site: Site) -> None:
    finalizers = ["example.com/hold"]
    site.create("/api/v1/namespaces", {"metadata": {"name": "ends"}})
    _run_pod(site, "held", namespace="ends")
    held = "/api/v1/namespaces/ends/pods/held"
    patch = {"metadata": {"finalizers": finalizers}}
    assert site.send("PATCH", held, patch, content_type=MERGE).status == 200
    assert site.send("DELETE", "/api/v1/namespaces/ends").status == 200
    answer = _evict(site, "held", namespace="ends")
    assert (answer.status, answer.json()["reason"]) == (403, "Forbidden")
    causes = answer.json()["details"]["causes"]
    assert [cause["reason"] for cause in causes] == ["NamespaceTerminating"]


def test_R35_get_an_evicted_pod_is_404(site: Site) -> None:
    _run_pod(site, "free")
    assert site.send("GET", f"{_PODS}/free?timeout=10s", accept=PROBE).status == 200
    assert _evict(site).status == 201
    answer = site.send("GET", f"{_PODS}/free?timeout=10s", accept=PROBE)
    assert (answer.status, answer.json()["reason"]) == (404, "NotFound")


@pytest.mark.parametrize(
    "path", ["/apis/storage.k8s.io/v1/volumeattachments"], ids=["volumeattachments"]
)
def test_R36_list_volume_attachments(site: Site, path: str) -> None:
    _assert_lists(site, path)
    source = {"persistentVolumeName": "pv"}
    spec = {"attacher": "d", "nodeName": WORKER, "source": source}
    site.create(path, {"metadata": {"name": "va"}, "spec": spec})
    _assert_lists(site, path, "va")


def test_R37_list_persistent_volumes(site: Site) -> None:
    path = "/api/v1/persistentvolumes"
    _assert_lists(site, path)
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "csi": {"driver": "d", "volumeHandle": "h"},
    }
    site.create(path, {"metadata": {"name": "pv"}, "spec": spec})
    _assert_lists(site, path, "pv")


def _assert_lists(site: Site, path: str, *names: str) -> None:
    answer = site.send("GET", f"{path}?limit=100&timeout=10s")
    body = answer.json()
    assert (answer.status, body["kind"]) == (200, _EMPTY_LIST_KINDS[path])
    assert [item["metadata"]["name"] for item in body["items"]] == list(names)


def test_R38_delete_a_pod_that_cannot_be_evicted(site: Site) -> None:
    _run_pod(site, "free")
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}
    answer = site.send("DELETE", f"{_PODS}/free", options, content_type=JSON, accept=PROBE)
    assert (answer.status, answer.json()["kind"]) == (200, "Pod")
    assert site.send("GET", f"{_PODS}/free").status == 404
