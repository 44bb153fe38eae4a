"""Reconciles InMemoryClusters: carries out what `clusterplan` decides."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import structlog

from coordinator.controllers import gates
from coordinator.controllers.authorities import AuthorityReader, point_kubeconfig
from coordinator.controllers.clusterplan import ClusterPlan, ClusterPlanner, ClusterView
from coordinator.kube.dispatch import Result
from coordinator.kube.informers import name_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from capim.aio.clock import Clock
    from capim.api.gvk import NamespacedName
    from capim.api.meta import JsonObject
    from coordinator.controllers.objects import Objects
    from coordinator.fleetview import FleetView

_log = structlog.get_logger(__name__)

#: A user's Secret without Cluster API's label is not watched: while one is missing it is looked for.
_SECRET_RETRY_S: Final = 10.0


class ClusterController:
    """One loop, no lock: between two awaits a plan and what it was made from agree."""

    def __init__(
        self,
        objects: Objects,
        fleet: FleetView,
        planner: ClusterPlanner,
        authorities: AuthorityReader,
        *,
        clock: Clock,
        on_authorities: Callable[[NamespacedName], None],
        on_placed: Callable[[NamespacedName], None],
        on_port_freed: Callable[[], None],
    ) -> None:
        """Wire a controller.

        Args:
            objects: the management objects.
            fleet: the workers.
            planner: with placements and ports.
            authorities: reads the clusters' Secrets.
            clock: seconds since the epoch.
            on_authorities: called when a Cluster's authorities, or what is wrong with them, changed.
            on_placed: called when a Cluster was given to a worker for the first time.
            on_port_freed: called when a port came free.
        """
        self._objects = objects
        self._fleet = fleet
        self._planner = planner
        self._authorities = authorities
        self._clock = clock
        self._on_authorities = on_authorities
        self._on_placed = on_placed
        self._on_port_freed = on_port_freed
        #: InMemoryClusters whose Cluster was given to a worker: name -> (Cluster, uid)
        self._given: dict[NamespacedName, tuple[NamespacedName, str]] = {}

    async def reconcile(self, key: NamespacedName) -> Result:
        """Bring one InMemoryCluster a step further, or several where one follows at once."""
        while (obj := self._objects.infra_clusters.get(key)) is not None:
            view = await self._view(obj)
            if self._objects.infra_clusters.get(key) is not obj:
                continue  # it changed while its Secrets were read
            plan = self._planner.plan(view)
            if plan.remove is not None:
                plan = self._remove(view, plan)
            await self._carry_out(obj, plan)
            if not plan.again:
                return Result(requeue_after_s=self._requeue_after_s(view, plan))
        self._forget(key)
        return Result()

    async def restore(self, obj: JsonObject) -> None:
        """Desire a cluster as it was before this process started."""
        view = await self._view(obj)
        restored = self._planner.restore(view)
        if restored is not None and view.key is not None:
            self._given[name_of(obj)] = (view.key, obj["metadata"]["uid"])
            self._fleet.set_cluster(*restored)

    async def _view(self, obj: JsonObject) -> ClusterView:
        key = gates.owner(obj, "Cluster")
        if key is None:
            return ClusterView(obj, None, None, self._clock())
        before = self._authorities.last(key)
        authorities = await self._authorities.read(key)
        if authorities is not before:
            self._on_authorities(key)
        return ClusterView(
            infra=obj,
            key=key,
            cluster=self._objects.clusters.get(key),
            now=self._clock(),
            listener=self._fleet.listener(key),
            authorities=authorities,
            damage=self._fleet.damage(key, obj["metadata"]["uid"]),
            moved=self._fleet.moved(key),
            refusal=self._fleet.refusal(key, obj["metadata"]["uid"]),
        )

    def _remove(self, view: ClusterView, plan: ClusterPlan) -> ClusterPlan:
        """Tell the worker to let go, and plan on if it has nothing to let go of."""
        if plan.remove is None:
            return plan
        self._fleet.remove_cluster(*plan.remove)
        if not self._fleet.cluster_gone(*plan.remove):
            return plan
        return self._planner.plan(replace(view, gone=True))

    async def _carry_out(self, obj: JsonObject, plan: ClusterPlan) -> None:
        informer = self._objects.infra_clusters
        if plan.waiting_for:
            _log.debug("cluster waits", cluster=str(name_of(obj)), waiting_for=plan.waiting_for)
        self._give(obj, plan)
        if plan.release is not None:
            self._release(name_of(obj), plan.release)
        if plan.new_server and plan.ensure is not None:
            await point_kubeconfig(self._objects, plan.ensure[1].key, plan.new_server)
        if plan.patch:
            obj = await self._objects.write(informer, obj, plan.patch)
        if plan.status:
            await self._objects.write(informer, obj, plan.status, subresource="status")

    def _give(self, obj: JsonObject, plan: ClusterPlan) -> None:
        if plan.ensure is None:
            return
        worker, spec = plan.ensure
        first = self._given.get(name_of(obj)) != (spec.key, spec.uid)
        self._given[name_of(obj)] = (spec.key, spec.uid)
        self._fleet.set_cluster(worker, spec, settled=plan.settled)
        if first:
            _log.info("cluster placed", cluster=str(spec.key), worker=worker, port=spec.port)
            self._on_placed(spec.key)

    def _forget(self, key: NamespacedName) -> None:
        """The object has gone, perhaps without its finalizer having run: let go of what it had."""
        if key in self._given:
            cluster, uid = self._given[key]
            self._fleet.remove_cluster(cluster, uid)
            self._release(key, cluster)

    def _release(self, key: NamespacedName, cluster: NamespacedName) -> None:
        self._given.pop(key, None)
        if any(other == cluster for other, _ in self._given.values()):
            return  # another InMemoryCluster speaks for the Cluster now
        self._authorities.forget(cluster)
        if self._planner.forget(cluster, self._clock()):
            self._on_port_freed()

    def _requeue_after_s(self, view: ClusterView, plan: ClusterPlan) -> float:
        if plan.ensure is None or plan.requeue_after_s or view.key is None:
            return plan.requeue_after_s
        missing = view.authorities.problems and self._authorities.needed(view.key)
        return _SECRET_RETRY_S if missing else 0.0
