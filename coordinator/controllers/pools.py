"""Reconciles InMemoryMachinePools: carries out what `poolplan` decides.

What was made or asked to go is remembered until the informers show it: a plan made from the copy before
that would make it again, or let another one go. One loop, no lock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from capim.api import infrastructure as infra
from capim.api.errors import APIError
from capim.api.gvk import NamespacedName
from coordinator.controllers import gates
from coordinator.controllers.poolplan import (
    PoolPlan,
    PoolView,
    Replica,
    cluster_key,
    infrastructure_name,
    plan_pool,
)
from coordinator.kube.dispatch import Dispatcher, Result
from coordinator.kube.informers import name_of

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

    from capim.aio.clock import Clock
    from capim.aio.tasks import TaskScope
    from capim.api.meta import JsonObject
    from coordinator.controllers.objects import Objects
    from coordinator.kube.dispatch import Observe
    from coordinator.kube.informers import Informer

_log = structlog.get_logger(__name__)

_CONCURRENCY: Final = 4
#: how long something is believed that no informer shows: its event may have been lost with a watch
_BELIEVED_S: Final = 60.0
_SUFFIX_LENGTH: Final = 5
#: without vowels and what looks alike, as Kubernetes draws names
_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"


@dataclass(slots=True)
class _Beliefs:
    """What one pool's informers do not show yet: names, with the time until which they count."""

    made: dict[str, float] = field(default_factory=dict)
    let_go: dict[str, float] = field(default_factory=dict)

    def forget(self, names: set[str], now: float) -> None:
        """Drop what shows by now, or should have: `names` are the machines there are."""
        self.made = {
            name: until for name, until in self.made.items() if name not in names and until > now
        }
        self.let_go = {
            name: until for name, until in self.let_go.items() if name in names and until > now
        }


class PoolController:
    """All InMemoryMachinePools."""

    def __init__(
        self,
        objects: Objects,
        *,
        clock: Clock,
        steady: Clock,
        scope: TaskScope,
        observe: Observe,
        rng: random.Random,
        watch_filter: str,
        log_fields: Callable[[str, NamespacedName], Mapping[str, str]],
    ) -> None:
        self._objects = objects
        self._clock = clock
        self._steady = steady
        self._rng = rng
        self._watch_filter = watch_filter
        self._beliefs: dict[NamespacedName, _Beliefs] = {}
        self._queue: Dispatcher[NamespacedName] = Dispatcher(
            infra.MACHINE_POOL_KIND,
            self.reconcile,
            concurrency=_CONCURRENCY,
            clock=steady,
            scope=scope,
            observe=observe,
            log_fields=partial(log_fields, infra.MACHINE_POOL_KIND),
        )

    def listen(self) -> None:
        """Hear of what concerns pools from now on."""
        self._objects.infra_pools.on_change(self._infra_pool_changed)
        self._objects.pools.on_change(self._pool_changed)
        self._objects.clusters.on_change(self._cluster_changed)
        self._objects.infra_machines.on_change(self._infra_machine_changed)
        self._objects.machines.on_change(self._machine_changed)

    def start(self) -> None:
        """Begin to reconcile."""
        self._queue.start()

    def close(self) -> None:
        """Start no reconcile any more."""
        self._queue.close()

    # --- what changes ---

    def _infra_pool_changed(self, before: JsonObject | None, after: JsonObject | None) -> None:
        if obj := after or before:
            self._queue.add(name_of(obj))

    def _pool_changed(self, before: JsonObject | None, after: JsonObject | None) -> None:
        obj = after or before
        if obj is None or (before and after and before.get("spec") == after.get("spec")):
            return
        if name := infrastructure_name(obj):
            self._queue.add(name)

    def _cluster_changed(self, before: JsonObject | None, after: JsonObject | None) -> None:
        obj = after or before
        if obj is None or _cluster_facts(before) == _cluster_facts(after):
            return
        key = name_of(obj)
        for pool in self._objects.infra_pools.by_index(key.namespace, key.name):
            self._queue.add(name_of(pool))

    def _infra_machine_changed(self, before: JsonObject | None, after: JsonObject | None) -> None:
        obj = after or before
        if obj is not None and (name := pool_of(obj)) is not None:
            self._queue.add(name)

    def _machine_changed(self, before: JsonObject | None, after: JsonObject | None) -> None:
        obj = after or before
        if obj is None or gates.label(obj, infra.POOL_NAME_LABEL) is None:
            return
        name = gates.infrastructure_name(obj, infra.MACHINE_KIND)
        found = self._objects.infra_machines.get(name) if name else None
        if found is not None:
            self._infra_machine_changed(None, found)

    # --- what follows ---

    async def reconcile(self, key: NamespacedName) -> Result:
        """Bring one pool a step further, or several where one follows at once."""
        while (obj := self._objects.infra_pools.get(key)) is not None:
            plan = plan_pool(self._view(obj), self._suffix)
            await self._carry_out(obj, plan)
            if not plan.again:
                beliefs = self._beliefs.get(key)
                return Result(requeue_after_s=_BELIEVED_S if beliefs else 0.0)
        self._beliefs.pop(key, None)
        return Result()

    def _suffix(self) -> str:
        return "".join(self._rng.choice(_LETTERS) for _ in range(_SUFFIX_LENGTH))

    def _view(self, obj: JsonObject) -> PoolView:
        objects, key = self._objects, name_of(obj)
        owner = gates.owner(obj, "MachinePool")
        pool = objects.pools.get(owner) if owner else None
        view = PoolView(obj, pool, None, self._clock(), watch_filter=self._watch_filter)
        cluster = cluster_key(view)
        if cluster is None:
            return view
        machines = {name.name: machine for name, machine in objects.machines_of(cluster)}
        held = objects.infra_machines.by_index(cluster.namespace, cluster.name)
        mine = {it["metadata"]["name"]: it for it in held if pool_of(it) == key}
        let_go, expected = self._believed(key, set(mine))
        replicas = [Replica(it, machines.get(name), name in let_go) for name, it in mine.items()]
        return PoolView(
            obj,
            pool,
            objects.clusters.get(cluster),
            view.now,
            replicas=replicas,
            expected=expected,
            watch_filter=self._watch_filter,
        )

    def _believed(self, key: NamespacedName, names: set[str]) -> tuple[set[str], int]:
        beliefs = self._beliefs.get(key)
        if beliefs is None:
            return set(), 0
        beliefs.forget(names, self._steady())
        if not beliefs.made and not beliefs.let_go:
            del self._beliefs[key]
        return set(beliefs.let_go), len(beliefs.made)

    async def _carry_out(self, obj: JsonObject, plan: PoolPlan) -> None:
        key, informer = name_of(obj), self._objects.infra_pools
        if plan.waiting_for:
            _log.debug("pool waits", pool=str(key), waiting_for=plan.waiting_for)
        if plan.patch:
            obj = await self._objects.write(informer, obj, plan.patch)
        if plan.status:
            await self._objects.write(informer, obj, plan.status, subresource="status")
        for machine in plan.create:
            await self._create(key, machine)
        for replica in plan.let_go:
            await self._let_go(key, replica)

    async def _create(self, key: NamespacedName, machine: JsonObject) -> None:
        gvr, name = self._objects.infra_machines.scope.gvr, machine["metadata"]["name"]
        until = self._steady() + _BELIEVED_S
        beliefs = self._beliefs.setdefault(key, _Beliefs())
        beliefs.made[name] = until  # before it is there: its event may come before the answer
        try:
            await self._objects.client.create(gvr, key.namespace, machine)
        except BaseException:
            beliefs.made.pop(name, None)
            raise
        _log.info("machine made", pool=str(key), machine=name)

    async def _let_go(self, key: NamespacedName, replica: Replica) -> None:
        """Delete a replica's Machine, or the InMemoryMachine where there is none yet."""
        machine = replica.machine
        informer: Informer = (
            self._objects.infra_machines if machine is None else self._objects.machines
        )
        doomed = name_of(machine or replica.infra)
        try:
            await self._objects.client.delete(informer.scope.gvr, doomed.namespace, doomed.name)
        except APIError as error:
            if error.code != 404:
                raise
        beliefs = self._beliefs.setdefault(key, _Beliefs())
        beliefs.let_go[replica.name] = self._steady() + _BELIEVED_S
        _log.info("machine let go", pool=str(key), machine=replica.name)


def pool_of(machine: JsonObject) -> NamespacedName | None:
    """Return the InMemoryMachinePool that made an InMemoryMachine, or None."""
    metadata = machine["metadata"]
    for reference in metadata.get("ownerReferences") or []:
        if (reference["apiVersion"], reference["kind"]) == (
            infra.API_VERSION,
            infra.MACHINE_POOL_KIND,
        ):
            return NamespacedName(metadata.get("namespace", ""), reference["name"])
    return None


def _cluster_facts(cluster: JsonObject | None) -> tuple[object, ...]:
    """Return what pools read of a Cluster."""
    if cluster is None:
        return ()
    paused = bool((cluster.get("spec") or {}).get("paused"))
    ready = gates.infrastructure_ready(cluster)
    return (paused, ready, gates.control_plane_initialized(cluster))
