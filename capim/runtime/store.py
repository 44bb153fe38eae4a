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
    from capim.wire.managedfields import Entries


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
        self,
        event: EventType,
        resource: Resource,
        body: JsonObject,
        previous: Stored | None,
        managed: Entries | None = None,
    ) -> Stored:
        """Make a change; DELETED removes the object. The body's metadata is the store's from now on.

        `managed`: who manages the object's fields; None: who did before.
        """
        if managed is None:
            managed = () if previous is None else previous.managed
        stored = encode(resource, body, self.version + 1, managed)
        change = Change(event, stored, previous)
        self._apply(change)
        self.subscriptions.queue(change)
        if self.observe is not None:
            self.observe(change)
        return stored

    def load(self, stored: Stored) -> None:
        """Put an object of an earlier life where it was; it is no change of this one."""
        self.table(stored.resource.group_resource).put(stored)
        if self.observe is not None:
            self.observe(Change("ADDED", stored, None))

    def replay(self, event: EventType, stored: Stored) -> None:
        """Make a change of an earlier life again, at its version: watches may go on from there."""
        change = Change(event, stored, self.at(ref_of(stored)))
        self._apply(change)
        if self.observe is not None:
            self.observe(change)

    def skip_to(self, version: int) -> None:
        """Take no version up to this one, and forget the history."""
        self.version = max(self.version, version)
        self.log.clear(self.version)

    def at_floor(self) -> Iterator[Stored]:
        """Yield the objects as they were where history begins; definitions of kinds come first."""
        objects = {
            ref_of(stored): stored
            for table in self.tables()
            for stored in table.slice(0, len(table))
        }
        for change in self.log.newest_first():
            if change.previous is None:
                del objects[ref_of(change.stored)]
            else:
                objects[ref_of(change.stored)] = change.previous
        return iter(sorted(objects.values(), key=lambda stored: stored.resource.custom))

    def _apply(self, change: Change) -> None:
        stored = change.stored
        table = self.table(stored.resource.group_resource)
        if change.type == "DELETED":
            table.remove(stored.key)
        else:
            table.put(stored)
        self.version = stored.resource_version
        self.log.append(change)

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
