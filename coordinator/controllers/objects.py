"""The management objects the controllers work on: nine informers and the way to write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from capim.api import infrastructure as infra
from capim.api.errors import APIError
from capim.api.gvk import GVR, NamespacedName
from capim.api.meta import JsonObject
from coordinator.controllers import gates
from coordinator.controllers.patches import at_version
from coordinator.controllers.secrets import is_authority
from coordinator.kube.client import KubeClient
from coordinator.kube.informers import Informer, Scope, name_of, trimmed

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator


SECRETS: Final = GVR("", "v1", "secrets")
INFRA_CLUSTERS: Final = GVR(infra.GROUP, infra.VERSION, "inmemoryclusters")
INFRA_MACHINES: Final = GVR(infra.GROUP, infra.VERSION, "inmemorymachines")
INFRA_POOLS: Final = GVR(infra.GROUP, infra.VERSION, "inmemorymachinepools")
TEMPLATES: Final = GVR(infra.GROUP, infra.VERSION, "inmemorymachinetemplates")
FAULTS: Final = GVR(infra.GROUP, infra.VERSION, "inmemoryfaults")

#: In the order we ask for them. What is read is there in both. The newer one is how a Cluster API that
#: has it stores its objects: each event of a watch at the other costs a call of its conversion webhook.
CLUSTER_API_VERSIONS: Final = ("v1beta2", "v1beta1")


async def cluster_api_version(client: KubeClient) -> str | None:
    """Return the version of Cluster API's kinds to use, or None while it is not installed."""
    try:
        group = await client.get_path(f"/apis/{gates.CLUSTER_API_GROUP}")
    except APIError as error:
        if error.code != 404:
            raise
        return None
    served = {version["version"] for version in group.get("versions") or []}
    return next((version for version in CLUSTER_API_VERSIONS if version in served), None)


def _cluster_index(obj: JsonObject) -> str:
    cluster = gates.cluster_of(obj)
    return cluster.name if cluster else ""


def _all_of_a_namespace(_: JsonObject) -> str:
    return ""


def _secret_without_others_data(obj: JsonObject) -> JsonObject:
    """Keep the data of authorities only: bootstrap data is large and kubeconfigs are nobody's business."""
    if not is_authority(obj):
        obj.pop("data", None)
    return trimmed(obj)


@dataclass(frozen=True, slots=True)
class Objects:
    """The informers, by what they hold."""

    client: KubeClient
    clusters: Informer
    machines: Informer
    infra_clusters: Informer
    infra_machines: Informer
    pools: Informer
    infra_pools: Informer
    templates: Informer
    secrets: Informer
    faults: Informer
    #: told what was written: the object before and after
    on_written: Callable[[JsonObject, JsonObject], None] = lambda before, after: None

    def informers(self) -> tuple[Informer, ...]:
        """Return all of them."""
        own = (self.infra_clusters, self.infra_machines, self.infra_pools, self.templates)
        return (self.clusters, self.machines, self.pools, *own, self.secrets, self.faults)

    def infra_cluster_of(self, cluster: NamespacedName) -> NamespacedName | None:
        """Return the InMemoryCluster of a Cluster."""
        obj = self.clusters.get(cluster)
        return gates.infrastructure_name(obj, infra.CLUSTER_KIND) if obj else None

    def machines_of(self, cluster: NamespacedName) -> Iterator[tuple[NamespacedName, JsonObject]]:
        """Yield the InMemoryMachines' names of a Cluster, with their Machines."""
        for machine in self.machines.by_index(cluster.namespace, cluster.name):
            if name := gates.infrastructure_name(machine, infra.MACHINE_KIND):
                yield name, machine

    async def write(
        self, informer: Informer, obj: JsonObject, patch: JsonObject, *, subresource: str = ""
    ) -> JsonObject:
        """Patch an object as it is here, take the answer into the copy, and return it."""
        key = name_of(obj)
        written = await self.client.patch(
            informer.scope.gvr,
            key.namespace,
            key.name,
            at_version(patch, obj),
            subresource=subresource,
        )
        informer.learn(written)
        self.on_written(obj, written)
        return written


def make_objects(
    client: KubeClient,
    *,
    version: str,
    namespace: str,
    resync_s: float,
    rng: random.Random,
    on_written: Callable[[JsonObject, JsonObject], None] = lambda before, after: None,
) -> Objects:
    """Make the informers; nothing runs yet."""

    def informer(gvr: GVR) -> Informer:
        scope = Scope(gvr, namespace)
        return Informer(client, scope, rng=rng, resync_s=resync_s, index=_cluster_index)

    return Objects(
        client=client,
        clusters=informer(GVR(gates.CLUSTER_API_GROUP, version, "clusters")),
        machines=informer(GVR(gates.CLUSTER_API_GROUP, version, "machines")),
        infra_clusters=informer(INFRA_CLUSTERS),
        infra_machines=informer(INFRA_MACHINES),
        pools=informer(GVR(gates.CLUSTER_API_GROUP, version, "machinepools")),
        infra_pools=informer(INFRA_POOLS),
        templates=informer(TEMPLATES),
        secrets=Informer(
            client,
            Scope(SECRETS, namespace, labels=infra.CLUSTER_NAME_LABEL),
            rng=rng,
            transform=_secret_without_others_data,
        ),
        faults=Informer(
            client, Scope(FAULTS, namespace), rng=rng, resync_s=resync_s, index=_all_of_a_namespace
        ),
        on_written=on_written,
    )
