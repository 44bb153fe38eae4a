"""Which change concerns whom: from informers' and workers' events to keys in the two queues.

Cluster API writes its objects' status often; only the fields that a plan reads wake anybody up.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog

from capim.api import infrastructure as infra
from capim.api.gvk import NamespacedName
from coordinator.controllers import gates
from coordinator.controllers.authorities import AuthorityReader
from coordinator.controllers.cluster import ClusterController
from coordinator.controllers.faults import FaultController
from coordinator.controllers.machine import MachineController
from coordinator.controllers.pools import PoolController
from coordinator.controllers.templates import TemplateController
from coordinator.draining import Drainer
from coordinator.events import note_of_worker
from coordinator.kube.dispatch import Dispatcher
from coordinator.kube.informers import name_of

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from capim.aio.clock import Clock
    from capim.aio.tasks import TaskScope
    from capim.api.meta import JsonObject
    from coordinator.controllers.clusterplan import ClusterPlanner
    from coordinator.controllers.objects import Objects
    from coordinator.events import Note
    from coordinator.fleetview import FleetView
    from coordinator.kube.dispatch import Observe

_log = structlog.get_logger(__name__)

_NO_FACTS: Final[tuple[Any, ...]] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """How the controllers are run, by the manager's flags."""

    watch_filter: str = ""
    namespace: str = ""  #: the only one whose objects are seen; empty: all are
    cluster_concurrency: int = 10
    machine_concurrency: int = 10


class Controllers:
    """The controllers with their queues and everything that feeds them. One loop, no lock."""

    def __init__(
        self,
        objects: Objects,
        fleet: FleetView,
        planner: ClusterPlanner,
        *,
        limits: Limits,
        clock: Clock,
        steady: Clock,
        scope: TaskScope,
        observe: Observe,
        rng: random.Random,
        tell: Callable[[Note], None] = lambda note: None,
    ) -> None:
        self._objects = objects
        self._tell = tell
        self._fleet = fleet
        self._sees_all = not limits.namespace
        self._placed_on = planner.placements.worker
        authorities = AuthorityReader(objects, steady)
        self._machine = MachineController(
            objects, fleet, authorities, clock=clock, watch_filter=limits.watch_filter
        )
        self._cluster = ClusterController(
            objects,
            fleet,
            planner,
            authorities,
            clock=clock,
            on_authorities=self._wake_machines,
            on_placed=self._placed,
            on_port_freed=self._wake_unready,
        )
        self.clusters: Dispatcher[NamespacedName] = Dispatcher(
            "InMemoryCluster",
            self._cluster.reconcile,
            concurrency=limits.cluster_concurrency,
            clock=steady,
            scope=scope,
            observe=observe,
            log_fields=partial(_log_fields, infra.CLUSTER_KIND),
        )
        self.machines: Dispatcher[NamespacedName] = Dispatcher(
            "InMemoryMachine",
            self._machine.reconcile,
            concurrency=limits.machine_concurrency,
            clock=steady,
            scope=scope,
            observe=observe,
            log_fields=partial(_log_fields, infra.MACHINE_KIND),
        )
        self._faults = FaultController(
            objects,
            fleet,
            clock=clock,
            steady=steady,
            scope=scope,
            observe=observe,
            watch_filter=limits.watch_filter,
            tell=tell,
        )
        self.drainer = Drainer(
            planner.placements,
            ready=lambda: {worker.name for worker in fleet.workers() if worker.ready},
            movable=self._movable,
            wake=self._wake_cluster,
            clock=clock,
        )
        self._pools = PoolController(
            objects,
            clock=clock,
            steady=steady,
            scope=scope,
            observe=observe,
            rng=rng,
            watch_filter=limits.watch_filter,
            log_fields=_log_fields,
        )
        self._templates = TemplateController(
            objects, steady=steady, scope=scope, observe=observe, watch_filter=limits.watch_filter
        )
        self._listen()

    async def restore(self) -> None:
        """Desire all that was there before this process started, then let the workers have it.

        Whole or closed: called once all informers are in step, so that no worker opens a listener
        before it knows every machine of the cluster.
        """
        for obj in self._objects.infra_clusters.all():
            await self._cluster.restore(obj)
        for obj in self._objects.infra_machines.all():
            self._machine.restore(obj)
        self._faults.restore()
        self._fleet.begin()

    def start(self) -> None:
        """Begin to reconcile."""
        self.clusters.start()
        self.machines.start()
        self._faults.start()
        self._pools.start()
        self._templates.start()

    def close(self) -> None:
        """Start no reconcile any more."""
        self.clusters.close()
        self.machines.close()
        self._faults.close()
        self._pools.close()
        self._templates.close()

    def _listen(self) -> None:
        self._objects.clusters.on_change(self._cluster_changed)
        self._objects.machines.on_change(self._machine_changed)
        self._objects.infra_clusters.on_change(self._infra_cluster_changed)
        self._objects.infra_machines.on_change(self._infra_machine_changed)
        self._objects.secrets.on_change(self._secret_changed)
        self._faults.listen()
        self._pools.listen()
        self._templates.listen()
        self._fleet.on_change = self._reported
        self._fleet.on_synced = self._shard_confirmed
        self._fleet.on_worker = self._worker_changed
        self._fleet.living = self._living

    # --- the management API ---

    def _cluster_changed(self, before: JsonObject | None, after: JsonObject | None) -> None:
        obj = after or before
        if obj is None or _cluster_facts(before) == _cluster_facts(after):
            return
        if name := gates.infrastructure_name(obj, infra.CLUSTER_KIND):
            self.clusters.add(name)
        self._wake_machines(name_of(obj))

    def _machine_changed(self, before: JsonObject | None, after: JsonObject | None) -> None:
        obj = after or before
        if obj is None or _machine_facts(before) == _machine_facts(after):
            return
        if name := gates.infrastructure_name(obj, infra.MACHINE_KIND):
            self.machines.add(name)
        cluster = gates.cluster_of(obj)
        if cluster is not None and gates.is_control_plane(obj):
            self._wake_cluster(cluster)  # with its bootstrap data the authorities are due

    def _infra_cluster_changed(self, before: JsonObject | None, after: JsonObject | None) -> None:
        obj = after or before
        if obj is None:
            return
        self.clusters.add(name_of(obj))
        cluster = gates.owner(obj, "Cluster")
        if cluster is not None and (before is None or after is None):
            self._wake_machines(cluster)

    def _infra_machine_changed(self, before: JsonObject | None, after: JsonObject | None) -> None:
        if obj := after or before:
            self.machines.add(name_of(obj))

    def _secret_changed(self, before: JsonObject | None, after: JsonObject | None) -> None:
        obj = after or before
        if obj is not None and (cluster := gates.cluster_of(obj)):
            self._wake_cluster(cluster)

    # --- the workers ---

    def _reported(self, cluster: NamespacedName, machine: str | None) -> None:
        if machine is not None:
            self.machines.add(NamespacedName(cluster.namespace, machine))
        else:
            self._wake_cluster(cluster)

    def _worker_changed(self, worker: str, back: bool) -> None:
        """Tell whoever looks at a cluster why it did not answer for a while."""
        for obj in self._objects.infra_clusters.all():
            key = gates.owner(obj, "Cluster")
            if key is not None and self._placed_on(key) == worker:
                self._tell(note_of_worker(obj, worker, back=back))

    def _living(self) -> tuple[list[str], bool]:
        """Return the uids of all InMemoryClusters; the informers are in step before workers are told."""
        return [
            obj["metadata"]["uid"] for obj in self._objects.infra_clusters.all()
        ], self._sees_all

    def _movable(self, cluster: NamespacedName) -> bool:
        """Say whether a cluster may be written to, as a move may have to."""
        name = self._objects.infra_cluster_of(cluster)
        obj = self._objects.infra_clusters.get(name) if name else None
        if obj is None or gates.deleting(obj):
            return False
        return not gates.pauses(self._objects.clusters.get(cluster), obj)

    def _shard_confirmed(self) -> None:
        """A worker confirmed its whole shard: what waited to be gone from it, or to go there, may."""
        self.drainer.go_on()
        pairs = (
            (self._objects.infra_clusters, self.clusters),
            (self._objects.infra_machines, self.machines),
        )
        for informer, queue in pairs:
            for obj in filter(gates.deleting, informer.all()):
                queue.add(name_of(obj))

    # --- each other ---

    def _placed(self, cluster: NamespacedName) -> None:
        self._machine.restore_cluster(cluster)
        self._wake_machines(cluster)

    def _wake_cluster(self, cluster: NamespacedName) -> None:
        name = self._objects.infra_cluster_of(cluster)
        if name is not None:
            self.clusters.add(name)
            return
        # the Cluster has gone, or not come yet: whoever names it as its owner is concerned
        for obj in self._objects.infra_clusters.by_index(cluster.namespace, cluster.name):
            self.clusters.add(name_of(obj))

    def _wake_machines(self, cluster: NamespacedName) -> None:
        for name, _ in self._objects.machines_of(cluster):
            self.machines.add(name)

    def _wake_unready(self) -> None:
        """A port came free: clusters that wait for one may have it."""
        for obj in self._objects.infra_clusters.all():
            if not (obj.get("status") or {}).get("ready"):
                self.clusters.add(name_of(obj))


def _log_fields(controller: str, key: NamespacedName) -> dict[str, str]:
    """Return the keys by which log collectors find a reconcile's lines, as controller-runtime writes them."""
    return {
        "controller": controller,
        "namespace": key.namespace,
        "name": key.name,
        "reconcileID": str(uuid.uuid4()),
    }


def _cluster_facts(cluster: JsonObject | None) -> tuple[Any, ...]:
    """Return what plans read of a Cluster."""
    if cluster is None:
        return _NO_FACTS
    spec = cluster.get("spec") or {}
    return (
        bool(spec.get("paused")),
        spec.get("clusterNetwork"),
        gates.infrastructure_name(cluster, infra.CLUSTER_KIND),
        gates.infrastructure_ready(cluster),
        gates.control_plane_initialized(cluster),
    )


def _machine_facts(machine: JsonObject | None) -> tuple[Any, ...]:
    """Return what plans read of a Machine."""
    if machine is None:
        return _NO_FACTS
    spec = machine.get("spec") or {}
    return (
        gates.cluster_of(machine),
        gates.is_control_plane(machine),
        gates.infrastructure_name(machine, infra.MACHINE_KIND),
        gates.bootstrap_secret(machine),
        spec.get("version"),
        spec.get("failureDomain"),
    )
