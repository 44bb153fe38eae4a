"""Objects every cluster is born with: read without being kept, the cluster's own once written."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from capim.api.errors import APIError
from capim.api.gvk import GVR
from capim.api.resources import WORKLOAD_RESOURCES
from capim.runtime.baselayer import Base, Layer
from capim.runtime.objects import PatchType
from capim.runtime.resourcegroup import ResourceGroup


def _resource(plural: str, group: str = "") -> Any:
    return WORKLOAD_RESOURCES.by_gvr(GVR(group, "v1", plural))


MAPS = _resource("configmaps")
NAMESPACES = _resource("namespaces")
NODES = _resource("nodes")
ALL = PatchType.MERGE

LAYER = Layer(
    [
        (MAPS, {"metadata": {"name": "a", "namespace": "default"}, "data": {"at": "@time@"}}),
        (MAPS, {"metadata": {"name": "c", "namespace": "default", "labels": {"x": "y"}}}),
        (NODES, {"metadata": {"name": "@host@"}, "spec": {"unschedulable": "@#flag@"}}),
    ]
)
VALUES = {"time": b"2026-01-02T03:04:05Z", "host": b"n-1", "flag": b"true"}


def born(seed: str = "uid", first_version: int = 1000) -> ResourceGroup:
    uids = itertools.count()
    group = ResourceGroup(
        WORKLOAD_RESOURCES,
        clock=lambda: 1_700_000_000.0,
        new_uid=lambda: f"uid-{next(uids)}",
        first_version=first_version,
        base=Base(LAYER, seed, lambda: VALUES),
    )
    group.create(NAMESPACES, "", {"metadata": {"name": "default"}})
    return group


def names(group: ResourceGroup) -> list[str]:
    return [stored.name for stored in group.list(MAPS, None).items]


def test_objects_are_read_with_the_clusters_own_values() -> None:
    body = born().get(MAPS, "default", "a").json()
    assert body["data"] == {"at": "2026-01-02T03:04:05Z"}
    assert body["metadata"]["creationTimestamp"] == "2026-01-02T03:04:05Z"
    assert body["metadata"]["resourceVersion"] == "1"


def test_a_name_and_a_value_may_be_the_clusters_own() -> None:
    group = born()
    node = group.get(NODES, "", "n-1")
    assert node.json()["spec"] == {"unschedulable": True}
    assert [stored.key for stored in group.list(NODES, None).items] == ["n-1"]


def test_uids_are_the_same_in_every_life_and_differ_between_clusters() -> None:
    first, again, other = born(), born(first_version=9000), born("other")
    one = first.get(MAPS, "default", "a")
    assert one == again.get(MAPS, "default", "a")
    assert one.uid != other.get(MAPS, "default", "a").uid
    assert one.uid != first.get(MAPS, "default", "c").uid
    assert one.uid[14] == "4"


def test_own_objects_lie_among_the_others() -> None:
    group = born()
    group.create(MAPS, "default", {"metadata": {"name": "b"}})
    assert names(group) == ["a", "b", "c"]
    assert names(born()) == ["a", "c"]
    group.validate()


def test_an_object_that_is_written_is_the_clusters_own() -> None:
    group = born()
    seen: list[str] = []
    group.watch(MAPS, None, lambda event: seen.append(event.type), since=group.resource_version)
    changed = group.patch(MAPS, "default", "a", {"data": {"k": "v"}}, ALL)
    assert changed.resource_version == group.resource_version
    assert group.get(MAPS, "default", "a").json()["data"]["k"] == "v"
    assert seen == ["MODIFIED"]
    assert "k" not in born().get(MAPS, "default", "a").json()["data"]
    group.validate()


def test_a_write_that_changes_nothing_takes_no_version() -> None:
    group = born()
    before = group.resource_version
    assert group.patch(MAPS, "default", "a", {}, ALL).resource_version == 1
    assert group.resource_version == before


def test_an_object_that_is_deleted_is_gone_and_may_come_back() -> None:
    group = born()
    group.delete(MAPS, "default", "a")
    assert names(group) == ["c"]
    with pytest.raises(APIError, match="not found"):
        group.get(MAPS, "default", "a")
    group.create(MAPS, "default", {"metadata": {"name": "a"}})
    assert names(group) == ["a", "c"]
    group.delete(MAPS, "default", "a")
    assert names(group) == ["c"]
    group.validate()


def test_a_name_that_is_taken_is_taken() -> None:
    with pytest.raises(APIError, match='configmaps "a" already exists'):
        born().create(MAPS, "default", {"metadata": {"name": "a"}})


def test_a_list_at_an_earlier_version_shows_what_was() -> None:
    group = born()
    before = group.resource_version
    group.delete(MAPS, "default", "a")
    items = group.list(MAPS, None, at=before).items
    assert [stored.name for stored in items] == ["a", "c"]


def test_another_life_has_what_was_written_and_not_what_went() -> None:
    group = born()
    group.patch(MAPS, "default", "c", {"data": {"k": "v"}}, ALL)
    group.delete(MAPS, "default", "a")
    group.store.skip_to(5000)  # history is forgotten: what is lost is known by itself
    store = group.store
    lost = [(stored.resource.group_resource, stored.key) for stored in store.lost_at_floor()]
    assert lost == [(("", "configmaps"), "default/a")]
    assert sorted(stored.name for stored in store.at_floor()) == ["c", "default"]


def test_what_went_within_the_history_is_not_lost_where_it_begins() -> None:
    group = born()
    group.delete(MAPS, "default", "a")
    assert list(group.store.lost_at_floor()) == []
    assert "a" in [stored.name for stored in group.store.at_floor()]


def test_what_came_back_within_the_history_is_lost_where_it_begins() -> None:
    group = born()
    group.delete(MAPS, "default", "a")
    group.store.skip_to(5000)
    group.create(MAPS, "default", {"metadata": {"name": "a"}})
    assert [stored.key for stored in group.store.lost_at_floor()] == ["default/a"]
