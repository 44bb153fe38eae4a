"""How caches are filled and kept: streamed lists in 1.14, a list and then watches in 1.7."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from tests.unit.catalogue.site import (
    CONTROL_PLANE,
    STRATEGIC,
    TYPED,
    UNSTRUCTURED,
    WIDGETS,
    WORKER,
    machine,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject
    from tests.unit.catalogue.site import Site

_STREAMED = (
    "allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&sendInitialEvents=true"
    "&timeout=11m0s&timeoutSeconds=417&watch=true"
)
_CONTROL_PLANE_PODS = (
    "labelSelector=component+in+%28etcd%2Ckube-apiserver%2Ckube-controller-manager"
    "%2Ckube-scheduler%29%2Ctier%3Dcontrol-plane&"
)
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_LISTED = "limit=500&resourceVersion=0&timeout=10s"


def _present(events: Iterator[JsonObject]) -> tuple[list[str], JsonObject]:
    """Read a streamed list: names of what is there, then the bookmark that ends it."""
    names: list[str] = []
    for event in events:
        if event["type"] == "BOOKMARK":
            metadata = event["object"]["metadata"]
            assert metadata["annotations"] == {"k8s.io/initial-events-end": "true"}
            assert int(metadata["resourceVersion"]) > 0
            return names, event["object"]
        assert event["type"] == "ADDED"
        names.append(event["object"]["metadata"]["name"])
    raise AssertionError("the watch ended")


def _touch(site: Site, path: str, labels: dict[str, str]) -> None:
    patch = {"metadata": {"labels": labels}}
    assert site.send("PATCH", path, patch, content_type=STRATEGIC).status == 200


def test_R08_watch_nodes_as_a_streamed_list(site: Site) -> None:
    with site.watch(f"/api/v1/nodes?{_STREAMED}") as events:
        names, bookmark = _present(events)
        assert names == [CONTROL_PLANE, WORKER]
        assert (bookmark["kind"], bookmark["apiVersion"]) == ("Node", "v1")
        site.do(lambda: _join(site, "demo-md-1"))
        added = next(events)
        assert (added["type"], added["object"]["metadata"]["name"]) == ("ADDED", "demo-md-1")
        site.do(lambda: site.cluster.remove_machine("demo-md-1", "uid-demo-md-1"))
        gone = next(events)
        assert (gone["type"], gone["object"]["metadata"]["name"]) == ("DELETED", "demo-md-1")
        versions = [int(it["object"]["metadata"]["resourceVersion"]) for it in (added, gone)]
        assert int(bookmark["metadata"]["resourceVersion"]) < versions[0] < versions[1]


def _join(site: Site, name: str) -> None:
    site.cluster.ensure_machine(machine(name, control_plane=False))
    site.cluster.advance()


def test_R09_watch_control_plane_pods_by_labels(site: Site) -> None:
    pods = "/api/v1/namespaces/kube-system/pods"
    labels = {"tier": "control-plane", "component": "etcd"}
    spec = {"containers": [{"name": "c", "image": "x:1"}]}
    site.create(pods, {"metadata": {"name": "other", "labels": {"tier": "web"}}, "spec": spec})
    with site.watch(f"{pods}?{_CONTROL_PLANE_PODS}{_STREAMED}") as events:
        names, _ = _present(events)
        components = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
        assert names == [f"{component}-{CONTROL_PLANE}" for component in components]
        # the stream is filtered too: a pod comes by its labels and goes by them
        _touch(site, f"{pods}/other", {"seen": "no"})
        _touch(site, f"{pods}/other", labels)
        _touch(site, f"{pods}/other", {"tier": "web"})
        seen = [
            (it["type"], it["object"]["metadata"]["name"]) for it in itertools.islice(events, 2)
        ]
        assert seen == [("ADDED", "other"), ("DELETED", "other")]


def test_R10_watch_namespaces_as_a_streamed_list(site: Site) -> None:
    with site.watch(f"/api/v1/namespaces?{_STREAMED}") as events:
        names, _ = _present(events)
    assert {"default", "kube-system", "kube-public"} <= set(names)


def test_R11_watch_cluster_role_bindings_as_a_streamed_list(site: Site) -> None:
    with site.watch(f"{_RBAC}/clusterrolebindings?{_STREAMED}") as events:
        names, bookmark = _present(events)
    assert "kubeadm:cluster-admins" in names
    assert bookmark["kind"] == "ClusterRoleBinding"


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/namespaces",
        "/api/v1/serviceaccounts",
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        "/apis/example.com/v1/widgets",
    ],
)
def test_R12_watch_kinds_of_resource_sets_as_json(site: Site, path: str) -> None:
    site.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", WIDGETS)
    widgets = "/apis/example.com/v1/namespaces/default/widgets"
    site.create(
        widgets, {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}
    )
    with site.watch(f"{path}?{_STREAMED}", UNSTRUCTURED) as events:
        first = next(events)["object"]
        assert first["kind"]
        assert first["apiVersion"]
        _present(events)


def test_R13_list_nodes_from_the_watch_cache(site: Site) -> None:
    answer = site.send("GET", f"/api/v1/nodes?{_LISTED}")
    body = answer.json()
    assert (answer.status, body["kind"]) == (200, "NodeList")
    assert [item["metadata"]["name"] for item in body["items"]] == [CONTROL_PLANE, WORKER]
    assert int(body["metadata"]["resourceVersion"]) > 0
    assert "continue" not in body["metadata"]


def _watch_from(version: str) -> str:
    return (
        f"allowWatchBookmarks=true&resourceVersion={version}&timeout=10s"
        "&timeoutSeconds=337&watch=true"
    )


def test_R14_watch_nodes_from_the_lists_version(site: Site) -> None:
    version = site.get("/api/v1/nodes")["metadata"]["resourceVersion"]
    # between the list and the watch: nothing may be lost
    _touch(site, f"/api/v1/nodes/{WORKER}", {"early": ""})
    with site.watch(f"/api/v1/nodes?{_watch_from(version)}") as events:
        _touch(site, f"/api/v1/nodes/{WORKER}", {"late": ""})
        early, late = itertools.islice(events, 2)
    assert [early["type"], late["type"]] == ["MODIFIED", "MODIFIED"]
    assert "late" not in early["object"]["metadata"]["labels"]
    assert "late" in late["object"]["metadata"]["labels"]


@pytest.mark.parametrize(
    ("plural", "name"),
    [
        ("clusterroles", "kubeadm:get-nodes"),
        ("clusterrolebindings", "kubeadm:get-nodes"),
        ("roles", "kubeadm:kubelet-config"),
        ("rolebindings", "kubeadm:kubelet-config"),
    ],
)
def test_R15_list_and_watch_rbac(site: Site, plural: str, name: str) -> None:
    body = site.send("GET", f"{_RBAC}/{plural}?{_LISTED}").json()
    assert name in [item["metadata"]["name"] for item in body["items"]]
    [item] = (item for item in body["items"] if item["metadata"]["name"] == name)
    namespace = item["metadata"].get("namespace")
    inside = f"/namespaces/{namespace}" if namespace else ""
    with site.watch(
        f"{_RBAC}/{plural}?{_watch_from(body['metadata']['resourceVersion'])}"
    ) as events:
        _touch(site, f"{_RBAC}{inside}/{plural}/{name}", {"a": "b"})
        assert next(events)["object"]["metadata"]["name"] == name


def test_R16_list_services_shows_kubernetes(site: Site) -> None:
    body = site.send("GET", f"/api/v1/services?{_LISTED}").json()
    found = [(it["metadata"]["namespace"], it["metadata"]["name"]) for it in body["items"]]
    assert ("default", "kubernetes") in found


@pytest.mark.parametrize("version", ["1", "999"])
def test_R17_watch_from_a_version_not_held_is_410(site: Site, version: str) -> None:
    with site.watch(f"/api/v1/nodes?{_watch_from(version)}", TYPED) as events:
        (event,) = events
    refusal = event["object"]
    assert (event["type"], refusal["code"], refusal["reason"]) == ("ERROR", 410, "Expired")


@pytest.mark.parametrize("accept", [TYPED, UNSTRUCTURED])
def test_R18_watch_ends_before_its_client_gives_up(site: Site, accept: str) -> None:
    version = site.get("/api/v1/nodes")["metadata"]["resourceVersion"]
    query = _watch_from(version).replace("timeout=10s", "timeout=100ms")
    with site.watch(f"/api/v1/nodes?{query}", accept) as events:
        assert list(events) == []
