"""Which controllers run, and for each kind what a change of it concerns. Made once a process and mode."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from capim.api.workload import Simulation
from capim.runtime.controllers import (
    aggregation,
    apiservices,
    cronjobs,
    daemonsets,
    deployments,
    disruption,
    endpoints,
    jobs,
    kubelet,
    leases,
    mirroring,
    namespaces,
    nodelifecycle,
    podgc,
    replicasets,
    scheduler,
    serviceaddresses,
    statefulsets,
    tainteviction,
    tokens,
    volumes,
)
from capim.runtime.controllers.base import Concerns, Controller

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.runtime.controllers.base import Context, Key
    from capim.runtime.objects import Change


@dataclass(slots=True)
class Handler:
    """What a change of one kind brings into the queue."""

    primaries: list[Controller] = field(default_factory=list)
    owners: set[Controller] = field(default_factory=set)
    watchers: list[tuple[Controller, Concerns]] = field(default_factory=list)

    def concerned(self, context: Context, change: Change) -> Iterator[tuple[Controller, Key]]:
        """Yield the keys that a change concerns, and keep book of who owns what."""
        stored = change.stored
        key = (stored.namespace, stored.name)
        for controller in self.primaries:
            if controller.owns:
                if change.type == "DELETED":
                    context.owners.pop(stored.uid, None)
                else:
                    context.owners[stored.uid] = (controller, key)
            yield controller, key
        if self.owners:
            yield from self._of_owners(context, change)
        for controller, concerns in self.watchers:
            for concerned in concerns(context, change):
                yield controller, concerned

    def _of_owners(self, context: Context, change: Change) -> Iterator[tuple[Controller, Key]]:
        """Yield the owners of a dependent; an orphan that is new or changed its labels may be anybody's."""
        stored, previous = change.stored, change.previous
        for uid in {*stored.owners, *(previous.owners if previous else ())}:
            owner = context.owners.get(uid)
            if owner is not None and owner[0] in self.owners:
                yield owner
        is_new = previous is None or (previous.owners, previous.labels) != ((), stored.labels)
        if not stored.owners and is_new and change.type != "DELETED":
            for controller, key in context.owners.values():
                if controller in self.owners and key[0] == stored.namespace:
                    yield controller, key


def _controllers(simulation: Simulation) -> tuple[Controller, ...]:
    always = (
        namespaces.CONTROLLER,
        apiservices.CONTROLLER,
        aggregation.CONTROLLER,
        tokens.CONTROLLER,
        *serviceaddresses.CONTROLLERS,
    )
    if simulation is Simulation.OFF:
        return always
    workloads = (
        deployments.CONTROLLER,
        *replicasets.CONTROLLERS,
        daemonsets.CONTROLLER,
        statefulsets.CONTROLLER,
        *jobs.CONTROLLERS,
        cronjobs.CONTROLLER,
        *volumes.CONTROLLERS,
        endpoints.CONTROLLER,
        mirroring.CONTROLLER,
        disruption.CONTROLLER,
        nodelifecycle.CONTROLLER,
        leases.CONTROLLER,
    )
    if simulation is Simulation.STATUS:
        return (*always, *workloads)
    of_pods = (scheduler, kubelet, podgc, tainteviction)
    return (*always, *workloads, *(module.CONTROLLER for module in of_pods))


@lru_cache
def handlers(simulation: Simulation) -> dict[tuple[str, str], Handler]:
    """Return what every kind's changes bring into the queue."""
    table: dict[tuple[str, str], Handler] = {}
    for controller in _controllers(simulation):
        if controller.primary is not None:
            kind = controller.primary.group_resource
            table.setdefault(kind, Handler()).primaries.append(controller)
        for owned in controller.owns:
            table.setdefault(owned.group_resource, Handler()).owners.add(controller)
        for watched, concerns in controller.watches:
            table.setdefault(watched.group_resource, Handler()).watchers.append(
                (controller, concerns)
            )
    return table
