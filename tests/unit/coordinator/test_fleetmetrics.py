"""What the coordinator tells Prometheus of provisioning, queues, workers and messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING

from capim.api.meta import parse_time
from coordinator.diagnostics import Metrics
from coordinator.fleetmetrics import FleetMetrics
from tests.support.clusterapi import CREATED, infra_machine
from tests.support.fleet import FakeWorker

if TYPE_CHECKING:
    from capim.api.meta import JsonObject


@dataclass
class Counted:
    sent: int = 3
    received: int = 5
    gaps: int = 1
    names: tuple[FakeWorker, ...] = field(
        default_factory=lambda: (FakeWorker("worker-0"), FakeWorker("worker-1", ready=False))
    )

    def workers(self) -> tuple[FakeWorker, ...]:
        return self.names


def test_workers_messages_and_queues_are_read_when_they_are_asked_for() -> None:
    metrics, fleet, queue = Metrics(), Counted(), SimpleNamespace(waiting=7, active=2)
    metrics.registry.register(FleetMetrics(fleet, lambda: [("InMemoryMachine", queue)], lambda: 4))
    value = metrics.registry.get_sample_value
    named = {"controller": "InMemoryMachine", "name": "InMemoryMachine"}
    assert value("workqueue_depth", named) == 7
    assert value("controller_runtime_active_workers", {"controller": "InMemoryMachine"}) == 2
    assert value("capim_workers", {"ready": "true"}) == 1
    assert value("capim_workers", {"ready": "false"}) == 1
    assert value("capim_messages_total", {"direction": "received"}) == 5
    assert value("capim_message_gaps_total") == 1
    assert value("capim_events_dropped_total") == 4
    fleet.sent, queue.waiting = 9, 0
    assert value("capim_messages_total", {"direction": "sent"}) == 9
    assert value("workqueue_depth", named) == 0


def machine(**conditions: str) -> JsonObject:
    told = [{"type": kind, "status": status} for kind, status in conditions.items()]
    return {**infra_machine(), "status": {"conditions": told}}


def test_a_phase_counts_once_when_it_is_passed() -> None:
    metrics, created = Metrics(), parse_time(CREATED)
    steps = (
        (machine(), machine(VMProvisioned="False"), 1),
        (machine(VMProvisioned="False"), machine(VMProvisioned="True", Paused="True"), 12),
        (machine(VMProvisioned="True"), machine(VMProvisioned="True", Ready="True"), 40),
    )
    for before, after, age_s in steps:
        metrics.written(before, after, created + age_s)
    for phase, seconds in (("vm", 12.0), ("ready", 40.0)):
        labels = {"kind": "InMemoryMachine", "phase": phase}
        value = metrics.registry.get_sample_value
        assert value("capim_provisioning_duration_seconds_count", labels) == 1
        assert value("capim_provisioning_duration_seconds_sum", labels) == seconds
    node = {"kind": "InMemoryMachine", "phase": "node"}
    assert (
        metrics.registry.get_sample_value("capim_provisioning_duration_seconds_count", node) is None
    )
