"""Lets a workload cluster's controllers run on a loop, as a worker does, or to the end of their work."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from capim.aio.clock import wall_clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from capim.runtime.workload import WorkloadCluster


class Driver:
    """Calls `advance` whenever the cluster has something to do."""

    def __init__(self, cluster: WorkloadCluster, loop: asyncio.AbstractEventLoop) -> None:
        self._cluster = cluster
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None

    def plan(self) -> None:
        """Set the timer anew."""
        self.cancel()
        deadline = self._cluster.next_deadline()
        if deadline is not None:
            self._timer = self._loop.call_later(max(deadline - wall_clock(), 0.0), self._step)

    def cancel(self) -> None:
        """Do nothing more."""
        if self._timer is not None:
            self._timer.cancel()

    def _step(self) -> None:
        self._cluster.advance()
        self.plan()


@contextlib.asynccontextmanager
async def driven(cluster: WorkloadCluster) -> AsyncIterator[None]:
    """Drive a cluster for the time of an `async with` block."""
    driver = Driver(cluster, asyncio.get_running_loop())
    cluster.on_work = driver.plan
    driver.plan()
    try:
        yield
    finally:
        cluster.on_work = lambda: None
        driver.cancel()
