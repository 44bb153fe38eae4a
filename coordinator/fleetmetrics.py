"""What the coordinator knows of its workers and its own queues, for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from coordinator.fleetview import WorkerView


class CountedFleet(Protocol):
    """What is counted of the workers."""

    sent: int  #: messages to workers
    received: int  #: messages from workers
    gaps: int  #: times that something on its way was lost

    def workers(self) -> Sequence[WorkerView]:
        """Return the configured workers."""


class CountedQueue(Protocol):
    """What is counted of a controller."""

    @property
    def waiting(self) -> int:
        """Keys that are due and wait for their turn."""

    @property
    def active(self) -> int:
        """Reconciles that run."""


class FleetMetrics(Collector):
    """Reads all of it when it is scraped."""

    def __init__(
        self,
        fleet: CountedFleet,
        queues: Callable[[], Iterable[tuple[str, CountedQueue]]],
        events_dropped: Callable[[], int],
    ) -> None:
        self._fleet = fleet
        self._queues = queues
        self._events_dropped = events_dropped

    def collect(self) -> Iterable[Metric]:
        """Yield the families."""
        yield from self._controllers()
        workers = GaugeMetricFamily(
            "capim_workers",
            "Configured workers, by whether they hold their shards.",
            labels=["ready"],
        )
        ready = sum(one.ready for one in self._fleet.workers())
        workers.add_metric(["true"], ready)
        workers.add_metric(["false"], len(self._fleet.workers()) - ready)
        yield workers
        messages = CounterMetricFamily(
            "capim_messages", "Messages between coordinator and workers.", labels=["direction"]
        )
        messages.add_metric(["sent"], self._fleet.sent)
        messages.add_metric(["received"], self._fleet.received)
        yield messages
        yield CounterMetricFamily(
            "capim_message_gaps",
            "Losses on that way, each made good by asking for all.",
            value=self._fleet.gaps,
        )
        yield CounterMetricFamily(
            "capim_events_dropped",
            "Kubernetes Events that were too many to write.",
            value=self._events_dropped(),
        )

    def _controllers(self) -> Iterable[Metric]:
        """Yield what controller-runtime's dashboards look for."""
        labels = ["controller", "name"]
        depth = GaugeMetricFamily(
            "workqueue_depth", "Keys that wait for a reconcile.", labels=labels
        )
        active = GaugeMetricFamily(
            "controller_runtime_active_workers", "Reconciles that run.", labels=["controller"]
        )
        for name, queue in self._queues():
            depth.add_metric([name, name], queue.waiting)
            active.add_metric([name], queue.active)
        yield depth
        yield active
