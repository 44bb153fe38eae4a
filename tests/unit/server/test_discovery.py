"""Discovery documents: plain, aggregated, OpenAPI for kubectl, health and version."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from capim.api.resources import WORKLOAD_RESOURCES, ResourceTable
from capim.server.discovery import Discovery, discovery_of, health_document, version_document

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList"
CONTROLLER_RUNTIME = ",".join([*map(AGGREGATED.format, ("v2", "v2beta1")), "application/json"])
DOCUMENTS = discovery_of(WORKLOAD_RESOURCES)


def read(path: str, accept: str = "") -> Any:
    found = DOCUMENTS.document(path, accept)
    assert found is not None, path
    return orjson.loads(found[0])


def test_core_group_and_its_resources() -> None:
    assert read("/api") == {"kind": "APIVersions", "versions": ["v1"]}
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
        pytest.param(AGGREGATED.format("v2beta1"), "v2beta1", id="beta-only"),
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
    assert [item["metadata"]["name"] for item in core] == [""]
    others = read("/apis", CONTROLLER_RUNTIME)["items"]
    assert "" not in [item["metadata"]["name"] for item in others]
    (version,) = core[0]["versions"]
    nodes = next(row for row in version["resources"] if row["resource"] == "nodes")
    assert nodes["scope"] == "Cluster"
    assert nodes["responseKind"] == {"group": "", "version": "v1", "kind": "Node"}
    assert {row["subresource"] for row in nodes["subresources"]} >= {"status"}


def test_both_forms_list_the_same_resources() -> None:
    plain = {row["name"] for row in read("/apis/apps/v1")["resources"] if "/" not in row["name"]}
    items = read("/apis", CONTROLLER_RUNTIME)["items"]
    apps = next(item for item in items if item["metadata"]["name"] == "apps")
    assert {row["resource"] for row in apps["versions"][0]["resources"]} == plain


@pytest.mark.parametrize(
    "path", ["/apis/none", "/apis/apps/v2", "/api/v2", "/openapi/v2", "/openapi/v3//api/v1", "/x"]
)
def test_unknown_path_has_no_document(path: str) -> None:
    assert DOCUMENTS.document(path, "") is None


def test_tables_share_documents_only_when_they_are_the_same() -> None:
    other = ResourceTable(list(WORKLOAD_RESOURCES)[:3])
    assert discovery_of(WORKLOAD_RESOURCES) is DOCUMENTS
    assert discovery_of(other).paths() != DOCUMENTS.paths()


def test_openapi_says_that_fields_are_validated_here() -> None:
    paths = read("/openapi/v3")["paths"]
    assert paths["apis/apps/v1"]["serverRelativeURL"] == "/openapi/v3/apis/apps/v1"
    document = read("/openapi/v3/apis/apps/v1")
    patch = document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert patch["parameters"][0]["name"] == "fieldValidation"
    kind = {"group": "apps", "version": "v1", "kind": "Deployment"}
    assert patch["x-kubernetes-group-version-kind"] == kind


def test_root_lists_every_path_there_is() -> None:
    paths = Discovery(WORKLOAD_RESOURCES).paths()
    assert {"/api", "/api/v1", "/apis/apps", "/apis/apps/v1", "/readyz", "/version"} <= set(paths)
    assert paths == sorted(paths)


@pytest.mark.parametrize(
    ("version", "major", "minor"), [("v1.29.0", "1", "29"), ("v1.33.0-beta.0", "1", "33")]
)
def test_version(version: str, major: str, minor: str) -> None:
    body = orjson.loads(version_document(version))
    assert (body["gitVersion"], body["major"], body["minor"]) == (version, major, minor)


def test_health() -> None:
    assert health_document("/livez", verbose=False) == b"ok"
    verbose = health_document("/readyz", verbose=True).decode().splitlines()
    assert verbose[0] == "[+]ping ok"
    assert verbose[-1] == "readyz check passed"
