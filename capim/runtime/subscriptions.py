"""Watches: who hears of which change, in which order.

Changes are queued by a write and delivered when it is over, so that a callback may itself write: what
it causes comes after what caused it, for every watch.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from capim.runtime.objects import Change, WatchEvent, at_version, watch_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from capim.api.resources import Resource
    from capim.runtime.selection import Selection


class Watch:
    """One open watch. `close()` ends it; nothing is delivered afterwards."""

    __slots__ = ("_everything", "_on_event", "_registry", "_seen", "_selection", "resource")

    def __init__(
        self,
        resource: Resource,
        selection: Selection,
        on_event: Callable[[WatchEvent], None],
        registry: Subscriptions,
        seen: int,
    ) -> None:
        self.resource = resource
        self._selection = selection
        self._everything = selection.namespace is None and not selection.selective
        self._on_event = on_event
        self._registry: Subscriptions | None = registry
        self._seen = seen

    @property
    def namespace(self) -> str | None:
        """The namespace that is watched, None for all."""
        return self._selection.namespace

    @property
    def closed(self) -> bool:
        """Whether the watch has ended."""
        return self._registry is None

    def close(self) -> None:
        """End the watch; again is allowed."""
        if self._registry is not None:
            registry, self._registry = self._registry, None
            registry.discard(self)

    def replay(self, changes: Iterable[Change], now: int) -> None:
        """Deliver history up to the version `now`, after which live changes follow."""
        for change in changes:
            if change.stored.resource.group_resource == self.resource.group_resource:
                self.offer(change, None)
        self._seen = now

    def offer(self, change: Change, event: WatchEvent | None) -> WatchEvent | None:
        """Deliver a change if it is selected and new; `event` is its encoding if there is one yet.

        Returns: the encoding of the unaltered change, for the next watch.
        """
        stored = change.stored
        if self._registry is None or stored.resource_version <= self._seen:
            return event
        seen: Change | None = change
        if not self._everything:
            if not self._selection.in_namespace(stored):
                return event
            seen = self._select(change) if self._selection.selective else change
        self._seen = stored.resource_version
        if seen is None:
            return event
        if seen is change and (
            stored.resource is self.resource or stored.is_form_of(self.resource)
        ):
            event = event or watch_event(change)
            self._on_event(event)
        else:
            self._on_event(watch_event(self._served(seen)))
        return event

    def _select(self, change: Change) -> Change | None:
        before = change.previous is not None and self._selection.matches(change.previous)
        if change.type == "DELETED":
            return change if before else None
        if self._selection.matches(change.stored):
            return change if before or change.type == "ADDED" else change._replace(type="ADDED")
        if before and change.previous is not None:  # it left: a watcher sees it as it knew it
            left = at_version(change.previous, change.stored.resource_version)
            return Change("DELETED", left, change.previous)
        return None

    def _served(self, change: Change) -> Change:
        return change._replace(stored=change.stored.served_as(self.resource))


class Subscriptions:
    """The open watches of a resource group and the changes they are to hear of."""

    def __init__(self) -> None:
        self._watches: dict[tuple[str, str], list[Watch]] = {}
        self._queue: deque[Change] = deque()
        self._delivering = False

    def __len__(self) -> int:
        return sum(map(len, self._watches.values()))

    def is_watched(self, kind: tuple[str, str], namespace: str) -> bool:
        """Tell whether a watch is open that hears of a kind in a namespace."""
        return any(watch.namespace in {None, namespace} for watch in self._watches.get(kind, ()))

    def counts(self) -> dict[tuple[str, str], int]:
        """Return how many watches each kind has."""
        return {kind: len(watches) for kind, watches in self._watches.items() if watches}

    def add(self, watch: Watch) -> None:
        """Deliver to this watch from now on."""
        self._watches.setdefault(watch.resource.group_resource, []).append(watch)

    def discard(self, watch: Watch) -> None:
        """Deliver nothing more to this watch."""
        watches = self._watches.get(watch.resource.group_resource, [])
        if watch in watches:
            watches.remove(watch)

    def queue(self, change: Change) -> None:
        """Take a change for delivery, if anybody watches its kind."""
        if self._watches.get(change.stored.resource.group_resource):
            self._queue.append(change)

    def deliver(self) -> None:
        """Deliver what is queued. From within a callback this does nothing: the outer call goes on.

        A callback that raises has its watch closed; the others still hear of everything, then the
        first error is raised.
        """
        if self._delivering or not self._queue:
            return
        self._delivering = True
        failed: Exception | None = None
        try:
            while self._queue:
                failed = self._deliver_one(self._queue.popleft()) or failed
        finally:
            self._delivering = False
        if failed is not None:
            raise failed

    def _deliver_one(self, change: Change) -> Exception | None:
        event: WatchEvent | None = None
        failed: Exception | None = None
        for watch in tuple(self._watches.get(change.stored.resource.group_resource, ())):
            try:
                event = watch.offer(change, event)
            except Exception as error:
                watch.close()
                failed = failed or error
        return failed
