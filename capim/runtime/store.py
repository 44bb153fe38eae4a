"""The state of one resource group: objects by kind, the version counter, history and watches.

`commit` is the one door through which anything changes: it takes the next version, stores or removes
the object, remembers the change, tells the garbage collector and queues the change for watches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from capim.runtime.objects import Change, Stored, encode
from capim.runtime.objecttable import ObjectTable, key_of
from capim.runtime.subscriptions import Subscriptions
from capim.runtime.watchlog import WatchLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from capim.api.meta import JsonObject
    from capim.api.resources import Resource, ResourceTable
    from capim.runtime.objects import EventType


class ObjectRef(NamedTuple):
    """Where an object lies: its kind's storage and its key there."""

    group_resource: tuple[str, str]
    key: str


def ref_of(stored: Stored) -> ObjectRef:
    """Return where an object lies."""
    return ObjectRef(stored.resource.group_resource, stored.key)


class Store:
    """Objects, versions and history. Knows no rules: callers have checked what they commit."""

    def __init__(
        self, resources: ResourceTable, first_version: int, history_events: int, history_bytes: int
    ) -> None:
        self.resources = resources
        self.version = first_version
        self.log = WatchLog(first_version, history_events, history_bytes)
        self.subscriptions = Subscriptions()
        self.observe: Callable[[Change], None] | None = None
        self._tables: dict[tuple[str, str], ObjectTable] = {}

    def table(self, group_resource: tuple[str, str]) -> ObjectTable:
        """Return the objects of a kind; a kind nobody wrote yet has an empty table."""
        table = self._tables.get(group_resource)
        if table is None:
            table = self._tables[group_resource] = ObjectTable()
        return table

    def tables(self) -> Iterator[ObjectTable]:
        """Yield the table of every kind that was ever asked for."""
        return iter(tuple(self._tables.values()))

    def find(self, resource: Resource, namespace: str, name: str) -> Stored | None:
        """Return an object or None."""
        return self.table(resource.group_resource).get(key_of(namespace, name))

    def at(self, ref: ObjectRef) -> Stored | None:
        """Return the object that lies there now, or None."""
        return self.table(ref.group_resource).get(ref.key)

    def commit(
        self, event: EventType, resource: Resource, body: JsonObject, previous: Stored | None
    ) -> Stored:
        """Make a change; DELETED removes the object. The body's metadata is the store's from now on."""
        stored = encode(resource, body, self.version + 1)
        table = self.table(resource.group_resource)
        if event == "DELETED":
            table.remove(stored.key)
        else:
            table.put(stored)
        self.version += 1
        change = Change(event, stored, previous)
        self.log.append(change)
        self.subscriptions.queue(change)
        if self.observe is not None:
            self.observe(change)
        return stored

    def validate(self) -> None:
        """Raise AssertionError where an invariant is broken; for tests."""
        self.log.validate()
        assert self.version >= self.log.newest  # noqa: S101
        for table in self.tables():
            table.validate()
            for stored in table.slice(0, len(table)):
                assert stored.resource_version <= self.version  # noqa: S101
                version = stored.json()["metadata"]["resourceVersion"]
                assert version == str(stored.resource_version)  # noqa: S101
