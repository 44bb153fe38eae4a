"""Patches of stored objects."""

from __future__ import annotations

import pytest

from capim.api.errors import APIError
from capim.api.resources import Resource
from capim.runtime.resourcegroup import PatchType, ResourceGroup
from tests.support.groups import CONFIG_MAPS, DEPLOYMENTS, NODES, named, new_group

WIDGETS = Resource(
    "example.org", "v1", "widgets", "Widget", namespaced=True, singular="widget", custom=True
)


@pytest.fixture
def group() -> ResourceGroup:
    group = new_group()
    group.create(CONFIG_MAPS, "default", named("a", data={"k": "v"}))
    return group


def refusal(
    group: ResourceGroup, patch: object, patch_type: PatchType, name: str = "a"
) -> APIError:
    with pytest.raises(APIError) as caught:
        group.patch(CONFIG_MAPS, "default", name, patch, patch_type)
    return caught.value


def test_patch_of_absent_object_is_404(group: ResourceGroup) -> None:
    assert refusal(group, {"data": {}}, PatchType.MERGE, "nope").code == 404


def test_merge_patch_changes_what_it_names(group: ResourceGroup) -> None:
    patch = {"data": {"n": "1", "k": None}}
    made = group.patch(CONFIG_MAPS, "default", "a", patch, PatchType.MERGE)
    assert made.json()["data"] == {"n": "1"}


def test_patch_with_an_older_version_is_409(group: ResourceGroup) -> None:
    patch = {"metadata": {"resourceVersion": "1"}, "data": {"k": "2"}}
    assert refusal(group, patch, PatchType.MERGE).code == 409


def test_patch_with_the_current_version_is_applied(group: ResourceGroup) -> None:
    version = group.get(CONFIG_MAPS, "default", "a").resource_version
    patch = {"metadata": {"resourceVersion": str(version)}, "data": {"k": "2"}}
    group.patch(CONFIG_MAPS, "default", "a", patch, PatchType.MERGE)
    assert group.resource_version == version + 1


def test_a_patch_that_changes_nothing_takes_no_version(group: ResourceGroup) -> None:
    before = group.resource_version
    group.patch(CONFIG_MAPS, "default", "a", {"data": {"k": "v"}}, PatchType.MERGE)
    assert group.resource_version == before


def test_a_patch_cannot_rename(group: ResourceGroup) -> None:
    assert refusal(group, {"metadata": {"name": "b"}}, PatchType.MERGE).code == 400


def test_a_json_patch_that_does_not_fit_is_422(group: ResourceGroup) -> None:
    patch = [{"op": "test", "path": "/data/k", "value": "x"}]
    assert refusal(group, patch, PatchType.JSON).code == 422


@pytest.mark.parametrize(
    ("patch", "patch_type"),
    [({}, PatchType.JSON), ([], PatchType.MERGE), ([], PatchType.STRATEGIC)],
)
def test_a_patch_of_the_wrong_shape_is_400(
    group: ResourceGroup, patch: object, patch_type: PatchType
) -> None:
    assert refusal(group, patch, patch_type).code == 400


def test_json_patch_removes(group: ResourceGroup) -> None:
    patch = [{"op": "remove", "path": "/data/k"}]
    made = group.patch(CONFIG_MAPS, "default", "a", patch, PatchType.JSON)
    assert "data" not in made.json()


def test_strategic_patch_merges_lists_by_key(group: ResourceGroup) -> None:
    ready = {"type": "Ready", "status": "True"}
    group.create(NODES, "", named("n", status={"conditions": [ready]}))
    patch = {"status": {"conditions": [{"type": "DiskPressure", "status": "False"}]}}
    made = group.patch(NODES, "", "n", patch, PatchType.STRATEGIC, subresource="status").json()
    assert {item["type"] for item in made["status"]["conditions"]} == {"Ready", "DiskPressure"}


def test_strategic_patch_of_a_custom_resource_is_415(group: ResourceGroup) -> None:
    group.resources = group.resources.adding(WIDGETS)
    group.create(WIDGETS, "default", named("w"))
    with pytest.raises(APIError) as caught:
        group.patch(WIDGETS, "default", "w", {"spec": {}}, PatchType.STRATEGIC)
    assert caught.value.code == 415


def test_a_status_patch_leaves_spec(group: ResourceGroup) -> None:
    group.create(DEPLOYMENTS, "default", named("d", spec={"replicas": 1}))
    patch = {"spec": {"replicas": 5}, "status": {"replicas": 1}}
    made = group.patch(
        DEPLOYMENTS, "default", "d", patch, PatchType.MERGE, subresource="status"
    ).json()
    assert (made["spec"], made["status"]) == ({"replicas": 1}, {"replicas": 1})


def test_scale_is_patched_as_a_scale(group: ResourceGroup) -> None:
    group.create(DEPLOYMENTS, "default", named("d", spec={"replicas": 1}))
    patch = [{"op": "replace", "path": "/spec/replicas", "value": 4}]
    made = group.patch(DEPLOYMENTS, "default", "d", patch, PatchType.JSON, subresource="scale")
    assert made.json()["spec"] == {"replicas": 4}


def test_dry_run_patch_stores_nothing(group: ResourceGroup) -> None:
    before = group.get(CONFIG_MAPS, "default", "a")
    patch = {"data": {"n": "1"}}
    shown = group.patch(CONFIG_MAPS, "default", "a", patch, PatchType.MERGE, dry_run=True)
    assert shown.json()["data"] == {"k": "v", "n": "1"}
    assert group.get(CONFIG_MAPS, "default", "a") == before
