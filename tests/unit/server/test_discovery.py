"""Discovery documents: plain, aggregated, OpenAPI for kubectl, health and version."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from capim.api.gvk import GVK
from capim.api.resources import WORKLOAD_RESOURCES, Resource, ResourceTable
from capim.server.discovery import Discovery, discovery_of

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList"
CONTROLLER_RUNTIME = ",".join([*map(AGGREGATED.format, ("v2", "v2beta1")), "application/json"])
DOCUMENTS = discovery_of(WORKLOAD_RESOURCES)


def read(path: str, accept: str = "") -> Any:
    found = DOCUMENTS.document(path, accept)
    assert found is not None, path
    return orjson.loads(found[0])


def test_core_group_and_its_resources() -> None:
    found = DOCUMENTS.document("/api", "", "10.0.0.1:6443")
    assert found is not None
    assert orjson.loads(found.body) == {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [
            {"clientCIDR": "0.0.0.0/0", "serverAddress": "10.0.0.1:6443"}
        ],
    }
    listed = read("/api/v1")
    assert listed["groupVersion"] == "v1"
    rows = {row["name"]: row for row in listed["resources"]}
    assert {"patch", "delete", "watch"} <= set(rows["nodes"]["verbs"])
    assert rows["nodes"]["shortNames"] == ["no"]
    assert rows["pods"]["categories"] == ["all"]
    assert rows["pods/eviction"] == {
        "name": "pods/eviction",
        "singularName": "",
        "namespaced": True,
        "group": "policy",
        "version": "v1",
        "kind": "Eviction",
        "verbs": ["create"],
    }


def test_groups_and_one_group() -> None:
    groups = {group["name"]: group for group in read("/apis")["groups"]}
    assert "" not in groups
    expected = {"groupVersion": "apps/v1", "version": "v1"}
    assert groups["apps"] == {"name": "apps", "versions": [expected], "preferredVersion": expected}
    assert read("/apis/apps")["kind"] == "APIGroup"
    assert read("/apis/apps")["preferredVersion"] == expected
    rows = read("/apis/apps/v1")["resources"]
    assert rows[0]["name"] == "controllerrevisions"


@pytest.mark.parametrize(
    ("accept", "version"),
    [
        pytest.param(CONTROLLER_RUNTIME, "v2", id="controller-runtime"),
        pytest.param(AGGREGATED.format("v2beta1") + ",application/json", "", id="beta-only"),
        pytest.param(f"application/json, {AGGREGATED.format('v2')}", "", id="plain-first"),
        pytest.param("application/vnd.kubernetes.protobuf,*/*", "", id="protobuf-or-any"),
        pytest.param(AGGREGATED.format("v3") + ",application/json", "", id="unknown-version"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_accept_chooses_the_form(accept: str, version: str) -> None:
    found = DOCUMENTS.document("/apis", accept)
    assert found is not None
    body, content_type = orjson.loads(found[0]), found[1].decode()
    if version:
        assert body["apiVersion"] == f"apidiscovery.k8s.io/{version}"
        assert content_type == AGGREGATED.format(version)
    else:
        assert body["kind"] == "APIGroupList"
        assert content_type == "application/json"


def test_aggregated_holds_the_core_group_apart() -> None:
    core = read("/api", CONTROLLER_RUNTIME)["items"]
    assert [item["metadata"] for item in core] == [{}]
    others = read("/apis", CONTROLLER_RUNTIME)["items"]
    assert "" not in [item["metadata"]["name"] for item in others]
    (version,) = core[0]["versions"]
    nodes = next(row for row in version["resources"] if row["resource"] == "nodes")
    assert nodes["scope"] == "Cluster"
    assert nodes["responseKind"] == {"group": "", "version": "", "kind": "Node"}
    assert {row["subresource"] for row in nodes["subresources"]} >= {"status"}


def widget(version: str, group: str = "example.org") -> Resource:
    storage = GVK(group, "v1", "Widget")
    return Resource(
        group, version, "widgets", "Widget", True, "widget", custom=True, storage=storage
    )


def test_custom_groups_come_last_by_name_and_their_newest_version_first() -> None:
    rows = [widget(version) for version in ("v1alpha1", "odd", "v1beta2", "v1", "v10", "v1beta10")]
    table = WORKLOAD_RESOURCES.adding(widget("v1", "z.org"), *rows, widget("v1", "a.org"))
    groups = table.groups()
    assert list(groups)[-3:] == ["a.org", "example.org", "z.org"]
    assert list(groups["example.org"]) == ["v10", "v1", "v1beta10", "v1beta2", "v1alpha1", "odd"]
    assert list(groups)[1:3] == ["apiregistration.k8s.io", "apps"]


def test_all_versions_of_a_kind_say_what_is_stored() -> None:
    documents = Discovery(WORKLOAD_RESOURCES.adding(widget("v1beta1"), widget("v1")))
    hashes = []
    for version in ("v1", "v1beta1"):
        found = documents.document(f"/apis/example.org/{version}", "")
        assert found is not None
        hashes.append(orjson.loads(found.body)["resources"][0]["storageVersionHash"])
    assert hashes[0] == hashes[1] == widget("v1").storage_version_hash


def test_what_is_never_stored_has_no_storage_version() -> None:
    review = Resource("a.org", "v1", "reviews", "Review", False, "review", stored=False)
    found = Discovery(ResourceTable([review])).document("/apis/a.org/v1", "")
    assert found is not None
    assert "storageVersionHash" not in orjson.loads(found.body)["resources"][0]


def test_both_forms_list_the_same_resources() -> None:
    plain = {row["name"] for row in read("/apis/apps/v1")["resources"] if "/" not in row["name"]}
    items = read("/apis", CONTROLLER_RUNTIME)["items"]
    apps = next(item for item in items if item["metadata"]["name"] == "apps")
    assert {row["resource"] for row in apps["versions"][0]["resources"]} == plain


@pytest.mark.parametrize("path", ["/apis/none", "/apis/apps/v2", "/api/v2", "/x"])
def test_unknown_path_has_no_document(path: str) -> None:
    assert DOCUMENTS.document(path, "") is None


def test_tables_share_documents_only_when_they_are_the_same() -> None:
    other = ResourceTable(list(WORKLOAD_RESOURCES)[:3])
    assert discovery_of(WORKLOAD_RESOURCES) is DOCUMENTS
    assert discovery_of(other).paths() != DOCUMENTS.paths()


def test_root_lists_every_path_there_is() -> None:
    paths = Discovery(WORKLOAD_RESOURCES).paths()
    assert {"/api", "/api/v1", "/apis/apps", "/apis/apps/v1", "/readyz", "/version"} <= set(paths)
    assert paths == sorted(paths)
