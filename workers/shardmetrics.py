"""What a worker's shard tells Prometheus; the coordinator adds up what its workers say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from capim.aio.process import usage
from capim.api.workload import ListenerState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workers.listeners import Listeners
    from workers.state import WorkerState


class ShardMetrics(Collector):
    """Counts a shard when it is scraped."""

    def __init__(self, name: str, state: WorkerState, listeners: Listeners) -> None:
        self._name = name
        self._state = state
        self._listeners = listeners

    def collect(self) -> Iterable[Metric]:
        """Yield the families."""
        held = list(self._state.clusters.values())
        machines = sum(len(one.cluster.machines) for one in held)
        is_open = sum(one.listener is ListenerState.OPEN for one in held)
        watches = sum(sum(one.cluster.group.store.subscriptions.counts().values()) for one in held)
        rows = (
            ("capim_clusters", "Workload clusters that workers hold.", len(held)),
            ("capim_open_clusters", "Of them, those whose API server takes requests.", is_open),
            ("capim_machines", "Machines of workload clusters.", machines),
            ("capim_connections", "Clients' connections.", self._listeners.connections),
            ("capim_watches", "Watches that are open.", watches),
        )
        for name, text, value in rows:
            yield GaugeMetricFamily(name, text, value=float(value))
        yield from self._process()

    def _process(self) -> Iterable[Metric]:
        used = usage()
        cpu = CounterMetricFamily(
            "capim_worker_cpu_seconds", "CPU that a worker has used.", labels=["worker"]
        )
        cpu.add_metric([self._name], used["cpuSeconds"])
        memory = GaugeMetricFamily(
            "capim_worker_resident_memory_bytes", "Memory of a worker.", labels=["worker"]
        )
        memory.add_metric([self._name], used["residentBytes"])
        return cpu, memory
