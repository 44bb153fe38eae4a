"""What the Machine controller does to Nodes: labels, annotations, taints, cordon, deletion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.catalogue.site import (
    CONTROL_PLANE,
    MERGE,
    PROBE,
    PROTOBUF,
    STRATEGIC,
    WORKER,
)

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from tests.unit.catalogue.site import Site

_NODE = f"/api/v1/nodes/{WORKER}"
#: an empty DeleteOptions of v1, as recorded
_DELETE = bytes.fromhex("6b3873000a130a027631120d44656c6574654f7074696f6e7312001a002200")
_OUTDATED = {"key": "node.cluster.x-k8s.io/outdated-revision", "effect": "PreferNoSchedule"}
_ANNOTATIONS = {
    "cluster.x-k8s.io/cluster-name": "demo",
    "cluster.x-k8s.io/cluster-namespace": "default",
    "cluster.x-k8s.io/labels-from-machine": "node-role.kubernetes.io/w,node.cluster.x-k8s.io/pool",
    "cluster.x-k8s.io/machine": WORKER,
    "cluster.x-k8s.io/owner-kind": "MachineSet",
    "cluster.x-k8s.io/owner-name": "demo-md",
}
_LABELS = {"node-role.kubernetes.io/w": "", "node.cluster.x-k8s.io/pool": "a"}


def _patch(site: Site, patch: JsonObject) -> JsonObject:
    answer = site.send("PATCH", f"{_NODE}?timeout=10s", patch, content_type=STRATEGIC)
    assert answer.status == 200, answer.body
    return answer.json()


def test_R19_list_nodes_of_the_control_plane(site: Site) -> None:
    query = "labelSelector=node-role.kubernetes.io%2Fcontrol-plane%3D"
    body = site.send("GET", f"/api/v1/nodes?{query}").json()
    assert [item["metadata"]["name"] for item in body["items"]] == [CONTROL_PLANE]


def test_R20_patch_node_strategic_locked_by_its_version(site: Site) -> None:
    before = site.get(_NODE)
    metadata = {
        "annotations": _ANNOTATIONS
        | {
            "cluster.x-k8s.io/annotations-from-machine": "",
            "cluster.x-k8s.io/taints-from-machine": "",
        },
        "labels": _LABELS,
        "resourceVersion": before["metadata"]["resourceVersion"],
    }
    after = _patch(site, {"metadata": metadata})
    assert after["metadata"]["annotations"].items() >= metadata["annotations"].items()
    assert after["metadata"]["labels"] == before["metadata"]["labels"] | _LABELS
    assert after["spec"] == before["spec"]
    stale = site.send("PATCH", _NODE, {"metadata": metadata}, content_type=STRATEGIC)
    assert (stale.status, stale.json()["reason"]) == (409, "Conflict")
    assert stale.json()["details"] == {"name": WORKER, "kind": "nodes"}


def test_R21_patch_node_strategic_without_a_version(site: Site) -> None:
    before = site.get(_NODE)
    patch = {"metadata": {"annotations": _ANNOTATIONS}}
    after = _patch(site, patch)
    assert after["metadata"]["annotations"].items() >= _ANNOTATIONS.items()
    assert after["metadata"]["labels"] == before["metadata"]["labels"]
    again = _patch(site, patch)
    assert again["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]


def test_R22_patch_node_taints_replaces_the_list(site: Site) -> None:
    before = site.get(_NODE)
    added = _taint(site, before, [_OUTDATED])
    assert added["spec"] == before["spec"] | {"taints": [_OUTDATED]}
    # the type has no merge key, so clients send the whole list, or null for none
    other = {"key": "team", "value": "a", "effect": "NoSchedule"}
    replaced = _taint(site, added, [other])
    assert replaced["spec"]["taints"] == [other]
    assert _taint(site, replaced, None)["spec"] == before["spec"]


def _taint(site: Site, node: JsonObject, taints: list[JsonObject] | None) -> JsonObject:
    version = node["metadata"]["resourceVersion"]
    return _patch(site, {"metadata": {"resourceVersion": version}, "spec": {"taints": taints}})


def test_R23_patch_node_merge_cordons(site: Site) -> None:
    patch = {"spec": {"unschedulable": True}}
    answer = site.send("PATCH", f"{_NODE}?timeout=10s", patch, content_type=MERGE)
    assert (answer.status, answer.json()["spec"]["unschedulable"]) == (200, True)
    assert answer.json()["spec"]["providerID"] == f"in-memory://{WORKER}"


def test_R24_patch_node_strategic_cordons(site: Site) -> None:
    patch = {"spec": {"unschedulable": True}}
    answer = site.send("PATCH", f"{_NODE}?timeout=10s", patch, content_type=STRATEGIC, accept=PROBE)
    assert (answer.status, answer.json()["spec"]["unschedulable"]) == (200, True)
    assert site.get(_NODE)["spec"]["unschedulable"]


def test_R25_get_node_before_a_drain(site: Site) -> None:
    found = site.send("GET", f"{_NODE}?timeout=10s", accept=PROBE)
    assert (found.status, found.json()["metadata"]["name"]) == (200, WORKER)
    gone = site.send("GET", "/api/v1/nodes/gone?timeout=10s", accept=PROBE)
    assert (gone.status, gone.json()["reason"]) == (404, "NotFound")


def test_R26_delete_node_then_again(site: Site) -> None:
    first = site.send("DELETE", f"{_NODE}?timeout=10s", _DELETE, content_type=PROTOBUF)
    assert (first.status, first.json()["status"]) == (200, "Success")
    # the usual answer: the infrastructure has gone before, and its Node with it
    again = site.send("DELETE", f"{_NODE}?timeout=10s", _DELETE, content_type=PROTOBUF)
    assert (again.status, again.json()["reason"]) == (404, "NotFound")
