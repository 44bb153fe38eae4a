from __future__ import annotations

import pytest

from capim.api.gvk import GVK, GVR
from capim.api.resources import (
    ALL_VERBS,
    WORKLOAD_RESOURCES,
    NameRule,
    Resource,
    ResourceTable,
    Scope,
    Subresource,
)

WIDGETS = Resource("example.org", "v1", "widgets", "Widget", namespaced=True, singular="widget")


def served(group: str, version: str, plural: str) -> Resource:
    found = WORKLOAD_RESOURCES.by_gvr(GVR(group, version, plural))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("group", "plural", "short_names", "scope"),
    [
        ("", "nodes", ("no",), Scope.CLUSTER),
        ("", "pods", ("po",), Scope.NAMESPACED),
        ("", "namespaces", ("ns",), Scope.CLUSTER),
        ("", "secrets", (), Scope.NAMESPACED),
        ("apps", "deployments", ("deploy",), Scope.NAMESPACED),
        ("rbac.authorization.k8s.io", "clusterroles", (), Scope.CLUSTER),
        ("coordination.k8s.io", "leases", (), Scope.NAMESPACED),
        ("apiextensions.k8s.io", "customresourcedefinitions", ("crd", "crds"), Scope.CLUSTER),
    ],
)
def test_names_and_scope_are_a_real_servers(
    group: str, plural: str, short_names: tuple[str, ...], scope: Scope
) -> None:
    resource = served(group, "v1", plural)
    assert (resource.short_names, resource.scope) == (short_names, scope)


@pytest.mark.parametrize(
    ("resource", "subresource"),
    [
        ("pods", Subresource("eviction", "Eviction", ("create",), "policy", "v1")),
        ("pods", Subresource("portforward", "PodPortForwardOptions", ("create", "get"))),
        ("pods", Subresource("log", "Pod", ("get",))),
        ("pods", Subresource("status", "Pod", ("get", "patch", "update"))),
        ("nodes", Subresource("status", "Node", ("get", "patch", "update"))),
        ("namespaces", Subresource("finalize", "Namespace", ("update",))),
        (
            "serviceaccounts",
            Subresource("token", "TokenRequest", ("create",), "authentication.k8s.io", "v1"),
        ),
    ],
)
def test_subresources_are_advertised_with_their_own_kinds(
    resource: str, subresource: Subresource
) -> None:
    assert served("", "v1", resource).subresource(subresource.name) == subresource


def test_absent_subresource_is_none() -> None:
    assert served("", "v1", "configmaps").subresource("status") is None


def test_namespaces_cannot_be_deleted_as_a_collection() -> None:
    assert set(ALL_VERBS) - set(served("", "v1", "namespaces").verbs) == {"deletecollection"}


def test_every_kind_is_found_by_resource_and_by_kind() -> None:
    for resource in WORKLOAD_RESOURCES:
        assert WORKLOAD_RESOURCES.by_gvr(resource.gvr) is resource
        assert WORKLOAD_RESOURCES.by_gvk(resource.gvk) is resource


def test_unknown_resource_is_none() -> None:
    assert WORKLOAD_RESOURCES.by_gvr(GVR("", "v1", "widgets")) is None
    assert WORKLOAD_RESOURCES.by_gvk(GVK("", "v2", "Pod")) is None


def test_groups_keep_the_order_of_discovery() -> None:
    groups = WORKLOAD_RESOURCES.groups()
    assert list(groups)[:3] == ["", "apiregistration.k8s.io", "apps"]
    assert [r.plural for r in groups["policy"]["v1"]] == ["poddisruptionbudgets"]
    assert sum(len(rs) for vs in groups.values() for rs in vs.values()) == len(WORKLOAD_RESOURCES)


def test_list_kind_is_the_kind_and_list() -> None:
    assert served("", "v1", "endpoints").list_kind == "EndpointsList"


def test_roles_are_named_as_path_segments() -> None:
    roles = served("rbac.authorization.k8s.io", "v1", "roles")
    assert roles.name_rule is NameRule.PATH_SEGMENT


def test_adding_leaves_the_old_table_as_it_was() -> None:
    wider = WORKLOAD_RESOURCES.adding(WIDGETS)
    assert wider.by_gvr(WIDGETS.gvr) is WIDGETS
    assert WORKLOAD_RESOURCES.by_gvr(WIDGETS.gvr) is None


def test_adding_again_replaces() -> None:
    table = ResourceTable([WIDGETS]).adding(WIDGETS)
    assert len(table) == 1


def test_without_takes_all_versions_away() -> None:
    newer = Resource("example.org", "v2", "widgets", "Widget", namespaced=True, singular="widget")
    assert len(ResourceTable([WIDGETS, newer]).without("example.org", "widgets")) == 0


def test_a_resource_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        ResourceTable([WIDGETS, WIDGETS])


def test_storage_version_hashes_are_a_real_servers() -> None:
    assert served("apps", "v1", "deployments").storage_version_hash == "8aSe+NMegvE="
    assert served("", "v1", "configmaps").storage_version_hash == "qFsyl6wFWjQ="
