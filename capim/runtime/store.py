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
    from collections.abc import Callable, Iterable, Iterator

    from capim.api.meta import JsonObject
    from capim.api.resources import Resource, ResourceTable
    from capim.runtime.baselayer import Base
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
        self,
        resources: ResourceTable,
        first_version: int,
        history_events: int,
        history_bytes: int,
        base: Base | None = None,
    ) -> None:
        self.resources = resources
        self._base = base
        first_version = max(first_version, 0 if base is None else base.last_version)
        self.version = first_version
        self.log = WatchLog(first_version, history_events, history_bytes)
        self.subscriptions = Subscriptions()
        self.observe: Callable[[Change], None] | None = None
        self._tables: dict[tuple[str, str], ObjectTable] = {}
        #: what is told of right now, as it was before it was encoded
        self._told: tuple[Stored, JsonObject] | None = None

    def table(self, group_resource: tuple[str, str]) -> ObjectTable:
        """Return the objects of a kind; a kind nobody wrote yet has an empty table."""
        table = self._tables.get(group_resource)
        if table is None:
            base = self._base
            table = ObjectTable() if base is None else base.table(group_resource)
            self._tables[group_resource] = table
        return table

    def empty(self) -> None:
        """Let go of all objects and of their history; nothing may be written any more."""
        self._tables.clear()
        self._base = None
        self.log.clear(self.version)
        self.subscriptions = Subscriptions()
        self.observe = None

    def count(self, group_resource: tuple[str, str]) -> int:
        """Return how many objects of a kind there are."""
        table = self._tables.get(group_resource)
        if table is not None:
            return len(table)
        return 0 if self._base is None else self._base.count(group_resource)

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
            self._told = (stored, body)
            try:
                self.observe(change)
            finally:
                self._told = None
        return stored

    def body_of(self, stored: Stored) -> JsonObject:
        """Return an object decoded, for who only looks at it.

        Of the object whose change is told of this is what was encoded, which spares each observer of a
        Node's change 10 us.
        """
        told = self._told
        return told[1] if told is not None and told[0] is stored else stored.json()

    def restore(
        self,
        objects: Iterable[Stored],
        changes: Iterable[tuple[EventType, Stored]],
        lost: Iterable[ObjectRef] = (),
    ) -> None:
        """Become what an earlier life was: take its objects, then its history.

        Args:
            objects: those of `at_floor`.
            changes: what came after. Both are read as they are needed: a definition among them decides
                how what follows is read.
            lost: those of `lost_at_floor`.
        """
        for ref in lost:
            self.lose(ref)
        for stored in objects:
            self.load(stored)
        for event, stored in changes:
            self.replay(event, stored)

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
        """Take no version up to this one, and forget the history: what came last may be lost."""
        self.version = max(self.version, version)
        self.log.clear(self.version)

    def at_floor(self) -> Iterator[Stored]:
        """Yield the cluster's own objects as they were where history begins; definitions come first."""
        objects = {ref_of(stored): stored for table in self.tables() for stored in table.own()}
        for change in self.log.newest_first():
            if change.previous is None:
                del objects[ref_of(change.stored)]
            else:
                objects[ref_of(change.stored)] = change.previous
        return iter(sorted(objects.values(), key=lambda stored: stored.resource.custom))

    def lost_at_floor(self) -> Iterator[Stored]:
        """Yield what the cluster was born with and what was gone where history begins."""
        lost = {ref_of(stored): stored for table in self.tables() for stored in table.lost()}
        for change in self.log.newest_first():
            ref = ref_of(change.stored)
            if change.type == "DELETED":
                lost.pop(ref, None)
            elif change.previous is None and self.table(ref.group_resource).is_born(ref.key):
                lost[ref] = change.stored
        return iter(lost.values())

    def lose(self, ref: ObjectRef) -> None:
        """Let an object that the cluster was born with be gone: it went in an earlier life."""
        table = self.table(ref.group_resource)
        if table.get(ref.key) is not None:
            table.remove(ref.key)

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
