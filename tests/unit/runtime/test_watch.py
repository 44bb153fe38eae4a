"""Watches: what is delivered, to whom, in which order."""

from __future__ import annotations

import json

import pytest

from capim.api.errors import APIError
from capim.runtime.resourcegroup import PatchType, ResourceGroup, WatchEvent
from capim.wire.selectors import FieldSelector, LabelSelector
from tests.support.groups import (
    CONFIG_MAPS,
    FIRST_VERSION,
    NODES,
    PODS,
    named,
    new_group,
    told,
)


@pytest.fixture
def group() -> ResourceGroup:
    return new_group()


def labelled(name: str, **labels: str) -> dict[str, object]:
    return named(name, metadata={"labels": labels})


def test_a_watch_hears_of_creation_change_and_deletion(group: ResourceGroup) -> None:
    events: list[WatchEvent] = []
    group.watch(CONFIG_MAPS, None, events.append, since=group.resource_version)
    group.create(CONFIG_MAPS, "default", named("a"))
    group.update(CONFIG_MAPS, "default", "a", named("a", data={"k": "v"}))
    group.delete(CONFIG_MAPS, "default", "a")
    assert told(events) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    versions = [event.stored.resource_version for event in events]
    assert versions == sorted(set(versions))


def test_a_line_is_the_event_and_ends(group: ResourceGroup) -> None:
    events: list[WatchEvent] = []
    group.watch(NODES, None, events.append, since=group.resource_version)
    stored = group.create(NODES, "", named("n"))
    assert events[0].line.endswith(b"}\n")
    assert json.loads(events[0].line) == {"type": "ADDED", "object": stored.json()}


def test_a_deletion_is_told_at_the_version_of_the_deletion(group: ResourceGroup) -> None:
    events: list[WatchEvent] = []
    created = group.create(NODES, "", named("n"))
    group.watch(NODES, None, events.append, since=group.resource_version)
    group.delete(NODES, "", "n")
    told_version = json.loads(events[0].line)["object"]["metadata"]["resourceVersion"]
    assert told_version == str(group.resource_version) == str(created.resource_version + 1)
    assert events[0].previous == created


def test_deleted_is_told_when_the_object_goes_not_when_it_is_asked(group: ResourceGroup) -> None:
    events: list[WatchEvent] = []
    group.create(NODES, "", named("n", metadata={"finalizers": ["x/y"]}))
    group.watch(NODES, None, events.append, since=group.resource_version)
    group.delete(NODES, "", "n")
    assert told(events) == [("MODIFIED", "n")]
    group.patch(NODES, "", "n", {"metadata": {"finalizers": None}}, PatchType.MERGE)
    assert told(events) == [("MODIFIED", "n"), ("DELETED", "n")]


def test_all_watches_of_a_change_are_given_one_encoding(group: ResourceGroup) -> None:
    events: list[WatchEvent] = []
    for _ in range(3):
        group.watch(NODES, None, events.append, since=group.resource_version)
    group.create(NODES, "", named("n"))
    assert len(events) == 3
    assert len({id(event.line) for event in events}) == 1


def test_a_closed_watch_hears_nothing(group: ResourceGroup) -> None:
    events: list[WatchEvent] = []
    watch = group.watch(NODES, None, events.append, since=group.resource_version)
    watch.close()
    watch.close()
    group.create(NODES, "", named("n"))
    assert (events, group.watches, watch.closed) == ([], 0, True)


def test_a_watch_hears_of_its_kind_and_namespace_alone(group: ResourceGroup) -> None:
    events: list[WatchEvent] = []
    group.watch(CONFIG_MAPS, "default", events.append, since=group.resource_version)
    group.create(CONFIG_MAPS, "other", named("a"))
    group.create(PODS, "default", named("b"))
    group.create(CONFIG_MAPS, "default", named("c"))
    assert told(events) == [("ADDED", "c")]


def test_entering_and_leaving_a_selection_is_added_and_deleted(group: ResourceGroup) -> None:
    events: list[WatchEvent] = []
    labels = LabelSelector.parse("in=yes")
    group.watch(NODES, None, events.append, labels=labels, since=group.resource_version)
    group.create(NODES, "", labelled("n"))
    group.update(NODES, "", "n", {**labelled("n", **{"in": "yes"})})
    group.update(NODES, "", "n", {**labelled("n", **{"in": "yes", "x": "y"})})
    group.update(NODES, "", "n", labelled("n"))
    group.update(NODES, "", "n", labelled("n", x="z"))
    group.delete(NODES, "", "n")
    assert told(events) == [("ADDED", "n"), ("MODIFIED", "n"), ("DELETED", "n")]


def test_an_object_leaves_as_it_was_known_at_the_version_it_left(group: ResourceGroup) -> None:
    events: list[WatchEvent] = []
    group.create(NODES, "", labelled("n", a="b"))
    labels = LabelSelector.parse("a=b")
    group.watch(NODES, None, events.append, labels=labels, since=group.resource_version)
    group.update(NODES, "", "n", labelled("n"))
    left = json.loads(events[0].line)["object"]["metadata"]
    assert left["labels"] == {"a": "b"}
    assert left["resourceVersion"] == str(group.resource_version)


def test_fields_select_what_is_told(group: ResourceGroup) -> None:
    events: list[WatchEvent] = []
    fields = FieldSelector.parse("spec.nodeName=n1")
    group.watch(PODS, None, events.append, fields=fields, since=group.resource_version)
    group.create(PODS, "default", named("elsewhere", spec={"nodeName": "n2"}))
    group.create(PODS, "default", named("here", spec={"nodeName": "n1"}))
    assert told(events) == [("ADDED", "here")]


def test_history_is_replayed_exactly(group: ResourceGroup) -> None:
    group.create(NODES, "", named("a"))
    since = group.resource_version
    group.create(NODES, "", named("b"))
    group.update(NODES, "", "a", named("a", spec={"x": 1}))
    group.delete(NODES, "", "b")
    group.create(CONFIG_MAPS, "default", named("c"))
    events: list[WatchEvent] = []
    group.watch(NODES, None, events.append, since=since)
    assert told(events) == [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]


def test_history_then_live_without_gap_or_repeat(group: ResourceGroup) -> None:
    events: list[WatchEvent] = []
    since = group.resource_version
    group.create(NODES, "", named("a"))
    group.watch(NODES, None, events.append, since=since)
    group.create(NODES, "", named("b"))
    assert told(events) == [("ADDED", "a"), ("ADDED", "b")]


@pytest.mark.parametrize("since", [0, FIRST_VERSION - 1, 1 << 60])
def test_a_version_never_held_is_410(group: ResourceGroup, since: int) -> None:
    with pytest.raises(APIError) as caught:
        group.watch(NODES, None, lambda _: None, since=since)
    assert (caught.value.code, caught.value.reason) == (410, "Expired")
    assert group.watches == 0


def test_history_is_bounded_by_events() -> None:
    group = new_group(history_events=5)
    start = group.resource_version
    for index in range(10):
        group.create(NODES, "", named(f"n{index}"))
    events: list[WatchEvent] = []
    group.watch(NODES, None, events.append, since=start + 5)
    assert [name for _, name in told(events)] == ["n5", "n6", "n7", "n8", "n9"]
    with pytest.raises(APIError):
        group.watch(NODES, None, events.append, since=start + 4)


def test_history_is_bounded_by_bytes() -> None:
    group = new_group(history_bytes=10_000)
    start = group.resource_version
    for index in range(8):
        group.create(CONFIG_MAPS, "default", named(f"c{index}", data={"k": "x" * 3_000}))
    with pytest.raises(APIError):
        group.watch(CONFIG_MAPS, None, lambda _: None, since=start + 4)
    events: list[WatchEvent] = []
    group.watch(CONFIG_MAPS, None, events.append, since=start + 5)
    assert [name for _, name in told(events)] == ["c5", "c6", "c7"]
    group.validate()


def test_a_callback_may_write_and_order_is_kept_for_every_watch(group: ResourceGroup) -> None:
    events: list[WatchEvent] = []

    def follow(event: WatchEvent) -> None:
        if event.type == "ADDED":
            group.update(NODES, "", event.stored.name, named(event.stored.name, spec={"x": 1}))

    group.watch(NODES, None, follow, since=group.resource_version)
    group.watch(NODES, None, events.append, since=group.resource_version)
    group.create(NODES, "", named("n"))
    assert told(events) == [("ADDED", "n"), ("MODIFIED", "n")]


def test_a_watch_opened_by_a_callback_hears_each_change_once(group: ResourceGroup) -> None:
    inner: list[WatchEvent] = []
    start = group.resource_version

    def open_another(_: WatchEvent) -> None:
        if group.watches == 1:
            group.watch(NODES, None, inner.append, since=start)

    group.watch(NODES, None, open_another, since=start)
    group.create(NODES, "", named("a"))
    group.create(NODES, "", named("b"))
    assert told(inner) == [("ADDED", "a"), ("ADDED", "b")]


def test_a_callback_that_fails_is_closed_and_the_rest_hear(group: ResourceGroup) -> None:
    events: list[WatchEvent] = []

    def fail(_: WatchEvent) -> None:
        raise RuntimeError("broken")

    group.watch(NODES, None, fail, since=group.resource_version)
    group.watch(NODES, None, events.append, since=group.resource_version)
    with pytest.raises(RuntimeError, match="broken"):
        group.create(NODES, "", named("a"))
    group.create(NODES, "", named("b"))
    assert told(events) == [("ADDED", "a"), ("ADDED", "b")]
    assert group.watches == 1


def test_a_write_that_changes_nothing_is_not_told(group: ResourceGroup) -> None:
    events: list[WatchEvent] = []
    group.create(NODES, "", named("n"))
    group.watch(NODES, None, events.append, since=group.resource_version)
    group.update(NODES, "", "n", named("n"))
    assert events == []
