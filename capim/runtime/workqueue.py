"""A queue of keys to reconcile: dedupes, delays, backs off. Pure: the caller brings the time.

Invariants: a key is handed out to one taker at a time; added while it is out, it comes again after
`done`; a key has at most one delayed add, the earliest. The rules are those of client-go's workqueue.
"""

from __future__ import annotations

import heapq
from collections import deque
from typing import Final, Generic, TypeVar

Key = TypeVar("Key")

#: client-go's defaults: the first retry is almost at once, the last ones 17 minutes apart.
FIRST_BACKOFF_S: Final = 0.005
LONGEST_BACKOFF_S: Final = 1000.0


class WorkQueue(Generic[Key]):
    """Keys in the order they were added, each at most once. One loop, no lock."""

    def __init__(
        self,
        *,
        first_backoff_s: float = FIRST_BACKOFF_S,
        longest_backoff_s: float = LONGEST_BACKOFF_S,
    ) -> None:
        self._first_backoff_s = first_backoff_s
        self._longest_backoff_s = longest_backoff_s
        self._ready: deque[Key] = deque()
        self._dirty: set[Key] = set()  #: to be handed out: in `_ready`, or once they are done
        self._out: set[Key] = set()  #: taken and not done
        self._due: dict[Key, float] = {}  #: delayed adds; the heap may hold older entries of a key
        self._heap: list[tuple[float, int, Key]] = []
        self._entries_total = 0  #: breaks ties in the heap, so that keys need no order
        self._failures: dict[Key, int] = {}

    def __len__(self) -> int:
        """Return how many keys are ready to be taken."""
        return len(self._ready)

    def add(self, key: Key) -> None:
        """Hand the key out as soon as somebody takes, after its current taker if it has one."""
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._out:
            self._ready.append(key)

    def add_at(self, key: Key, when: float) -> None:
        """Add the key at a time; an earlier one that is planned stays."""
        if key in self._due and self._due[key] <= when:
            return
        self._due[key] = when
        self._entries_total += 1
        heapq.heappush(self._heap, (when, self._entries_total, key))

    def plan(self, key: Key, when: float | None) -> None:
        """Add the key at this time and no other that was planned; None: not at all."""
        if self._due.get(key) == when:
            return
        self._due.pop(key, None)
        if when is not None:
            self.add_at(key, when)

    def retry(self, key: Key, now: float) -> float:
        """Add the key after its backoff, which doubles with every retry; return the delay in seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        # 2**60 is beyond any limit; without the bound the float overflows after 1000 failures
        delay_s = min(self._first_backoff_s * 2.0 ** min(failures, 60), self._longest_backoff_s)
        self.add_at(key, now + delay_s)
        return delay_s

    def hurry(self) -> None:
        """Hand out every delayed key now."""
        delayed, self._due = list(self._due), {}
        for key in delayed:
            self.add(key)

    def forget(self, key: Key) -> None:
        """Begin the key's backoff anew: it succeeded."""
        self._failures.pop(key, None)

    def take(self, now: float) -> Key | None:
        """Take the next key, or None when none is ready; `done` gives it back."""
        self._release_due(now)
        if not self._ready:
            return None
        key = self._ready.popleft()
        self._dirty.discard(key)
        self._out.add(key)
        return key

    def done(self, key: Key) -> None:
        """Give a taken key back; it is ready again if it was added meanwhile."""
        self._out.discard(key)
        if key in self._dirty:
            self._ready.append(key)

    def next_due(self) -> float | None:
        """Return when the next delayed key becomes ready, or None."""
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def _release_due(self, now: float) -> None:
        self._drop_stale()
        while self._heap and self._heap[0][0] <= now:
            _, _, key = heapq.heappop(self._heap)
            del self._due[key]
            self.add(key)
            self._drop_stale()

    def _drop_stale(self) -> None:
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
