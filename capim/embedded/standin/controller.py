"""The stand-in's shell: informers in, plans carried out. One reconcile at a time for each cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api.errors import APIError
from capim.api.gvk import NamespacedName
from capim.embedded import kinds
from capim.embedded.fleet import CLUSTER_NAME_LABEL
from capim.embedded.standin.authorities import authorities, kubeconfig_secret
from capim.embedded.standin.plan import plan
from capim.embedded.standin.snapshot import (
    Action,
    CheckEtcd,
    Create,
    CreateAuthorities,
    Delete,
    Patch,
    Snapshot,
    WatchNodes,
)
from capim.embedded.standin.workload import Workloads
from coordinator.kube.dispatch import Dispatcher, Result
from coordinator.kube.informers import Informer, Scope

if TYPE_CHECKING:
    import random

    from capim.aio.clock import Clock
    from capim.aio.tasks import TaskScope
    from capim.api.gvk import GVR
    from capim.api.meta import JsonObject
    from coordinator.kube.client import KubeClient

_WATCHED: Final = (
    kinds.CLUSTERS,
    kinds.CONTROL_PLANES,
    kinds.MACHINE_DEPLOYMENTS,
    kinds.MACHINES,
    kinds.SECRETS,
    kinds.INFRA_CLUSTERS,
    kinds.INFRA_MACHINES,
    kinds.INFRA_TEMPLATES,
)

#: Reconciles at once: each waits for the management API most of its time.
_CONCURRENCY: Final = 20


class StandIn:
    """Plays Cluster API for every Cluster of a management API. One loop, no lock."""

    def __init__(
        self, client: KubeClient, *, clock: Clock, rng: random.Random, scope: TaskScope
    ) -> None:
        self._client = client
        self._clock = clock
        self._scope = scope
        self._informers = {
            gvr: Informer(client, Scope(gvr), rng=rng, index=_cluster_name) for gvr in _WATCHED
        }
        self._queue = Dispatcher(
            "stand-in", self._reconcile, concurrency=_CONCURRENCY, clock=clock, scope=scope
        )
        self._workloads = Workloads(scope, on_change=self._queue.add)
        for informer in self._informers.values():
            informer.on_change(self._changed)

    async def start(self) -> None:
        """Watch, and reconcile once everything is known."""
        for gvr, informer in self._informers.items():
            self._scope.spawn(informer.run(), name=f"inform {gvr.resource}")
        for informer in self._informers.values():
            await informer.synced.wait()
        self._queue.start()

    def objects(self, gvr: GVR) -> dict[NamespacedName, JsonObject]:
        """Return every object of a watched kind, for the live view; who changed last comes last."""
        return self._informers[gvr].objects

    def _changed(self, before: JsonObject | None, after: JsonObject | None) -> None:
        obj = after or before
        if obj is not None and (name := _cluster_name(obj)):
            self._queue.add(NamespacedName(obj["metadata"]["namespace"], name))

    async def _reconcile(self, key: NamespacedName) -> Result:
        snapshot = self._snapshot(key)
        if snapshot is None:
            self._workloads.forget(key)
            return Result()
        actions = plan(snapshot)
        if WatchNodes() not in actions:
            self._workloads.rest(key)
        for action in actions:
            await self._carry_out(key, snapshot, action)
        return Result()

    def _snapshot(self, key: NamespacedName) -> Snapshot | None:
        cluster = self._informers[kinds.CLUSTERS].get(key)
        if cluster is None or "deletionTimestamp" in cluster["metadata"]:
            return None

        def held(gvr: GVR) -> list[JsonObject]:
            return self._informers[gvr].by_index(key.namespace, key.name)

        control_planes = held(kinds.CONTROL_PLANES)
        return Snapshot(
            cluster=cluster,
            infra=self._informers[kinds.INFRA_CLUSTERS].get(key),
            control_plane=control_planes[0] if control_planes else None,
            deployments=held(kinds.MACHINE_DEPLOYMENTS),
            machines=held(kinds.MACHINES),
            infra_machines={_name(one): one for one in held(kinds.INFRA_MACHINES)},
            templates={_name(one): one for one in held(kinds.INFRA_TEMPLATES)},
            secrets=frozenset(_name(one) for one in held(kinds.SECRETS)),
            facts=self._workloads.facts(key),
            now=self._clock(),
        )

    async def _carry_out(self, key: NamespacedName, snapshot: Snapshot, action: Action) -> None:
        match action:
            case Create():
                await self._create(action.gvr, action.body)
            case Patch():
                patched = await self._client.patch(
                    action.gvr,
                    key.namespace,
                    action.name,
                    action.patch,
                    subresource=action.subresource,
                )
                self._informers[action.gvr].learn(patched)
            case Delete():
                await self._client.delete(action.gvr, key.namespace, action.name)
            case CreateAuthorities():
                await self._create_authorities(snapshot.cluster)
            case WatchNodes():
                self._workloads.watch_nodes(key, await self._secret(key, "kubeconfig"))
            case CheckEtcd():
                secrets = [await self._secret(key, purpose) for purpose in ("kubeconfig", "etcd")]
                self._workloads.check_etcd(key, action.node, *secrets)

    async def _create_authorities(self, cluster: JsonObject) -> None:
        ca, *others = authorities(cluster, self._clock())
        ca = await self._create(kinds.SECRETS, ca)
        for secret in (*others, kubeconfig_secret(cluster, ca, self._clock())):
            await self._create(kinds.SECRETS, secret)

    async def _create(self, gvr: GVR, body: JsonObject) -> JsonObject:
        """Create an object; one that is there already is what an informer has not told us yet."""
        namespace = body["metadata"]["namespace"]
        try:
            return await self._client.create(gvr, namespace, body)
        except APIError as error:
            if error.reason != "AlreadyExists":
                raise
        return await self._client.get(gvr, namespace, body["metadata"]["name"])

    async def _secret(self, key: NamespacedName, purpose: str) -> JsonObject:
        name = f"{key.name}-{purpose}"
        held = self._informers[kinds.SECRETS].get(NamespacedName(key.namespace, name))
        return held or await self._client.get(kinds.SECRETS, key.namespace, name)


def _name(obj: JsonObject) -> str:
    return str(obj["metadata"]["name"])


def _cluster_name(obj: JsonObject) -> str:
    """Return the cluster an object belongs to; a Cluster belongs to itself."""
    labels = obj["metadata"].get("labels") or {}
    return str(labels.get(CLUSTER_NAME_LABEL, ""))
