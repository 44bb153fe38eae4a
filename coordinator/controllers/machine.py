"""Reconciles InMemoryMachines: carries out what `machineplan` decides."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from capim.api import infrastructure as infra
from coordinator.controllers import gates
from coordinator.controllers.machineplan import (
    MachinePlan,
    MachineView,
    plan_machine,
    restored_machine,
)
from coordinator.kube.dispatch import Result
from coordinator.kube.informers import name_of

if TYPE_CHECKING:
    from capim.aio.clock import Clock
    from capim.api.gvk import NamespacedName
    from capim.api.meta import JsonObject
    from coordinator.controllers.authorities import AuthorityReader
    from coordinator.controllers.objects import Objects
    from coordinator.fleetview import FleetView

_log = structlog.get_logger(__name__)


class MachineController:
    """One loop, no lock: between two awaits a plan and what it was made from agree."""

    def __init__(
        self,
        objects: Objects,
        fleet: FleetView,
        authorities: AuthorityReader,
        *,
        clock: Clock,
        watch_filter: str,
    ) -> None:
        self._objects = objects
        self._fleet = fleet
        self._authorities = authorities
        self._clock = clock
        self._watch_filter = watch_filter
        #: InMemoryMachines that were given to a worker: name -> (Cluster, uid)
        self._given: dict[NamespacedName, tuple[NamespacedName, str]] = {}

    async def reconcile(self, key: NamespacedName) -> Result:
        """Bring one InMemoryMachine a step further, or several where one follows at once."""
        while (obj := self._objects.infra_machines.get(key)) is not None:
            view = self._view(obj)
            plan = plan_machine(view)
            if plan.remove is not None:
                plan = self._remove(view, plan)
            await self._carry_out(obj, plan)
            if not plan.again:
                return Result(requeue_after_s=plan.requeue_after_s)
        if key in self._given:
            cluster, uid = self._given.pop(key)
            self._fleet.remove_machine(cluster, key.name, uid)
        return Result()

    def restore(self, obj: JsonObject) -> None:
        """Desire a machine as it was before this process started."""
        try:
            spec = restored_machine(self._view(obj))
        except ValueError as error:  # the reconcile to come says so in a condition
            _log.warning("machine not restored", machine=str(name_of(obj)), error=str(error))
            return
        if spec is not None:
            self._give(obj, MachinePlan(ensure=spec))

    def restore_cluster(self, cluster: NamespacedName) -> None:
        """Desire all machines that a Cluster had, before its worker can open the listener.

        The control plane comes last: with its first API server clients may look.
        """
        names = [name for name, _ in self._objects.machines_of(cluster)]
        held = [self._objects.infra_machines.get(name) for name in names]
        for obj in sorted(filter(None, held), key=gates.is_control_plane):
            self.restore(obj)

    def _view(self, obj: JsonObject) -> MachineView:
        objects = self._objects
        owner = gates.owner(obj, "Machine")
        machine = objects.machines.get(owner) if owner else None
        view = MachineView(obj, machine, None, self._clock(), watch_filter=self._watch_filter)
        key = view.key
        if key is None:
            return view
        cluster = objects.clusters.get(key)
        infra_cluster = gates.infrastructure_name(cluster, infra.CLUSTER_KIND) if cluster else None
        progress = self._fleet.machine(key, obj["metadata"]["name"])
        if progress is not None and progress.uid != obj["metadata"]["uid"]:
            progress = None
        return replace(
            view,
            cluster=cluster,
            infra_cluster=objects.infra_clusters.get(infra_cluster) if infra_cluster else None,
            progress=progress,
            authorities=self._authorities.last(key),
        )

    def _remove(self, view: MachineView, plan: MachinePlan) -> MachinePlan:
        """Tell the worker to let go, and plan on if it has nothing to let go of."""
        if plan.remove is None:
            return plan
        self._fleet.remove_machine(*plan.remove)
        if not self._fleet.machine_gone(*plan.remove):
            return plan
        self._given.pop(name_of(view.infra), None)
        return plan_machine(replace(view, gone=True))

    async def _carry_out(self, obj: JsonObject, plan: MachinePlan) -> None:
        informer = self._objects.infra_machines
        if plan.waiting_for:
            _log.debug("machine waits", machine=str(name_of(obj)), waiting_for=plan.waiting_for)
        self._give(obj, plan)
        if plan.patch:
            obj = await self._objects.write(informer, obj, plan.patch)
        if plan.status:
            await self._objects.write(informer, obj, plan.status, subresource="status")

    def _give(self, obj: JsonObject, plan: MachinePlan) -> None:
        if plan.ensure is not None:
            self._given[name_of(obj)] = (plan.ensure.cluster, plan.ensure.uid)
            self._fleet.set_machine(plan.ensure)
