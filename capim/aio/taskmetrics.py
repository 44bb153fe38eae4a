"""How many tasks a process has, for Prometheus: one that grows for ever forgets what it started."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable


class TaskMetrics(Collector):
    """Counts the tasks of the loop on which it is scraped."""

    def __init__(self, process: str) -> None:
        self._process = process

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield the family; `process` keeps the manager's and its workers' numbers apart in their sum."""
        family = GaugeMetricFamily(
            "capim_tasks", "Tasks of a process that have not ended.", labels=("process",)
        )
        family.add_metric([self._process], float(_count()))
        yield family


def _count() -> int:
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:  # no loop runs, and so no task
        return 0
