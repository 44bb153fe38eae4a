"""What a worker's faults tell Prometheus: how many clusters suffer now, and how often faults have acted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workers.state import WorkerState


class FaultMetrics(Collector):
    """Reads a worker's state when it is scraped."""

    def __init__(self, state: WorkerState) -> None:
        self._state = state

    def collect(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily]:
        """Yield the families."""
        yield GaugeMetricFamily(
            "capim_faulty_clusters",
            "Clusters for which a fault is declared.",
            value=float(self._state.faulty_clusters),
        )
        hits = CounterMetricFamily(
            "capim_fault_hits",
            "How often a fault has acted on a request, a machine or a cluster, as told so far.",
            labels=("fault",),
        )
        for name, count in self._state.fault_hits.items():
            hits.add_metric((name,), count)
        yield hits
