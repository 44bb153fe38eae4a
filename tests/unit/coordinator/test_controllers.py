"""Both controllers, wired, against a small management API and a fleet without workers."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pytest
import yaml

from capim.aio.clock import steady_clock, wall_clock
from capim.aio.tasks import TaskScope
from capim.api import infrastructure as infra
from capim.api.errors import APIError
from capim.api.gvk import GVR, NamespacedName
from capim.api.workload import ListenerState, MachineProgress, Phase
from capim.certs.issue import self_signed_ca
from coordinator.controllers.clusterplan import ClusterPlanner
from coordinator.controllers.objects import (
    INFRA_CLUSTERS,
    INFRA_MACHINES,
    SECRETS,
    cluster_api_version,
    make_objects,
)
from coordinator.controllers.wiring import Controllers, Limits
from coordinator.placement import ENDPOINT_ANNOTATION, PLACEMENT_ANNOTATION, Placements
from coordinator.ports import PortRange
from tests.support.clusterapi import (
    KEY,
    cluster,
    condition,
    infra_cluster,
    infra_machine,
    machine,
    obj,
)
from tests.support.fleet import FakeFleet
from tests.support.kubeapi import Calm, KubeApi, serve, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from capim.aio.clock import Clock
    from capim.api.meta import JsonObject
    from coordinator.events import Note
    from coordinator.kube.client import KubeClient

CLUSTERS = GVR("cluster.x-k8s.io", "v1beta1", "clusters")
MACHINES = GVR("cluster.x-k8s.io", "v1beta1", "machines")


@dataclass(frozen=True)
class Installation:
    """How one coordinator is told what is its own."""

    name: str = "here"
    namespace: str = ""
    watch_filter: str = ""
    workers: tuple[str, ...] = ("worker-0",)
    remote_hosts: tuple[tuple[str, str], ...] = ()


def controllers_of(
    client: KubeClient,
    fleet: FakeFleet,
    scope: TaskScope,
    installation: Installation,
    *,
    last_port: int,
    host: str,
    steady: Clock,
    tell: Callable[[Note], None],
) -> tuple[Controllers, list[Any]]:
    objects = make_objects(
        client, version="v1beta1", namespace=installation.namespace, resync_s=0, rng=Calm()
    )
    planner = ClusterPlanner(
        host=host,
        ports=PortRange(20000, last_port),
        placements=Placements(installation.name, installation.workers),
        watch_filter=installation.watch_filter,
        remote_hosts=dict(installation.remote_hosts),
    )
    controllers = Controllers(
        objects,
        fleet,
        planner,
        limits=Limits(installation.watch_filter),
        clock=wall_clock,
        steady=steady,
        scope=scope,
        observe=lambda *_: None,
        rng=random.Random(1),  # noqa: S311 - names, not secrets
        tell=tell,
    )
    return controllers, list(objects.informers())


@contextlib.asynccontextmanager
async def running(
    api: KubeApi,
    client: KubeClient,
    fleet: FakeFleet,
    *,
    last_port: int = 20010,
    host: str = "10.0.0.1",
    installation: Installation = Installation(),
    steady: Clock = steady_clock,
    tell: Callable[[Note], None] = lambda note: None,
) -> AsyncIterator[Controllers]:
    async with TaskScope() as scope:
        controllers, informers = controllers_of(
            client,
            fleet,
            scope,
            installation,
            last_port=last_port,
            host=host,
            steady=steady,
            tell=tell,
        )
        for informer in informers:
            scope.spawn(informer.run(), name="informer")
        for informer in informers:
            await asyncio.wait_for(informer.synced.wait(), 10)
        await controllers.restore()
        controllers.start()
        yield controllers
        controllers.close()
        api.end_watches()


def scenario(use: Callable[[KubeApi, KubeClient, FakeFleet], Awaitable[None]]) -> None:
    async def run() -> None:
        api, fleet = KubeApi(), FakeFleet()
        async with serve(api) as client:
            await use(api, client, fleet)

    asyncio.run(run())


def secret(name: str, **data: bytes) -> JsonObject:
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    metadata = {"labels": {infra.CLUSTER_NAME_LABEL: "c1"}}
    return obj("v1", "Secret", name, metadata=metadata, data=encoded)


def authority(name: str) -> JsonObject:
    pair = self_signed_ca(name, wall_clock())
    return secret(name, **{"tls.crt": pair.certificate, "tls.key": pair.key})


def said(api: KubeApi, gvr: GVR, name: str, kind: str) -> JsonObject:
    conditions = api.read(gvr, name).get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == kind), {})


def gone(api: KubeApi, gvr: GVR, name: str) -> bool:
    try:
        api.read(gvr, name)
    except APIError as error:
        return error.code == 404
    return False


def progress(fleet: FakeFleet, *done: Phase) -> MachineProgress:
    spec = fleet.machines[KEY, "m1"]
    return MachineProgress(
        KEY, "m1", spec.uid, wall_clock(), {phase: wall_clock() for phase in done}
    )


def test_the_clusters_of_a_lost_worker_are_told_of_it() -> None:
    notes: list[Note] = []

    async def use(api: KubeApi, client: KubeClient, fleet: FakeFleet) -> None:
        async with running(api, client, fleet, tell=notes.append):
            api.create(CLUSTERS, cluster())
            api.create(INFRA_CLUSTERS, infra_cluster())
            await until(lambda: KEY in fleet.clusters)
            fleet.on_worker("worker-1", False)
            fleet.on_worker("worker-0", False)
            fleet.on_worker("worker-0", True)

    scenario(use)
    assert [(note.reason, note.warning) for note in notes] == [
        ("WorkerLost", True),
        ("WorkerBack", False),
    ]
    assert all(note.obj["metadata"]["name"] == "c1" for note in notes)


def test_a_cluster_and_a_machine_from_nothing_to_ready_to_gone() -> None:
    async def use(api: KubeApi, client: KubeClient, fleet: FakeFleet) -> None:
        async with running(api, client, fleet):
            assert fleet.begun
            api.create(CLUSTERS, cluster(ready=False, initialized=False))
            api.create(INFRA_CLUSTERS, infra_cluster())
            await until(lambda: KEY in fleet.clusters)
            fleet.report_listener(KEY)
            await until(lambda: api.read(INFRA_CLUSTERS, "c1").get("status", {}).get("ready"))
            made = api.read(INFRA_CLUSTERS, "c1")
            assert made["spec"]["controlPlaneEndpoint"] == {"host": "10.0.0.1", "port": 20000}
            assert made["metadata"]["finalizers"] == [infra.CLUSTER_FINALIZER]

            api.create(MACHINES, machine(control_plane=True, bootstrapped=False))
            api.create(INFRA_MACHINES, infra_machine(metadata={"finalizers": []}))
            await until(
                lambda: (
                    said(api, INFRA_MACHINES, "m1", "VMProvisioned").get("reason")
                    == "WaitingForClusterInfrastructure"
                )
            )
            of_cluster = api.read(CLUSTERS, "c1")
            api.merge(CLUSTERS, of_cluster, {"status": {"infrastructureReady": True}})
            await until(
                lambda: (
                    said(api, INFRA_MACHINES, "m1", "VMProvisioned").get("reason")
                    == "WaitingForBootstrapData"
                )
            )
            of_machine = api.read(MACHINES, "m1")
            api.merge(MACHINES, of_machine, {"spec": {"bootstrap": {"dataSecretName": "d"}}})
            await until(lambda: (KEY, "m1") in fleet.machines)
            fleet.report_machine(progress(fleet, *Phase))
            await until(lambda: said(api, INFRA_MACHINES, "m1", "Ready").get("status") == "True")
            assert api.read(INFRA_MACHINES, "m1")["spec"]["providerID"] == "in-memory://m1"

            fleet.holds_on = True
            api.group.delete(api.resource(INFRA_MACHINES), "default", "m1")
            await until(lambda: not fleet.machines)
            assert not gone(api, INFRA_MACHINES, "m1")
            fleet.let_go()
            await until(lambda: gone(api, INFRA_MACHINES, "m1"))
            api.group.delete(api.resource(CLUSTERS), "default", "c1")
            api.group.delete(api.resource(INFRA_CLUSTERS), "default", "c1")
            await until(lambda: gone(api, INFRA_CLUSTERS, "c1"))
            assert not fleet.clusters

    scenario(use)


def provisioned(*, paused: bool = False) -> tuple[JsonObject, JsonObject]:
    """An InMemoryCluster and an InMemoryMachine as a former coordinator left them."""
    annotations = {
        infra.LISTENER_ANNOTATION: "default/c1",
        PLACEMENT_ANNOTATION: "here/worker-0",
        ENDPOINT_ANNOTATION: "10.0.0.1:20003",
    }
    if paused:
        annotations[infra.PAUSED_ANNOTATION] = ""
    of_cluster = infra_cluster(
        metadata={"annotations": annotations, "finalizers": [infra.CLUSTER_FINALIZER]},
        spec={"controlPlaneEndpoint": {"host": "10.0.0.1", "port": 20003}},
        status={"ready": True},
    )
    of_machine = infra_machine(
        spec={"providerID": "in-memory://m1"},
        status={"conditions": [condition("VMProvisioned", "True", "Provisioned")]},
    )
    return of_cluster, of_machine


def test_everything_that_was_there_is_desired_before_the_workers_begin() -> None:
    async def use(api: KubeApi, client: KubeClient, fleet: FakeFleet) -> None:
        of_cluster, of_machine = provisioned(paused=True)
        api.create(CLUSTERS, cluster(paused=True))
        api.create(MACHINES, machine())
        api.create(INFRA_CLUSTERS, of_cluster)
        api.create(INFRA_MACHINES, of_machine)
        async with running(api, client, fleet):
            assert fleet.before_begin == 2
            assert fleet.clusters[KEY][1].port == 20003
            assert Phase.VM in fleet.machines[KEY, "m1"].done

    scenario(use)


def test_a_changed_host_rewrites_endpoint_and_kubeconfig() -> None:
    async def use(api: KubeApi, client: KubeClient, fleet: FakeFleet) -> None:
        config = {"clusters": [{"name": "c1", "cluster": {"server": "https://10.0.0.1:20003"}}]}
        api.create(SECRETS, secret("c1-kubeconfig", value=yaml.safe_dump(config).encode()))
        api.create(CLUSTERS, cluster())
        api.create(INFRA_CLUSTERS, provisioned()[0])
        async with running(api, client, fleet, host="10.0.0.2"):
            fleet.report_listener(KEY)
            endpoint = {"host": "10.0.0.2", "port": 20003}
            await until(
                lambda: api.read(INFRA_CLUSTERS, "c1")["spec"]["controlPlaneEndpoint"] == endpoint
            )
            text = base64.b64decode(api.read(SECRETS, "c1-kubeconfig")["data"]["value"])
            assert yaml.safe_load(text)["clusters"][0]["cluster"] == {
                "server": "https://10.0.0.2:20003"
            }

    scenario(use)


def test_authorities_reach_the_worker_when_their_secrets_come() -> None:
    async def use(api: KubeApi, client: KubeClient, fleet: FakeFleet) -> None:
        api.create(CLUSTERS, cluster())
        api.create(INFRA_CLUSTERS, infra_cluster())
        async with running(api, client, fleet):
            await until(lambda: KEY in fleet.clusters)
            assert fleet.clusters[KEY][1].ca is None
            for name in ("c1-ca", "c1-etcd", "c1-sa"):
                api.create(SECRETS, authority(name))
            await until(lambda: all(_pairs(fleet)))
            # a Secret that is deleted takes nothing from an API server that runs
            api.group.delete(api.resource(SECRETS), "default", "c1-ca")
            api.create(MACHINES, machine(control_plane=True))
            await until(lambda: any("c1-ca" in path for _, path in api.requests))
            assert all(_pairs(fleet))

    scenario(use)


def _pairs(fleet: FakeFleet) -> list[Any]:
    spec = fleet.clusters[KEY][1]
    return [spec.ca, spec.etcd_ca, spec.service_account]


def test_a_users_secret_without_label_is_found_once_it_is_needed() -> None:
    async def use(api: KubeApi, client: KubeClient, fleet: FakeFleet) -> None:
        unlabelled = authority("c1-ca")
        del unlabelled["metadata"]["labels"]
        api.create(SECRETS, unlabelled)
        api.create(CLUSTERS, cluster())
        api.create(MACHINES, machine(control_plane=True))
        api.create(INFRA_CLUSTERS, infra_cluster())
        async with running(api, client, fleet):
            await until(lambda: KEY in fleet.clusters)
            assert fleet.clusters[KEY][1].ca is not None

    scenario(use)


def test_a_broken_authority_is_said_on_the_machine() -> None:
    async def use(api: KubeApi, client: KubeClient, fleet: FakeFleet) -> None:
        api.create(SECRETS, secret("c1-ca", **{"tls.crt": b"nonsense", "tls.key": b"nonsense"}))
        api.create(CLUSTERS, cluster())
        api.create(MACHINES, machine(control_plane=True))
        api.create(INFRA_CLUSTERS, infra_cluster())
        api.create(INFRA_MACHINES, infra_machine())
        async with running(api, client, fleet):
            await until(lambda: (KEY, "m1") in fleet.machines)
            fleet.report_machine(progress(fleet, Phase.VM, Phase.NODE))
            await until(lambda: said(api, INFRA_MACHINES, "m1", "APIServerProvisioned"))
            condition = said(api, INFRA_MACHINES, "m1", "APIServerProvisioned")
            assert (condition["reason"], condition["severity"]) == ("InvalidCertificates", "Error")
            assert "default/c1-ca" in condition["message"]
            assert "tls." in condition["message"]

    scenario(use)


def test_a_freed_port_goes_to_the_cluster_that_waits_for_one() -> None:
    async def use(api: KubeApi, client: KubeClient, fleet: FakeFleet) -> None:
        other = infra_cluster("c2")
        other["metadata"]["ownerReferences"][0] |= {"name": "c2", "uid": "Cluster-c2"}
        of_other = cluster()
        of_other["metadata"] |= {"name": "c2", "uid": "Cluster-c2"}
        of_other["spec"]["infrastructureRef"]["name"] = "c2"
        api.create(CLUSTERS, cluster())
        api.create(INFRA_CLUSTERS, infra_cluster())
        async with running(api, client, fleet, last_port=20000):
            await until(lambda: KEY in fleet.clusters)
            api.create(CLUSTERS, of_other)
            api.create(INFRA_CLUSTERS, other)
            await until(
                lambda: said(api, INFRA_CLUSTERS, "c2", "Ready").get("reason") == "PortsExhausted"
            )
            api.group.delete(api.resource(INFRA_CLUSTERS), "default", "c1")
            await until(lambda: KEY._replace(name="c2") in fleet.clusters)

    scenario(use)


def its_own(body: JsonObject, number: str, namespace: str, watch_filter: str) -> JsonObject:
    """Return an object of `c1` as one of another cluster, with the label of `--watch-filter`."""
    text = json.dumps(body).replace("c1", f"c{number}").replace("m1", f"m{number}")
    moved: JsonObject = json.loads(text)
    labels = {**(moved["metadata"].get("labels") or {}), infra.WATCH_FILTER_LABEL: watch_filter}
    moved["metadata"] |= {"namespace": namespace, "labels": labels}
    return moved


def fill(api: KubeApi, number: str, namespace: str, watch_filter: str) -> NamespacedName:
    """Create a cluster with one machine, all gates open, and return its name."""
    for gvr, body in (
        (CLUSTERS, cluster()),
        (INFRA_CLUSTERS, infra_cluster()),
        (MACHINES, machine()),
        (INFRA_MACHINES, infra_machine()),
    ):
        api.create(gvr, its_own(body, number, namespace, watch_filter))
    return NamespacedName(namespace, f"c{number}")


async def up(api: KubeApi, fleet: FakeFleet, key: NamespacedName) -> str:
    """Wait until a cluster of `fill` is ready, with its machine; return who placed it."""
    await until(lambda: (key, key.name.replace("c", "m")) in fleet.machines)
    fleet.report_listener(key)

    def placed() -> JsonObject:
        return api.read(INFRA_CLUSTERS, key.name, key.namespace)

    await until(lambda: placed().get("status", {}).get("ready"))
    return str(placed()["metadata"]["annotations"][PLACEMENT_ANNOTATION])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(Installation("a", namespace="ns1"), Installation("b", "ns2"), id="namespace"),
        pytest.param(
            Installation("a", watch_filter="f1"), Installation("b", watch_filter="f2"), id="filter"
        ),
    ],
)
def test_two_installations_leave_each_others_objects_alone(
    one: Installation, other: Installation
) -> None:
    async def use(api: KubeApi, client: KubeClient, first: FakeFleet) -> None:
        for namespace in ("ns1", "ns2"):
            api.create(GVR("", "v1", "namespaces"), {"metadata": {"name": namespace}})
        mine, theirs = fill(api, "1", "ns1", "f1"), fill(api, "2", "ns2", "f2")
        second, again = FakeFleet(), FakeFleet()
        async with (
            running(api, client, first, installation=one),
            running(api, client, second, installation=other),
        ):
            assert await up(api, first, mine) == "a/worker-0"
            assert await up(api, second, theirs) == "b/worker-0"
            api.group.delete(api.resource(INFRA_MACHINES), "ns1", "m1")
            await until(lambda: not first.machines)
        assert (set(first.clusters), set(second.clusters)) == ({mine}, {theirs})
        assert set(second.machines) == {(theirs, "m2")}
        async with running(api, client, again, installation=one):
            assert set(again.clusters) == {mine}

    scenario(use)


def test_a_port_that_is_occupied_is_left_for_another() -> None:
    async def use(api: KubeApi, client: KubeClient, fleet: FakeFleet) -> None:
        api.create(CLUSTERS, cluster())
        api.create(INFRA_CLUSTERS, infra_cluster())
        async with running(api, client, fleet):
            await until(lambda: KEY in fleet.clusters)
            fleet.report_listener(KEY, ListenerState.FAILED, "port 20000 is taken")
            await until(lambda: fleet.clusters[KEY][1].port == 20001)
            fleet.report_listener(KEY)
            await until(lambda: said(api, INFRA_CLUSTERS, "c1", "Ready").get("status") == "True")
            assert api.read(INFRA_CLUSTERS, "c1")["spec"]["controlPlaneEndpoint"]["port"] == 20001

    scenario(use)


def test_what_goes_without_its_finalizer_is_let_go_of() -> None:
    async def use(api: KubeApi, client: KubeClient, fleet: FakeFleet) -> None:
        of_cluster, of_machine = provisioned()
        api.create(CLUSTERS, cluster())
        api.create(MACHINES, machine())
        made = [
            api.create(INFRA_CLUSTERS, of_cluster),
            api.create(INFRA_MACHINES, of_machine),
        ]
        async with running(api, client, fleet):
            await until(lambda: fleet.machines)
            for gvr, one in zip((INFRA_CLUSTERS, INFRA_MACHINES), made, strict=True):
                api.merge(gvr, one, {"metadata": {"finalizers": None}})
                name = one["metadata"]["name"]
                api.group.delete(api.resource(gvr), "default", name)
            await until(lambda: not fleet.machines and not fleet.clusters)

    scenario(use)


def test_a_settled_cluster_costs_no_writes() -> None:
    async def use(api: KubeApi, client: KubeClient, fleet: FakeFleet) -> None:
        api.create(CLUSTERS, cluster())
        api.create(INFRA_CLUSTERS, infra_cluster())
        async with running(api, client, fleet):
            await until(lambda: KEY in fleet.clusters)
            fleet.report_listener(KEY)
            await until(lambda: api.read(INFRA_CLUSTERS, "c1").get("status", {}).get("ready"))
            api.requests.clear()
            of_cluster = api.read(CLUSTERS, "c1")
            api.merge(CLUSTERS, of_cluster, {"status": {"observedGeneration": 7}})
            fleet.report_listener(KEY, ListenerState.OPEN)
            marker = api.create(INFRA_CLUSTERS, infra_cluster("marker"))
            await until(lambda: _marked(api, marker))
            assert not [
                path for method, path in api.requests if method == "PATCH" and "/c1" in path
            ]

    scenario(use)


def _marked(api: KubeApi, marker: JsonObject) -> bool:
    name = marker["metadata"]["name"]
    return bool(api.read(INFRA_CLUSTERS, name)["metadata"].get("finalizers"))


def test_the_newest_version_that_cluster_api_serves_is_used() -> None:
    class Discovery:
        async def get_path(self, path: str) -> JsonObject:
            assert path == "/apis/cluster.x-k8s.io"
            return {"versions": [{"version": "v1beta1"}, {"version": "v1beta2"}]}

    assert asyncio.run(cluster_api_version(cast("KubeClient", Discovery()))) == "v1beta2"


def test_the_version_of_cluster_api_is_discovered() -> None:
    async def use(api: KubeApi, client: KubeClient, _fleet: FakeFleet) -> None:
        assert await cluster_api_version(client) == "v1beta1"
        api.faults = [404]
        assert await cluster_api_version(client) is None

    scenario(use)
