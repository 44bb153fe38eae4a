"""A fleet without workers: what the controllers desire is recorded, what workers report is set by tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from capim.api.faults import Fault
from capim.api.gvk import NamespacedName
from capim.api.workload import (
    ClusterSpec,
    ListenerState,
    ListenerStatus,
    MachineProgress,
    MachineSpec,
)


@dataclass(frozen=True)
class FakeWorker:
    """A worker by name."""

    name: str
    ready: bool = True


@dataclass
class FakeFleet:
    """Keeps the `FleetView` contract; `holds_on` makes removals wait for `let_go`."""

    names: tuple[str, ...] = ("worker-0",)
    installation: str = "here"
    holds_on: bool = False
    begun: bool = False
    clusters: dict[NamespacedName, tuple[str, ClusterSpec]] = field(default_factory=dict)
    machines: dict[tuple[NamespacedName, str], MachineSpec] = field(default_factory=dict)
    before_begin: int = 0  #: clusters and machines that were desired when `begin` was called
    faults: dict[NamespacedName, tuple[Fault, ...]] = field(default_factory=dict)
    damages: dict[tuple[NamespacedName, str], str] = field(default_factory=dict)
    on_the_way: set[NamespacedName] = field(default_factory=set)
    arrived: set[NamespacedName] = field(default_factory=set)
    refusals: dict[NamespacedName, str] = field(default_factory=dict)
    _listeners: dict[NamespacedName, ListenerStatus] = field(default_factory=dict)
    _progress: dict[tuple[NamespacedName, str], MachineProgress] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.on_change: Callable[[NamespacedName, str | None], None] = lambda cluster, machine: None
        self.on_synced: Callable[[], None] = lambda: None
        self.on_hits: Callable[[NamespacedName, tuple[tuple[str, int], ...]], None] = (
            lambda cluster, hits: None
        )
        self.on_worker: Callable[[str, bool], None] = lambda worker, back: None
        self.living: Callable[[], tuple[Iterable[str], bool]] = lambda: ((), False)

    def begin(self) -> None:
        self.begun = True
        self.before_begin = len(self.clusters) + len(self.machines)

    def workers(self) -> list[FakeWorker]:
        return [FakeWorker(name) for name in self.names]

    def set_cluster(self, worker: str, spec: ClusterSpec, *, settled: bool = True) -> None:
        held = self.clusters.get(spec.key)
        if held is not None and (held[0], held[1].port) != (worker, spec.port):
            self._listeners.pop(spec.key, None)
        if held is not None and held[0] != worker:
            self.on_the_way.add(spec.key)
        if settled and spec.key in self.arrived:
            self.on_the_way.discard(spec.key)
            self.arrived.discard(spec.key)
        self.clusters[spec.key] = (worker, spec)

    def set_machine(self, spec: MachineSpec) -> None:
        if spec.cluster in self.clusters:
            self.machines[spec.cluster, spec.name] = spec

    def set_faults(self, cluster: NamespacedName, faults: tuple[Fault, ...]) -> None:
        self.faults[cluster] = faults

    def remove_machine(self, cluster: NamespacedName, name: str, uid: str) -> None:
        self.machines.pop((cluster, name), None)

    def remove_cluster(self, cluster: NamespacedName, uid: str) -> None:
        self.clusters.pop(cluster, None)

    def machine(self, cluster: NamespacedName, name: str) -> MachineProgress | None:
        return self._progress.get((cluster, name))

    def listener(self, cluster: NamespacedName) -> ListenerStatus | None:
        return self._listeners.get(cluster)

    def damage(self, cluster: NamespacedName, uid: str) -> str:
        return self.damages.get((cluster, uid), "")

    def moved(self, cluster: NamespacedName) -> bool:
        return cluster in self.arrived

    def refusal(self, cluster: NamespacedName, uid: str) -> str:
        return self.refusals.get(cluster, "")

    def machine_gone(self, cluster: NamespacedName, name: str, uid: str) -> bool:
        return not self.holds_on and (cluster, name) not in self.machines

    def cluster_gone(self, cluster: NamespacedName, uid: str) -> bool:
        return not self.holds_on and cluster not in self.clusters

    async def query(self, subject: str) -> dict[str, bytes]:
        return {name: f'{{"{name}": "{subject}"}}'.encode() for name in self.names}

    # --- what workers report ---

    def report_listener(
        self, cluster: NamespacedName, state: ListenerState = ListenerState.BOUND, message: str = ""
    ) -> None:
        """Report on the port that the cluster has now."""
        spec = self.clusters[cluster][1]
        self._listeners[cluster] = ListenerStatus(cluster, spec.uid, spec.port, state, message)
        self.on_change(cluster, None)

    def report_machine(self, progress: MachineProgress) -> None:
        """Report how far a machine has come."""
        self._progress[progress.cluster, progress.name] = progress
        self.on_change(progress.cluster, progress.name)

    def report_taken(self, cluster: NamespacedName) -> None:
        """Report that the worker it goes to has it."""
        assert cluster in self.on_the_way
        self.arrived.add(cluster)
        self.report_listener(cluster)

    def let_go(self) -> None:
        """Confirm every removal."""
        self.holds_on = False
        self.on_synced()
