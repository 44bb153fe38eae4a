"""What the controllers need of the workers; `coordinator.fleet.Fleet` is it, and tests have a fake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from capim.api.faults import Fault
    from capim.api.gvk import NamespacedName
    from capim.api.workload import ClusterSpec, ListenerStatus, MachineProgress, MachineSpec


class WorkerView(Protocol):
    """A configured worker."""

    @property
    def name(self) -> str:
        """Its stable name."""

    @property
    def ready(self) -> bool:
        """Whether it holds its whole shard now."""


class FleetView(Protocol):
    """Desired state in, observed state out; nothing here waits."""

    on_change: Callable[[NamespacedName, str | None], None]
    on_synced: Callable[[], None]
    on_hits: Callable[[NamespacedName, tuple[tuple[str, int], ...]], None]
    on_worker: Callable[[str, bool], None]
    living: Callable[[], tuple[Iterable[str], bool]]

    @property
    def installation(self) -> str:
        """The ID of this installation; empty before it is known."""

    def begin(self) -> None:
        """Send every worker its shard: the desired state is complete."""

    def workers(self) -> Sequence[WorkerView]:
        """Return the configured workers."""

    def set_cluster(self, worker: str, spec: ClusterSpec, *, settled: bool = True) -> None:
        """Desire a cluster on a worker; the same again changes nothing. `settled`: its place is noted."""

    def moved(self, cluster: NamespacedName) -> bool:
        """Say whether a cluster's new worker has it and waits to hear that this is noted."""

    def refusal(self, cluster: NamespacedName, uid: str) -> str:
        """Return why a cluster could not leave its worker, for a person; empty: it was never refused."""

    def set_machine(self, spec: MachineSpec) -> None:
        """Desire a machine in a cluster that was set; the same again changes nothing."""

    def set_faults(self, cluster: NamespacedName, faults: tuple[Fault, ...]) -> None:
        """Desire these faults of a cluster, set or yet to be; the same again changes nothing."""

    def remove_machine(self, cluster: NamespacedName, name: str, uid: str) -> None:
        """Desire a machine no longer."""

    def remove_cluster(self, cluster: NamespacedName, uid: str) -> None:
        """Desire a cluster no longer."""

    def machine(self, cluster: NamespacedName, name: str) -> MachineProgress | None:
        """Return what was last reported of a machine."""

    def listener(self, cluster: NamespacedName) -> ListenerStatus | None:
        """Return what was last reported of a cluster's listener."""

    def damage(self, cluster: NamespacedName, uid: str) -> str:
        """Return why a cluster is not what was written down of it, for a person; empty: it is."""

    def machine_gone(self, cluster: NamespacedName, name: str, uid: str) -> bool:
        """Say whether no worker can hold this machine any more."""

    def cluster_gone(self, cluster: NamespacedName, uid: str) -> bool:
        """Say whether no worker can hold this cluster any more."""

    async def query(self, subject: str) -> dict[str, bytes]:
        """Ask every ready worker for a view."""
