"""A pool, wired, against a small management API; the test plays Cluster API's part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capim.api import infrastructure as infra
from capim.api.gvk import GVR
from coordinator.controllers.objects import INFRA_CLUSTERS, INFRA_MACHINES, INFRA_POOLS
from tests.support.clusterapi import KEY, cluster, infra_cluster, infra_pool, machine_pool, obj
from tests.support.kubeapi import until
from tests.unit.coordinator.test_controllers import CLUSTERS, MACHINES, gone, running, scenario

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from coordinator.kube.client import KubeClient
    from tests.support.fleet import FakeFleet
    from tests.support.kubeapi import KubeApi

POOLS = GVR("cluster.x-k8s.io", "v1beta1", "machinepools")


def names(api: KubeApi, gvr: GVR) -> list[str]:
    page = api.group.list(api.resource(gvr), "default")
    return [stored.json()["metadata"]["name"] for stored in page.items]


def adopt(api: KubeApi, name: str) -> None:
    """Make the Machine of an InMemoryMachine, as Cluster API does: without a version."""
    reference = {"kind": infra.MACHINE_KIND, "name": name}
    of_machine = obj(
        "cluster.x-k8s.io/v1beta1",
        "Machine",
        f"{name}-machine",
        metadata={
            "labels": {infra.CLUSTER_NAME_LABEL: "c1", infra.POOL_NAME_LABEL: "p1"},
            "finalizers": ["machine.cluster.x-k8s.io"],
        },
        spec={"bootstrap": {}, "infrastructureRef": reference},
    )
    api.create(MACHINES, of_machine)
    held = api.read(INFRA_MACHINES, name)
    owner = {
        "apiVersion": "cluster.x-k8s.io/v1beta1",
        "kind": "Machine",
        "name": f"{name}-machine",
        "uid": of_machine["metadata"]["uid"],
    }
    owners = [*held["metadata"]["ownerReferences"], owner]
    api.merge(INFRA_MACHINES, held, {"metadata": {"ownerReferences": owners}})


def leaving(api: KubeApi) -> list[str]:
    found = (api.read(MACHINES, name) for name in names(api, MACHINES))
    return [it["metadata"]["name"] for it in found if "deletionTimestamp" in it["metadata"]]


def status(api: KubeApi) -> JsonObject:
    found: JsonObject = api.read(INFRA_POOLS, "p1").get("status") or {}
    return found


def test_a_pool_makes_machines_lets_one_go_and_goes() -> None:
    async def use(api: KubeApi, client: KubeClient, fleet: FakeFleet) -> None:
        async with running(api, client, fleet):
            api.create(CLUSTERS, cluster())
            api.create(INFRA_CLUSTERS, infra_cluster())
            await until(lambda: KEY in fleet.clusters)
            api.create(POOLS, machine_pool(2))
            api.create(INFRA_POOLS, infra_pool(metadata={"finalizers": []}))
            await until(lambda: len(names(api, INFRA_MACHINES)) == 2)
            for name in names(api, INFRA_MACHINES):
                adopt(api, name)
            await until(lambda: len(fleet.machines) == 2)
            assert {spec.version for spec in fleet.machines.values()} == {"v1.30.0"}

            for name in names(api, INFRA_MACHINES):
                held = api.read(INFRA_MACHINES, name)
                api.merge(INFRA_MACHINES, held, {"spec": {"providerID": f"in-memory://{name}"}})
                api.merge(INFRA_MACHINES, held, {"status": {"ready": True}})
            await until(lambda: status(api).get("ready") is True)
            assert status(api)["replicas"] == len(names(api, INFRA_MACHINES)) == 2

            api.merge(POOLS, api.read(POOLS, "p1"), {"spec": {"replicas": 1}})
            await until(lambda: leaving(api) != [])
            assert len(leaving(api)) == 1

            api.group.delete(api.resource(INFRA_POOLS), "default", "p1")
            await until(lambda: len(leaving(api)) == 2)
            assert not gone(api, INFRA_POOLS, "p1")
            for name in names(api, INFRA_MACHINES):
                api.group.delete(api.resource(INFRA_MACHINES), "default", name)
            await until(lambda: gone(api, INFRA_POOLS, "p1"))

    scenario(use)
