"""Owners and dependents, namespaces and their contents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from capim.api.errors import APIError
from capim.runtime.resourcegroup import DeleteOptions, PatchType, ResourceGroup, WatchEvent
from tests.support.groups import (
    CONFIG_MAPS,
    NAMESPACES,
    NODES,
    PODS,
    SECRETS,
    named,
    names,
    new_group,
    owned,
    told,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

FOREGROUND = DeleteOptions(propagation="Foreground")
ORPHAN = DeleteOptions(propagation="Orphan")
NO_FINALIZERS = {"metadata": {"finalizers": None}}


@pytest.fixture
def group() -> Iterator[ResourceGroup]:
    made = new_group()
    yield made
    made.validate()


def held(body: dict[str, object]) -> dict[str, object]:
    metadata = body["metadata"]
    assert isinstance(metadata, dict)
    return body | {"metadata": metadata | {"finalizers": ["x/y"]}}


def test_dependents_go_with_their_owner(group: ResourceGroup) -> None:
    events: list[WatchEvent] = []
    a = group.create(CONFIG_MAPS, "default", named("a"))
    b = group.create(CONFIG_MAPS, "default", owned("b", a))
    group.create(CONFIG_MAPS, "default", owned("c", b))
    group.watch(CONFIG_MAPS, None, events.append, since=group.resource_version)
    group.delete(CONFIG_MAPS, "default", "a")
    assert told(events) == [("DELETED", "a"), ("DELETED", "b"), ("DELETED", "c")]


def test_a_dependent_stays_while_one_owner_stands(group: ResourceGroup) -> None:
    a = group.create(CONFIG_MAPS, "default", named("a"))
    b = group.create(CONFIG_MAPS, "default", named("b"))
    group.create(CONFIG_MAPS, "default", owned("c", a, b))
    group.delete(CONFIG_MAPS, "default", "a")
    dependent = group.get(CONFIG_MAPS, "default", "c")
    assert dependent.owners == (b.uid,)
    group.delete(CONFIG_MAPS, "default", "b")
    assert names(group, CONFIG_MAPS) == []


def test_a_dependent_of_an_owner_that_never_was_is_collected(group: ResourceGroup) -> None:
    a = group.create(CONFIG_MAPS, "default", named("a"), dry_run=True)
    group.create(CONFIG_MAPS, "default", owned("b", a))
    assert names(group, CONFIG_MAPS) == []


def test_a_successor_of_the_same_name_is_another_owner(group: ResourceGroup) -> None:
    old = group.create(CONFIG_MAPS, "default", named("a"))
    group.delete(CONFIG_MAPS, "default", "a")
    group.create(CONFIG_MAPS, "default", named("a"))
    group.create(CONFIG_MAPS, "default", owned("b", old))
    assert names(group, CONFIG_MAPS) == ["a"]


def test_an_owner_in_another_namespace_is_absent(group: ResourceGroup) -> None:
    a = group.create(CONFIG_MAPS, "other", named("a"))
    group.create(CONFIG_MAPS, "default", owned("b", a))
    assert names(group, CONFIG_MAPS, "default") == []


def test_an_owner_of_the_cluster_may_own_in_any_namespace(group: ResourceGroup) -> None:
    node = group.create(NODES, "", named("n"))
    group.create(PODS, "default", owned("p", node))
    assert names(group, PODS) == ["p"]
    group.delete(NODES, "", "n")
    assert names(group, PODS) == []


def test_an_owner_of_a_kind_not_served_keeps_its_dependents(group: ResourceGroup) -> None:
    body = named("a")
    reference = {"apiVersion": "x.y/v1", "kind": "Z", "name": "z", "uid": "u"}
    body["metadata"]["ownerReferences"] = [reference]
    group.create(CONFIG_MAPS, "default", body)
    assert names(group, CONFIG_MAPS) == ["a"]


def test_an_owner_set_by_an_update_counts(group: ResourceGroup) -> None:
    a = group.create(CONFIG_MAPS, "default", named("a"))
    group.create(CONFIG_MAPS, "default", named("b"))
    group.update(CONFIG_MAPS, "default", "b", owned("b", a))
    group.delete(CONFIG_MAPS, "default", "a")
    assert names(group, CONFIG_MAPS) == []


def test_a_dependent_with_a_finalizer_waits_for_it(group: ResourceGroup) -> None:
    a = group.create(CONFIG_MAPS, "default", named("a"))
    group.create(CONFIG_MAPS, "default", held(owned("b", a)))
    group.delete(CONFIG_MAPS, "default", "a")
    assert group.get(CONFIG_MAPS, "default", "b").deleting
    group.patch(CONFIG_MAPS, "default", "b", NO_FINALIZERS, PatchType.MERGE)
    assert names(group, CONFIG_MAPS) == []


def test_orphans_stay_without_their_owner(group: ResourceGroup) -> None:
    a = group.create(CONFIG_MAPS, "default", named("a"))
    group.create(CONFIG_MAPS, "default", owned("b", a))
    assert group.delete(CONFIG_MAPS, "default", "a", ORPHAN)[1]
    assert names(group, CONFIG_MAPS) == ["b"]
    assert "ownerReferences" not in group.get(CONFIG_MAPS, "default", "b").json()["metadata"]


def test_a_foreground_deletion_takes_dependents_first(group: ResourceGroup) -> None:
    events: list[WatchEvent] = []
    a = group.create(CONFIG_MAPS, "default", named("a"))
    group.create(CONFIG_MAPS, "default", owned("b", a))
    group.watch(CONFIG_MAPS, None, events.append, since=group.resource_version)
    assert group.delete(CONFIG_MAPS, "default", "a", FOREGROUND)[1]
    assert told(events) == [("MODIFIED", "a"), ("DELETED", "b"), ("DELETED", "a")]


def test_a_foreground_deletion_waits_for_blocking_dependents(group: ResourceGroup) -> None:
    a = group.create(CONFIG_MAPS, "default", named("a"))
    group.create(CONFIG_MAPS, "default", held(owned("b", a)))
    assert not group.delete(CONFIG_MAPS, "default", "a", FOREGROUND)[1]
    assert group.get(CONFIG_MAPS, "default", "a").finalizers == ("foregroundDeletion",)
    group.patch(CONFIG_MAPS, "default", "b", NO_FINALIZERS, PatchType.MERGE)
    assert names(group, CONFIG_MAPS) == []


def test_a_foreground_deletion_does_not_wait_for_others(group: ResourceGroup) -> None:
    a = group.create(CONFIG_MAPS, "default", named("a"))
    group.create(CONFIG_MAPS, "default", held(owned("b", a, block=False)))
    assert group.delete(CONFIG_MAPS, "default", "a", FOREGROUND)[1]
    assert group.get(CONFIG_MAPS, "default", "b").deleting


def test_a_foreground_deletion_goes_down_the_generations(group: ResourceGroup) -> None:
    events: list[WatchEvent] = []
    a = group.create(CONFIG_MAPS, "default", named("a"))
    b = group.create(CONFIG_MAPS, "default", owned("b", a))
    group.create(CONFIG_MAPS, "default", owned("c", b))
    group.watch(CONFIG_MAPS, None, events.append, since=group.resource_version)
    group.delete(CONFIG_MAPS, "default", "a", FOREGROUND)
    deleted = [name for kind, name in told(events) if kind == "DELETED"]
    assert deleted == ["c", "b", "a"]


@pytest.mark.parametrize("options", [DeleteOptions(), FOREGROUND, ORPHAN])
def test_a_circle_of_owners_ends(group: ResourceGroup, options: DeleteOptions) -> None:
    a = group.create(CONFIG_MAPS, "default", named("a"))
    b = group.create(CONFIG_MAPS, "default", owned("b", a))
    group.update(CONFIG_MAPS, "default", "a", owned("a", b))
    group.delete(CONFIG_MAPS, "default", "a", options)
    assert names(group, CONFIG_MAPS) == (["b"] if options is ORPHAN else [])


# --- namespaces ------------------------------------------------------------------------------------


def test_a_namespace_takes_its_contents_along(group: ResourceGroup) -> None:
    events: list[WatchEvent] = []
    group.create(CONFIG_MAPS, "other", named("a"))
    group.create(SECRETS, "other", named("b"))
    group.create(SECRETS, "default", named("kept"))
    group.watch(NAMESPACES, None, events.append, since=group.resource_version)
    last, gone = group.delete(NAMESPACES, "", "other")
    assert last.json()["status"] == {"phase": "Terminating"}
    assert gone
    assert told(events)[-1] == ("DELETED", "other")
    assert (names(group, CONFIG_MAPS), names(group, SECRETS)) == ([], ["kept"])
    assert names(group, NAMESPACES) == ["default"]


def test_a_namespace_waits_for_contents_with_finalizers(group: ResourceGroup) -> None:
    group.create(CONFIG_MAPS, "other", held(named("a")))
    assert not group.delete(NAMESPACES, "", "other")[1]
    assert not group.delete(NAMESPACES, "", "other")[1]
    group.patch(CONFIG_MAPS, "other", "a", NO_FINALIZERS, PatchType.MERGE)
    assert names(group, NAMESPACES) == ["default"]


def test_nothing_new_comes_into_a_namespace_that_ends(group: ResourceGroup) -> None:
    group.create(CONFIG_MAPS, "other", held(named("a")))
    group.delete(NAMESPACES, "", "other")
    with pytest.raises(APIError) as caught:
        group.create(SECRETS, "other", named("s"))
    assert caught.value.code == 403
    assert caught.value.message == (
        'secrets "s" is forbidden: unable to create new content in namespace other '
        "because it is being terminated"
    )
    assert (caught.value.details or {})["causes"][0]["reason"] == "NamespaceTerminating"


def test_a_namespace_with_a_finalizer_of_its_own_waits_empty(group: ResourceGroup) -> None:
    group.create(NAMESPACES, "", held(named("mine")))
    group.create(SECRETS, "mine", named("s"))
    assert not group.delete(NAMESPACES, "", "mine")[1]
    assert names(group, SECRETS) == []
    group.patch(NAMESPACES, "", "mine", NO_FINALIZERS, PatchType.MERGE)
    assert "mine" not in names(group, NAMESPACES)


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
def test_some_namespaces_may_not_be_deleted(group: ResourceGroup, name: str) -> None:
    if name != "default":
        group.create(NAMESPACES, "", named(name))
    with pytest.raises(APIError) as caught:
        group.delete(NAMESPACES, "", name)
    assert (
        caught.value.message
        == f'namespaces "{name}" is forbidden: this namespace may not be deleted'
    )


def test_a_namespace_is_finalized_through_its_subresource(group: ResourceGroup) -> None:
    body = named("other", spec={})
    group.update(NAMESPACES, "", "other", body)
    assert group.get(NAMESPACES, "", "other").json()["spec"] == {"finalizers": ["kubernetes"]}
    group.update(NAMESPACES, "", "other", body, subresource="finalize")
    assert group.get(NAMESPACES, "", "other").json()["spec"] == {"finalizers": []}
    assert group.delete(NAMESPACES, "", "other")[1]
