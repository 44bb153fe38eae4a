"""Managers of fields in a resource group: which writes are tracked, and what an apply does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capim.runtime.resourcegroup import PatchType, ResourceGroup
from tests.support.groups import CONFIG_MAPS, named, new_group

if TYPE_CHECKING:
    from capim.api.meta import JsonObject


def managers(group: ResourceGroup, name: str = "a") -> list[tuple[str, str]]:
    metadata = group.get(CONFIG_MAPS, "default", name).json()["metadata"]
    entries = metadata.get("managedFields") or []
    return [(entry["manager"], entry["operation"]) for entry in entries]


def config(**data: str) -> JsonObject:
    return {"apiVersion": "v1", "kind": "ConfigMap", **named("a", data=data)}


def test_the_simulators_writes_leave_no_entries() -> None:
    group = new_group()
    group.create(CONFIG_MAPS, "default", named("a", data={"x": "1"}))
    group.update(CONFIG_MAPS, "default", "a", named("a", data={"x": "2"}))
    assert managers(group) == []


def test_the_simulator_keeps_the_entries_of_clients() -> None:
    group = new_group()
    group.create(CONFIG_MAPS, "default", named("a", data={"x": "1"}), manager="client")
    group.apply_own(CONFIG_MAPS, "default", "a", lambda obj: {**obj, "data": {"x": "2"}})
    assert managers(group) == [("client", "Update")]


def test_tracking_that_is_off_starts_with_the_first_apply() -> None:
    group = new_group(track_fields=False)
    group.create(CONFIG_MAPS, "default", named("a", data={"x": "1"}), manager="client")
    group.update(CONFIG_MAPS, "default", "a", named("a", data={"x": "2"}), manager="client")
    assert managers(group) == []
    group.apply(CONFIG_MAPS, "default", "a", config(y="1"), manager="one")
    assert managers(group) == [("one", "Apply"), ("before-first-apply", "Update")]


def test_an_apply_that_changes_nothing_takes_no_version() -> None:
    group = new_group()
    stored, created = group.apply(CONFIG_MAPS, "default", "a", config(x="1"), manager="one")
    assert created
    again = group.apply(CONFIG_MAPS, "default", "a", config(x="1"), manager="one")
    assert again == (stored, False)


def test_a_patch_of_the_entries_alone_is_a_change() -> None:
    group = new_group()
    before = group.create(CONFIG_MAPS, "default", named("a"), manager="client")
    group.update(CONFIG_MAPS, "default", "a", named("a", data={"x": "1"}), manager="client")
    reset: JsonObject = {"metadata": {"managedFields": [{}]}}
    after = group.patch(CONFIG_MAPS, "default", "a", reset, PatchType.MERGE, manager="client")
    assert after.resource_version > before.resource_version
    assert managers(group) == []
