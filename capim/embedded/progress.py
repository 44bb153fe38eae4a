"""How far a fleet has come: counts from objects, rate and time left. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from capim.api.infrastructure import READY_CONDITION
from capim.api.meta import get_condition

if TYPE_CHECKING:
    from collections.abc import Iterable

    from capim.api.meta import JsonObject
    from capim.embedded.fleet import FleetSpec

#: The phases of a Machine in Cluster API's order.
MACHINE_PHASES = ("Pending", "Provisioning", "Provisioned", "Running")


@dataclass(frozen=True, slots=True)
class Progress:
    """One look at the fleet."""

    clusters: int
    clusters_provisioned: int  #: the endpoint is there
    control_planes_ready: int
    machines: int
    phases: dict[str, int]  #: machine phase -> count

    @property
    def running(self) -> int:
        """How many machines are Running."""
        return self.phases.get("Running", 0)


def count(fleet: FleetSpec, clusters: list[JsonObject], machines: list[JsonObject]) -> Progress:
    """Count a fleet's clusters and machines."""
    phases = Counter(_status(one).get("phase", "Pending") for one in machines)
    return Progress(
        clusters=fleet.clusters,
        clusters_provisioned=_holding(clusters, "infrastructureReady"),
        control_planes_ready=_holding(clusters, "controlPlaneReady"),
        machines=machines_wanted(fleet),
        phases={phase: phases.get(phase, 0) for phase in MACHINE_PHASES},
    )


def machines_wanted(fleet: FleetSpec) -> int:
    """Return how many machines a fleet has when it is complete."""
    return fleet.clusters * (fleet.control_plane_machines + fleet.worker_machines)


def is_ready(progress: Progress) -> bool:
    """Say whether every control plane is ready and every machine Running."""
    return (
        progress.running >= progress.machines and progress.control_planes_ready >= progress.clusters
    )


def _holding(objects: Iterable[JsonObject], status: str) -> int:
    return sum(bool(_status(one).get(status)) for one in objects)


def _status(obj: JsonObject) -> JsonObject:
    status: JsonObject = obj.get("status") or {}
    return status


def complaints(objects: Iterable[JsonObject]) -> list[str]:
    """Return what keeps objects of ours from being ready and asks for a person, each with its fix.

    Waiting for a phase to end, or for another controller, is no complaint.
    """
    found = []
    for obj in objects:
        ready = get_condition(obj, READY_CONDITION)
        if ready is not None and ready.get("severity") in {"Warning", "Error"}:
            found.append(f"{obj['kind']} {obj['metadata']['name']}: {ready.get('message', '')}")
    return sorted(found)


@dataclass(slots=True)
class Rate:
    """Machines a second over the last window, and the time left at that rate."""

    window_s: float = 10.0
    _samples: list[tuple[float, int]] = field(default_factory=list)

    def add(self, now: float, running: int) -> None:
        """Note how many machines run now."""
        self._samples.append((now, running))
        while len(self._samples) > 2 and now - self._samples[1][0] >= self.window_s:
            self._samples.pop(0)

    def per_second(self) -> float:
        """Return machines a second; 0 before anything moved."""
        if len(self._samples) < 2:
            return 0.0
        (first_at, first), (last_at, last) = self._samples[0], self._samples[-1]
        return (last - first) / (last_at - first_at) if last_at > first_at else 0.0

    def left_s(self, progress: Progress) -> float | None:
        """Return the seconds left at this rate, or None when nothing moves."""
        rate = self.per_second()
        return (progress.machines - progress.running) / rate if rate > 0 else None
