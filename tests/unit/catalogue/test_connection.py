"""What every manager asks before it trusts a cluster: the probe, discovery, its own pod."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.catalogue.site import AGGREGATED, JSON, PROBE, UNSTRUCTURED, WIDGETS

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from tests.unit.catalogue.site import Site

_V2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def test_R01_get_root_is_200(site: Site) -> None:
    assert site.send("GET", "/?timeout=5s", accept=PROBE).status == 200


def _aggregated(site: Site, path: str) -> dict[str, JsonObject]:
    """Return `group/version/resource` to its entry, as an aggregated document has it."""
    answer = site.send("GET", f"{path}?timeout=10s", accept=AGGREGATED)
    assert (answer.status, answer.headers["Content-Type"]) == (200, _V2)
    document = answer.json()
    assert (document["kind"], document["apiVersion"]) == (
        "APIGroupDiscoveryList",
        "apidiscovery.k8s.io/v2",
    )
    return {
        f"{group['metadata'].get('name', '')}/{version['version']}/{entry['resource']}": entry
        for group in document["items"]
        for version in group["versions"]
        for entry in version["resources"]
    }


def test_R02_get_api_is_aggregated_discovery(site: Site) -> None:
    found = _aggregated(site, "/api")
    assert found["/v1/nodes"]["scope"] == "Cluster"
    assert set(found["/v1/nodes"]["verbs"]) >= {"get", "list", "watch", "patch", "delete"}
    below = {entry["subresource"]: entry for entry in found["/v1/pods"]["subresources"]}
    assert below["eviction"]["responseKind"]["kind"] == "Eviction"
    assert "portforward" in below


def test_R03_get_apis_is_aggregated_discovery(site: Site) -> None:
    found = _aggregated(site, "/apis")
    assert {
        "apps/v1/daemonsets",
        "rbac.authorization.k8s.io/v1/clusterrolebindings",
        "apiextensions.k8s.io/v1/customresourcedefinitions",
        "storage.k8s.io/v1/volumeattachments",
        "policy/v1/poddisruptionbudgets",
    } <= set(found)


def _plain(site: Site, path: str) -> dict[str, JsonObject]:
    answer = site.send("GET", f"{path}?timeout=10s", accept=PROBE)
    assert (answer.status, answer.headers["Content-Type"]) == (200, JSON)
    document = answer.json()
    assert document["kind"] == "APIResourceList"
    assert document["groupVersion"] == path.rpartition("api/")[2].removeprefix("/apis/")
    return {entry["name"]: entry for entry in document["resources"]}


def test_R04_get_api_v1_lists_resources_with_their_verbs(site: Site) -> None:
    found = _plain(site, "/api/v1")
    assert set(found["nodes"]["verbs"]) >= {"get", "list", "watch", "patch", "delete"}
    # kubectl's drain deletes pods where this is not so
    eviction = found["pods/eviction"]
    assert (eviction["kind"], eviction["group"], eviction["version"]) == (
        "Eviction",
        "policy",
        "v1",
    )


@pytest.mark.parametrize(
    ("group_version", "resource"),
    [
        ("apps/v1", "daemonsets"),
        ("rbac.authorization.k8s.io/v1", "rolebindings"),
        ("apiextensions.k8s.io/v1", "customresourcedefinitions"),
    ],
)
def test_R05_get_group_version_lists_resources(
    site: Site, group_version: str, resource: str
) -> None:
    assert resource in _plain(site, f"/apis/{group_version}")


def test_R05_get_group_version_of_a_definition_just_made(site: Site) -> None:
    site.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", WIDGETS)
    assert _plain(site, "/apis/example.com/v1")["widgets"]["kind"] == "Widget"


@pytest.mark.parametrize("path", ["/apis/example.com/v1", "/apis/apps/v9", "/api/v2"])
def test_R06_get_unknown_group_version_is_404(site: Site, path: str) -> None:
    assert site.send("GET", f"{path}?timeout=10s", accept=PROBE).status == 404


def test_R07_get_own_pod_is_404_with_details(site: Site) -> None:
    path = "/api/v1/namespaces/capi-system/pods/capi-controller-manager-7d5f"
    answer = site.send("GET", f"{path}?timeout=10s")
    status: dict[str, Any] = answer.json()
    assert (answer.status, status["kind"], status["reason"]) == (404, "Status", "NotFound")
    assert status["details"] == {"name": path.rpartition("/")[2], "kind": "pods"}
    missing = site.send("GET", f"{path}?timeout=10s", accept=UNSTRUCTURED)
    assert missing.status == 404
