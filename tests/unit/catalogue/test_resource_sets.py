"""What ClusterResourceSets apply: objects of any kind as JSON, created and then merged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.catalogue.site import JSON, MERGE, UNSTRUCTURED, WIDGETS

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from tests.support.served import Answer
    from tests.unit.catalogue.site import Site

_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_DAEMON_SETS = "/apis/apps/v1/namespaces/kube-system/daemonsets"
_WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"
_WIDGET = {
    "apiVersion": "example.com/v1",
    "kind": "Widget",
    "metadata": {"name": "w", "namespace": "default"},
    "spec": {"size": 1},
}


def _daemon_set() -> JsonObject:
    labels = {"app": "cni"}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "cni", "namespace": "kube-system"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"image": "x:1", "name": "c"}]},
            },
        },
    }


def _post(site: Site, path: str, body: JsonObject) -> Answer:
    return site.send("POST", f"{path}?timeout=10s", body, content_type=JSON, accept=UNSTRUCTURED)


def _merge(site: Site, path: str, patch: JsonObject) -> JsonObject:
    path = f"{path}?timeout=10s"
    answer = site.send("PATCH", path, patch, content_type=MERGE, accept=UNSTRUCTURED)
    assert answer.status == 200, answer.body
    return answer.json()


def test_R54_get_any_object_before_it_is_made(site: Site) -> None:
    path = f"{_DAEMON_SETS}/cni?timeout=10s"
    answer = site.send("GET", path, accept=UNSTRUCTURED)
    details = {"name": "cni", "group": "apps", "kind": "daemonsets"}
    assert (answer.status, answer.json()["details"]) == (404, details)
    site.create(_DAEMON_SETS, _daemon_set())
    assert site.send("GET", path, accept=UNSTRUCTURED).json()["kind"] == "DaemonSet"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param(
            "/api/v1/namespaces",
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "extra"}},
            id="namespace",
        ),
        pytest.param(
            "/api/v1/namespaces/kube-system/serviceaccounts",
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": "cni", "namespace": "kube-system"},
            },
            id="serviceaccount",
        ),
        pytest.param(_DAEMON_SETS, _daemon_set(), id="daemonset"),
    ],
)
def test_R55_post_any_object_as_json(site: Site, path: str, body: JsonObject) -> None:
    made = _post(site, path, body)
    assert (made.status, made.json()["kind"]) == (201, body["kind"])
    assert made.json()["metadata"].items() >= body["metadata"].items()
    again = _post(site, path, body)
    assert (again.status, again.json()["reason"]) == (409, "AlreadyExists")


def test_R56_post_definition_then_its_objects(site: Site) -> None:
    made = _post(site, _DEFINITIONS, WIDGETS)
    assert made.status == 201
    served = site.send("GET", f"{_DEFINITIONS}/widgets.example.com", accept=UNSTRUCTURED).json()
    conditions = {it["type"]: it["status"] for it in served["status"]["conditions"]}
    assert (conditions["Established"], conditions["NamesAccepted"]) == ("True", "True")
    widget = _post(site, _WIDGETS, _WIDGET)
    assert (widget.status, widget.json()["spec"]) == (201, {"size": 1})
    # before its definition a kind is unknown: resource sets wait and try again
    missing = _post(site, "/apis/example.com/v1/namespaces/default/gadgets", _WIDGET)
    assert missing.status == 404


def test_R57_patch_merge_of_a_namespace_keeps_what_is_the_servers(site: Site) -> None:
    before = site.create("/api/v1/namespaces", {"metadata": {"name": "extra"}})
    metadata = {"creationTimestamp": None, "labels": None, "uid": None}
    after = _merge(
        site,
        "/api/v1/namespaces/extra",
        {"metadata": metadata, "spec": None, "status": None},
    )
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["metadata"]["creationTimestamp"] == before["metadata"]["creationTimestamp"]
    assert after["metadata"]["labels"] == {"kubernetes.io/metadata.name": "extra"}
    assert (after["spec"], after["status"]) == ({"finalizers": ["kubernetes"]}, {"phase": "Active"})


def test_R57_patch_merge_of_a_definition_keeps_it_served(site: Site) -> None:
    before = site.create(_DEFINITIONS, WIDGETS)
    patch = {
        "metadata": {"creationTimestamp": None, "generation": None, "uid": None},
        "spec": {"conversion": None},
        "status": None,
    }
    after = _merge(site, f"{_DEFINITIONS}/widgets.example.com", patch)
    assert after["spec"]["conversion"] == {"strategy": "None"}
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["status"]["acceptedNames"]["kind"] == "Widget"
    assert _post(site, _WIDGETS, _WIDGET).status == 201


def test_R57_patch_merge_of_a_daemon_set_is_a_new_generation(site: Site) -> None:
    site.create(_DAEMON_SETS, _daemon_set())
    containers = [{"image": "x:2", "name": "c"}]
    patch = {
        "metadata": {"creationTimestamp": None, "generation": None, "uid": None},
        "spec": {"template": {"spec": {"containers": containers}}},
    }
    after = _merge(site, f"{_DAEMON_SETS}/cni", patch)
    assert after["metadata"]["generation"] == 2
    assert after["metadata"]["uid"]
    [container] = after["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "x:2"


def test_R57_patch_merge_of_a_custom_object(site: Site) -> None:
    site.create(_DEFINITIONS, WIDGETS)
    before = site.create(_WIDGETS, _WIDGET)
    patch = {
        "metadata": {"creationTimestamp": None, "generation": None, "uid": None},
        "spec": {"size": 2},
    }
    after = _merge(site, f"{_WIDGETS}/w", patch)
    assert after["spec"] == {"size": 2}
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["metadata"]["generation"] == 2
