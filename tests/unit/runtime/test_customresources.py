"""Definitions of custom resources and the objects they make possible."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from capim.api.errors import APIError
from capim.api.gvk import GVR
from capim.runtime.resourcegroup import PatchType, ResourceGroup, WatchEvent
from capim.wire.selectors import FieldSelector
from tests.support.groups import DEFINITIONS, NOW_TEXT, named, names, new_group, told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.resources import Resource


ANYTHING: dict[str, Any] = {
    "openAPIV3Schema": {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": {"size": {"type": "string"}}}},
        "x-kubernetes-preserve-unknown-fields": True,
    }
}


def definition(**changes: Any) -> dict[str, Any]:
    versions = [
        {
            "name": "v1",
            "served": True,
            "storage": True,
            "schema": ANYTHING,
            "subresources": {"status": {}},
            "selectableFields": [{"jsonPath": ".spec.size"}],
        },
        {
            "name": "v2",
            "served": True,
            "storage": False,
            "schema": ANYTHING,
            "subresources": {"status": {}},
        },
        {"name": "v0", "served": False, "storage": False, "schema": ANYTHING},
    ]
    spec = {
        "group": "example.org",
        "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wi"]},
        "scope": "Namespaced",
        "versions": versions,
    }
    return named("widgets.example.org", spec=spec | changes)


@pytest.fixture
def group() -> Iterator[ResourceGroup]:
    made = new_group()
    made.create(DEFINITIONS, "", definition())
    yield made
    made.validate()


def widgets(group: ResourceGroup, version: str = "v1") -> Resource:
    resource = group.resources.by_gvr(GVR("example.org", version, "widgets"))
    assert resource is not None
    return resource


def test_conditions_of_a_definition_may_lack_a_type(group: ResourceGroup) -> None:
    patch = {"status": {"conditions": [{"message": "patched"}]}}
    name = "widgets.example.org"
    group.patch(DEFINITIONS, "", name, patch, PatchType.MERGE, subresource="status")
    group.patch(DEFINITIONS, "", name, {"metadata": {"labels": {"a": "b"}}}, PatchType.MERGE)
    conditions = group.get(DEFINITIONS, "", name).json()["status"]["conditions"]
    assert "Established" in {c.get("type") for c in conditions}


def test_a_definition_is_established_at_once(group: ResourceGroup) -> None:
    made = group.get(DEFINITIONS, "", "widgets.example.org").json()
    conditions = {c["type"]: c["status"] for c in made["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}
    assert made["status"]["conditions"][0]["lastTransitionTime"] == NOW_TEXT
    assert made["status"]["storedVersions"] == ["v1"]
    assert made["status"]["acceptedNames"]["listKind"] == "WidgetList"


def test_a_definition_serves_its_served_versions(group: ResourceGroup) -> None:
    resource = widgets(group)
    assert (resource.singular, resource.short_names) == ("widget", ("wi",))
    assert resource.custom
    assert widgets(group, "v2").subresource("status")
    assert group.resources.by_gvr(GVR("example.org", "v0", "widgets")) is None


def test_an_update_serves_a_new_version(group: ResourceGroup) -> None:
    patch = [{"op": "replace", "path": "/spec/versions/2/served", "value": True}]
    group.patch(DEFINITIONS, "", "widgets.example.org", patch, PatchType.JSON)
    assert widgets(group, "v0").kind == "Widget"


def test_versions_share_one_storage(group: ResourceGroup) -> None:
    group.create(widgets(group), "default", named("w", spec={"size": "1"}))
    stored = group.get(widgets(group, "v2"), "default", "w")
    assert stored.json()["apiVersion"] == "example.org/v2"
    assert stored.json()["spec"] == {"size": "1"}
    page = group.list(widgets(group, "v2"), None)
    assert [item.json()["apiVersion"] for item in page.items] == ["example.org/v2"]


def test_a_watch_hears_of_objects_in_its_version(group: ResourceGroup) -> None:
    events: list[WatchEvent] = []
    group.watch(widgets(group, "v2"), None, events.append, since=group.resource_version)
    group.create(widgets(group), "default", named("w"))
    assert told(events) == [("ADDED", "w")]
    assert b'"apiVersion":"example.org/v2"' in events[0].line


def test_status_is_dropped_at_creation_and_written_by_itself(group: ResourceGroup) -> None:
    resource = widgets(group)
    made = group.create(resource, "default", named("w", status={"a": 1})).json()
    assert "status" not in made
    patch = {"status": {"a": 1}, "metadata": {"labels": {"x": "y"}}}
    patched = group.patch(resource, "default", "w", patch, PatchType.MERGE, subresource="status")
    assert patched.json()["status"] == {"a": 1}
    assert patched.labels == {}
    assert patched.json()["metadata"]["generation"] == 1


def test_a_put_needs_a_version(group: ResourceGroup) -> None:
    resource = widgets(group)
    group.create(resource, "default", named("w"))
    with pytest.raises(APIError) as caught:
        group.update(resource, "default", "w", named("w", spec={"size": "1"}))
    assert caught.value.code == 422
    assert "must be specified for an update" in caught.value.message


def test_a_body_of_another_version_is_400(group: ResourceGroup) -> None:
    with pytest.raises(APIError) as caught:
        group.create(widgets(group), "default", named("w", apiVersion="example.org/v2"))
    assert caught.value.message == (
        "the API version in the data (example.org/v2) does not match "
        "the expected API version (example.org/v1)"
    )


def test_selectable_fields_select(group: ResourceGroup) -> None:
    resource = widgets(group)
    for name, size in (("a", "big"), ("b", "small")):
        group.create(resource, "default", named(name, spec={"size": size}))
    page = group.list(resource, None, fields=FieldSelector.parse("spec.size=big"))
    assert [stored.name for stored in page.items] == ["a"]


def test_a_definition_takes_its_objects_and_kind_along(group: ResourceGroup) -> None:
    events: list[WatchEvent] = []
    resource = widgets(group)
    group.create(resource, "default", named("w"))
    group.watch(resource, None, events.append, since=group.resource_version)
    assert group.delete(DEFINITIONS, "", "widgets.example.org")[1]
    assert told(events) == [("DELETED", "w")]
    assert group.resources.by_gvr(resource.gvr) is None


def test_a_definition_waits_for_objects_with_finalizers(group: ResourceGroup) -> None:
    resource = widgets(group)
    group.create(resource, "default", named("w", metadata={"finalizers": ["x/y"]}))
    assert not group.delete(DEFINITIONS, "", "widgets.example.org")[1]
    assert group.get(DEFINITIONS, "", "widgets.example.org").deleting
    patch = {"metadata": {"finalizers": None}}
    group.patch(resource, "default", "w", patch, PatchType.MERGE)
    assert names(group, DEFINITIONS) == []


def test_a_definition_does_not_replace_a_built_in_kind(group: ResourceGroup) -> None:
    names = {"plural": "ingresses", "kind": "Ingress"}
    body = definition(group="networking.k8s.io", names=names)
    body["metadata"]["name"] = "ingresses.networking.k8s.io"
    body["metadata"]["annotations"] = {"api-approved.kubernetes.io": "unapproved, a test"}
    group.create(DEFINITIONS, "", body)
    resource = group.resources.by_gvr(GVR("networking.k8s.io", "v1", "ingresses"))
    assert resource is not None
    assert not resource.custom


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"group": "other.org"}, 'must be spec.names.plural+"."+spec.group'),
        ({"versions": []}, "exactly one version marked as storage version"),
        ({"scope": "Planet"}, 'Unsupported value: "Planet"'),
        ({"names": {}}, "spec.names.plural: Required value"),
    ],
)
def test_a_definition_that_names_nothing_is_422(changes: dict[str, Any], text: str) -> None:
    group = new_group()
    with pytest.raises(APIError) as caught:
        group.create(DEFINITIONS, "", definition(**changes))
    assert caught.value.code == 422
    assert text in caught.value.message
