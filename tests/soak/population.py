"""A fleet that is the same after every turn: each cluster is a turn older, the oldest gone, a new one there.

What a cluster is at each age makes every turn create, scale workers up and down, upgrade, scale a control
plane up and down, and delete. A name never comes again.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.fleet import Fleet, Size

#: age -> control plane machines, workers, whether upgraded. Every second age has the same sizes, so that
#: each of two workers, which get new clusters by turns, has machines and clusters as many after each turn.
LIFE: Final = (
    (1, 2, False),
    (3, 2, False),
    (1, 3, False),
    (1, 2, True),
    (3, 2, True),
    (1, 3, True),
)
#: a turn; the controllers back off by minutes when something is in their way
_TURN_S: Final = 600.0
_LOOK_S: Final = 2.0


class Population:
    """The clusters, the newest first."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._numbers = itertools.count()
        self._names: list[str] = []

    @property
    def names(self) -> list[str]:
        """The clusters there are."""
        return list(self._names)

    async def fill(self) -> None:
        """Create a cluster of each age, and wait until all run."""
        for age in reversed(range(len(LIFE))):
            await self._create(age)
            await _until(self._unplaced, f"{self._names[0]} has its worker")
        await _until(self._missing, "the fleet runs")

    async def turn(self) -> None:
        """Let every cluster grow older by a turn, and wait until all are as they should be.

        Raises:
            AssertionError: they are not in time.
        """
        oldest = self._names.pop()
        await asyncio.to_thread(self._fleet.kube.delete, "Cluster", self._fleet.namespace, oldest)
        for age, name in enumerate(self._names, start=1):
            await asyncio.to_thread(self._fleet.resize, name, self._size(age))
        # first: the new one comes to the worker that has room then, which is the oldest one's
        await _until(lambda: self._fleet.remains(oldest), f"{oldest} is gone")
        await self._create(0)
        await _until(self._missing, "the fleet runs")

    async def _create(self, age: int) -> None:
        name = f"soak-{next(self._numbers)}"
        self._names.insert(0, name)
        await asyncio.to_thread(self._fleet.create, name, self._size(age))

    def _unplaced(self) -> list[str]:
        newest = self._names[0]
        return [] if self._fleet.endpoint(newest)[1] else [f"{newest} has no endpoint"]

    def _size(self, age: int) -> Size:
        control_planes, workers, upgraded = LIFE[age]
        version = self._fleet.next_version if upgraded else self._fleet.version
        return self._fleet.size(control_planes, workers, version)

    def _missing(self) -> list[str]:
        """Name what some clusters lack; only those of one size are looked at when they do."""
        sizes: dict[Size, list[str]] = {}
        for age, name in enumerate(self._names):
            sizes.setdefault(self._size(age), []).append(name)
        for size, names in sizes.items():
            if left := self._fleet.missing(names, size):
                return left
        return []


async def _until(missing: Callable[[], list[str]], what: str) -> None:
    """Look now and then: every look costs the management API a list of each kind."""
    deadline = time.monotonic() + _TURN_S
    while left := await asyncio.to_thread(missing):
        assert time.monotonic() < deadline, f"not after {_TURN_S:.0f} s: {what}: {left[:5]}"
        await asyncio.sleep(_LOOK_S)
