"""InMemoryFaults: tells each cluster's worker what it is to suffer, and each fault how it acts.

The workers are told at once, from within the event that changed something; the status follows by a queue.
What a worker is told is the whole of a cluster's faults with their schedules, so that nothing depends on
this process once it is said. One loop, no lock.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import structlog

from capim.api import infrastructure as infra
from capim.api.gvk import NamespacedName
from coordinator.controllers import gates
from coordinator.controllers.faultplan import Declared, aimed, declared, due_after_s, status_of
from coordinator.faultnotes import notes_of_phase, notes_of_removal
from coordinator.kube.dispatch import Dispatcher, Result
from coordinator.kube.informers import name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from capim.aio.clock import Clock
    from capim.aio.tasks import TaskScope
    from capim.api.meta import JsonObject
    from coordinator.controllers.objects import Objects
    from coordinator.events import Note
    from coordinator.fleetview import FleetView
    from coordinator.kube.dispatch import Observe

_log = structlog.get_logger(__name__)

_CONCURRENCY: Final = 4
#: hits come every second from every worker; a status is written no more often than this
_HITS_EVERY_S: Final = 1.0
#: a status is written a little after a window begins or ends: not before it by a rounding
_AFTER_S: Final = 0.05


class FaultController:
    """All InMemoryFaults."""

    def __init__(
        self,
        objects: Objects,
        fleet: FleetView,
        *,
        clock: Clock,
        steady: Clock,
        scope: TaskScope,
        observe: Observe,
        watch_filter: str,
        tell: Callable[[Note], None] = lambda note: None,
    ) -> None:
        self._objects = objects
        self._told = tell
        self._fleet = fleet
        self._clock = clock
        self._watch_filter = watch_filter
        self._declared: dict[str, dict[str, Declared]] = {}  #: by namespace and name
        self._hits: dict[str, int] = {}  #: by uid, what no status says yet
        self._queue: Dispatcher[NamespacedName] = Dispatcher(
            "InMemoryFault",
            self.reconcile,
            concurrency=_CONCURRENCY,
            clock=steady,
            scope=scope,
            observe=observe,
        )

    def listen(self) -> None:
        """Hear of what concerns faults from now on."""
        self._objects.faults.on_change(self._fault_changed)
        self._objects.clusters.on_change(self._cluster_changed)
        self._objects.infra_machines.on_change(self._machine_changed)
        self._fleet.on_hits = self._acted

    def restore(self) -> None:
        """Desire all faults there are, before a worker can open a listener."""
        for obj in self._objects.faults.all():
            self._read(name_of(obj), obj)
        for cluster in self._objects.clusters.all():
            self._aim(cluster)

    def start(self) -> None:
        """Begin to write statuses."""
        self._queue.start()

    def close(self) -> None:
        """Write nothing any more."""
        self._queue.close()

    # --- what changes ---

    def _fault_changed(self, before: JsonObject | None, after: JsonObject | None) -> None:
        obj = after or before
        if obj is None:
            return
        if before is not None and after is None:
            self._note(notes_of_removal(before, self._befallen(before)))
        if _facts(before) != _facts(after):
            self._read(name_of(obj), after)
            for cluster in self._clusters_of(name_of(obj)):
                self._aim(cluster)
        self._queue.add(name_of(obj))

    def _cluster_changed(self, before: JsonObject | None, after: JsonObject | None) -> None:
        obj = after or before
        if obj is None or not self._declared.get(name_of(obj).namespace):
            return
        if _cluster_facts(before) != _cluster_facts(after):
            self._aim(obj)
            self._wake(name_of(obj).namespace)

    def _machine_changed(self, before: JsonObject | None, after: JsonObject | None) -> None:
        obj = after or before
        if obj is None or not self._choose_machines(name_of(obj).namespace):
            return
        cluster = gates.cluster_of(obj)
        found = self._objects.clusters.get(cluster) if cluster else None
        if found is not None and _machine_facts(before) != _machine_facts(after):
            self._aim(found)

    def _choose_machines(self, namespace: str) -> bool:
        return any(what.machines for what in self._declared.get(namespace, {}).values())

    def _acted(self, cluster: NamespacedName, hits: tuple[tuple[str, int], ...]) -> None:
        for uid, count in hits:
            self._hits[uid] = self._hits.get(uid, 0) + count
        uids = {uid for uid, _ in hits}
        for name, what in self._declared.get(cluster.namespace, {}).items():
            if what.fault is not None and what.fault.uid in uids:
                self._queue.add_after(NamespacedName(cluster.namespace, name), _HITS_EVERY_S)

    def _wake(self, namespace: str) -> None:
        for name in self._declared.get(namespace, ()):
            self._queue.add(NamespacedName(namespace, name))

    # --- what follows ---

    def _read(self, key: NamespacedName, obj: JsonObject | None) -> None:
        named = self._declared.setdefault(key.namespace, {})
        was = named.pop(key.name, None)
        if obj is not None and gates.watched(obj, self._watch_filter):
            named[key.name] = declared(obj)
        elif was is not None and was.fault is not None:
            self._hits.pop(was.fault.uid, None)
        if not named:
            del self._declared[key.namespace]

    def _aim(self, cluster: JsonObject) -> None:
        """Tell a cluster's worker what it is to suffer."""
        key = name_of(cluster)
        there = self._objects.clusters.get(key) is not None
        named = self._declared.get(key.namespace, {}) if there else {}
        machines: list[JsonObject] = []
        if self._choose_machines(key.namespace):
            machines = self._objects.infra_machines.by_index(key.namespace, key.name)
        self._fleet.set_faults(key, aimed(named, cluster, machines, self._clock()))

    def _clusters_of(self, key: NamespacedName) -> list[JsonObject]:
        """Return the Clusters in a fault's namespace that are ours."""
        clusters = self._objects.clusters.all()
        return [it for it in clusters if name_of(it).namespace == key.namespace and _is_ours(it)]

    async def reconcile(self, key: NamespacedName) -> Result:
        """Make a fault's status true, and let go of it where it has ended."""
        obj = self._objects.faults.get(key)
        what = self._declared.get(key.namespace, {}).get(key.name)
        if obj is None or what is None:
            return Result()
        now, clusters = self._clock(), self._clusters_of(key)
        if what.fault is not None and now >= what.fault.schedule.end:
            for cluster in clusters:
                self._aim(cluster)
        await self._tell(obj, what, [it for it in clusters if what.clusters.matches(it)])
        due_s = due_after_s(what, now)
        return Result(requeue_after_s=due_s + _AFTER_S if due_s < math.inf else 0.0)

    async def _tell(self, obj: JsonObject, what: Declared, clusters: list[JsonObject]) -> None:
        uid = obj["metadata"]["uid"]
        hits = self._hits.pop(uid, 0)
        names = sorted(cluster["metadata"]["name"] for cluster in clusters)
        patch = status_of(obj, what, names, hits, self._clock())
        if not patch:
            return
        try:
            written = await self._objects.write(
                self._objects.faults, obj, patch, subresource="status"
            )
        except BaseException:
            self._hits[uid] = self._hits.get(uid, 0) + hits
            raise
        self._note(notes_of_phase(obj, written, self._infrastructure(clusters)))
        phase = written["status"].get("phase")
        if phase != (obj.get("status") or {}).get("phase"):
            effect = written["status"].get("effect", "")
            _log.info("fault", fault=str(name_of(obj)), phase=phase, effect=effect)

    # --- what is told ---

    def _note(self, notes: Iterable[Note]) -> None:
        for note in notes:
            self._told(note)

    def _befallen(self, fault: JsonObject) -> list[JsonObject]:
        what = self._declared.get(name_of(fault).namespace, {}).get(name_of(fault).name)
        clusters = self._clusters_of(name_of(fault)) if what is not None else []
        return self._infrastructure([it for it in clusters if what and what.clusters.matches(it)])

    def _infrastructure(self, clusters: Iterable[JsonObject]) -> list[JsonObject]:
        """Return the InMemoryClusters of Clusters."""
        names = (gates.infrastructure_name(cluster, infra.CLUSTER_KIND) for cluster in clusters)
        found = (self._objects.infra_clusters.get(name) for name in names if name is not None)
        return [cluster for cluster in found if cluster is not None]


def _is_ours(cluster: JsonObject) -> bool:
    return gates.infrastructure_name(cluster, infra.CLUSTER_KIND) is not None


def _facts(fault: JsonObject | None) -> tuple[object, ...]:
    """Return what is read of an InMemoryFault."""
    if fault is None:
        return ()
    metadata = fault["metadata"]
    marks = (metadata.get("labels"), metadata.get("annotations"))
    return (metadata["uid"], fault.get("spec"), *marks)


def _cluster_facts(cluster: JsonObject | None) -> tuple[object, ...]:
    """Return what faults read of a Cluster."""
    if cluster is None:
        return ()
    return (cluster["metadata"].get("labels"), _is_ours(cluster))


def _machine_facts(machine: JsonObject | None) -> tuple[object, ...]:
    """Return what faults read of an InMemoryMachine."""
    if machine is None:
        return ()
    spec, status = machine.get("spec") or {}, machine.get("status") or {}
    domains = (spec.get("failureDomain"), status.get("failureDomain"))
    return (machine["metadata"].get("labels"), *domains)
