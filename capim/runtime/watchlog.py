"""The history a watch can replay: a ring of the store's last changes.

Bounded by events and by bytes, for the whole resource group and not for each kind, so that a group's
memory has one bound. Older states of objects live here and nowhere else.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from capim.api import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.runtime.objects import Change


class WatchLog:
    """Changes in the order of their versions; forgets the oldest."""

    def __init__(self, floor: int, max_events: int, max_bytes: int) -> None:
        self._floor = floor  # every change after this version is held
        self._changes: deque[Change] = deque()
        self._bytes = 0
        self._max_events = max_events
        self._max_bytes = max_bytes

    def __len__(self) -> int:
        return len(self._changes)

    @property
    def floor(self) -> int:
        """The oldest version from which history is whole."""
        return self._floor

    @property
    def newest(self) -> int:
        """The version of the last change."""
        return self._changes[-1].stored.resource_version if self._changes else self._floor

    def holds(self, resource_version: int) -> bool:
        """Tell whether history is whole from this version on."""
        return self._floor <= resource_version <= self.newest

    def append(self, change: Change) -> None:
        """Add the newest change and forget what exceeds the bounds, but never the newest."""
        self._changes.append(change)
        self._bytes += change.stored.size
        while len(self._changes) > self._max_events or (
            self._bytes > self._max_bytes and len(self._changes) > 1
        ):
            dropped = self._changes.popleft().stored
            self._bytes -= dropped.size
            self._floor = dropped.resource_version

    def clear(self, floor: int) -> None:
        """Forget all, and hold what comes after this version."""
        self._changes.clear()
        self._bytes, self._floor = 0, floor

    def since(self, resource_version: int) -> Iterator[Change]:
        """Return what happened after `resource_version`, oldest first; checks before it yields.

        Raises:
            APIError: Expired, where the version is no longer or was never held.
        """
        if not self.holds(resource_version):
            raise errors.expired(f"too old resource version: {resource_version} ({self._floor})")
        first = bisect_right(
            self._changes, resource_version, key=lambda change: change.stored.resource_version
        )
        return islice(self._changes, first, None)

    def newest_first(self) -> Iterator[Change]:
        """Return all changes that are held, backwards."""
        return reversed(self._changes)

    def validate(self) -> None:
        """Raise AssertionError where an invariant is broken; for tests."""
        versions = [change.stored.resource_version for change in self._changes]
        assert versions == sorted(set(versions))  # noqa: S101
        assert not versions or versions[0] > self._floor  # noqa: S101
        assert self._bytes == sum(c.stored.size for c in self._changes)  # noqa: S101
