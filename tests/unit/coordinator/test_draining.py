"""In scope: which clusters leave a drained worker, where they go, and what is written of it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
import yaml

from capim.api.gvk import NamespacedName
from capim.api.meta import format_time
from coordinator.controllers.objects import INFRA_CLUSTERS, SECRETS
from coordinator.draining import (
    AT_ONCE,
    REBALANCE_ANNOTATION,
    Drainer,
    Wish,
    rebalance_until,
    wish_annotation,
    wishes_of,
)
from coordinator.placement import PLACEMENT_ANNOTATION, Placements
from tests.support.clusterapi import KEY, cluster, infra_cluster
from tests.support.fleet import FakeFleet
from tests.support.kubeapi import KubeApi, until
from tests.unit.coordinator.test_controllers import (
    CLUSTERS,
    Installation,
    running,
    scenario,
    secret,
)

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from coordinator.kube.client import KubeClient

WORKERS = ("worker-0", "worker-1", "worker-2")


class World:
    """Placements of some clusters and a drainer of them."""

    def __init__(self, clusters: int = 6) -> None:
        self.placements = Placements("here", WORKERS)
        self.ready = set(WORKERS)
        self.fixed: set[NamespacedName] = set()
        self.woken: list[NamespacedName] = []
        self.now = 1_000_000_000.0
        self.keys = [NamespacedName("default", f"c{number}") for number in range(clusters)]
        for key in self.keys:
            self.placements.place(key, "")
        self.drainer = Drainer(
            self.placements,
            ready=lambda: self.ready,
            movable=lambda key: key not in self.fixed,
            wake=self.woken.append,
            clock=lambda: self.now,
        )

    def drain(self, *workers: str, wish: Wish = Wish.DRAINED) -> None:
        self.drainer.wish(dict.fromkeys(workers, wish))

    def arrive(self) -> None:
        """Let everything that moves arrive, and what follows too."""
        while moving := self.placements.moving:
            self.placements.arrived(next(iter(moving)))

    def counts(self) -> list[int]:
        return [len(self.placements.on(worker)) for worker in WORKERS]


def test_a_drained_worker_is_emptied_evenly_and_nothing_else_moves() -> None:
    world = World()
    others = {key for key in world.keys if world.placements.worker(key) != "worker-1"}
    world.drain("worker-1")
    assert set(world.woken) == set(world.keys) - others
    world.arrive()
    assert world.counts() == [3, 0, 3]
    assert not others & set(world.woken)


def test_a_few_clusters_travel_at_a_time() -> None:
    world = World(30)
    world.drain("worker-0")
    assert len(world.placements.moving) == AT_ONCE
    world.arrive()
    assert world.counts() == [0, 15, 15]


def test_who_is_cordoned_keeps_what_it_has_and_is_given_no_more() -> None:
    world = World()
    world.drain("worker-0", wish=Wish.CORDONED)
    assert world.placements.moving == {}
    new = NamespacedName("default", "new")
    assert world.placements.place(new, "") == "worker-1"


def test_where_all_are_cordoned_a_new_cluster_goes_somewhere() -> None:
    world = World(0)
    world.drain(*WORKERS)
    assert world.placements.place(KEY, "") == "worker-0"


def test_nothing_moves_from_a_lost_worker_or_to_one() -> None:
    world = World()
    world.ready = {"worker-0", "worker-2"}
    world.drain("worker-1")
    assert world.placements.moving == {}
    world.ready = {"worker-0", "worker-1"}
    world.drainer.go_on()
    assert set(world.placements.moving.values()) == {"worker-0"}


def test_a_target_that_is_lost_is_changed_for_another() -> None:
    world = World(3)
    world.drain("worker-0")
    (before,) = world.placements.moving.values()
    world.ready -= {before}
    world.drainer.go_on()
    (after,) = world.placements.moving.values()
    assert {before, after} == {"worker-1", "worker-2"}


def test_what_is_no_longer_wanted_stays_and_comes_back_to_nobody() -> None:
    world = World()
    world.drain("worker-0")
    world.woken.clear()
    world.drain()
    assert world.placements.moving == {}
    assert set(world.woken) == set(world.placements.on("worker-0"))
    world.drain("worker-0")
    world.arrive()
    world.drain()
    assert world.counts()[0] == 0


def test_who_may_not_be_touched_or_cannot_go_does_not_keep_the_others() -> None:
    world = World(30)
    kept = world.placements.on("worker-0")[:AT_ONCE]
    world.fixed = set(kept)
    world.drain("worker-0")
    world.placements.refused(kept_too := next(iter(world.placements.moving)))
    world.arrive()
    assert world.placements.on("worker-0") == [*kept, kept_too]


def test_a_worker_that_joins_is_given_new_clusters_and_no_old_ones() -> None:
    placements = Placements("here", WORKERS[:2])
    noted = {key: f"here/{placements.place(key, '')}" for key in World(6).keys}
    joined = Placements("here", WORKERS)
    assert [f"here/{joined.place(key, noted[key])}" for key in noted] == list(noted.values())
    assert joined.place(NamespacedName("default", "new"), "") == "worker-2"


def test_clusters_are_evened_out_when_it_is_asked_for_and_until_it_is_too_late() -> None:
    world = World(30)
    world.drain("worker-0")
    world.arrive()
    world.drain()
    assert world.counts() == [0, 15, 15]
    lease: JsonObject = {
        "metadata": {"annotations": {REBALANCE_ANNOTATION: format_time(world.now + 5)}}
    }
    world.now += 10
    world.drainer.follow(lease)
    assert world.counts() == [0, 15, 15]
    world.now -= 10
    world.drainer.follow(lease)
    world.arrive()
    assert world.counts() == [10, 10, 10]


def test_who_may_not_be_touched_is_not_moved_for_evenness() -> None:
    world = World(4)
    world.drain("worker-0", "worker-1")
    world.arrive()
    world.fixed = set(world.keys)
    world.drain()
    annotations = {REBALANCE_ANNOTATION: format_time(world.now + 5)}
    world.drainer.follow({"metadata": {"annotations": annotations}})
    assert world.placements.moving == {}


def test_wishes_are_read_from_the_lease() -> None:
    annotations = {
        wish_annotation("worker-0"): "Drained",
        wish_annotation("worker-1"): "Cordoned",
        wish_annotation("worker-2"): "something else",
        "else": "Drained",
    }
    lease: JsonObject = {"metadata": {"annotations": annotations}}
    assert wishes_of(lease) == {"worker-0": Wish.DRAINED, "worker-1": Wish.CORDONED}
    assert wishes_of({"metadata": {}}) == {}
    assert rebalance_until({"metadata": {"annotations": {REBALANCE_ANNOTATION: "soon"}}}) == 0.0


@pytest.mark.parametrize("same_host", [True, False])
def test_a_moved_cluster_keeps_its_endpoint_or_is_found_at_another(same_host: bool) -> None:
    async def use(api: KubeApi, client: KubeClient, fleet: FakeFleet) -> None:
        fleet.names = WORKERS[:2]
        hosts = () if same_host else (("worker-1", "10.0.0.2"),)
        here = Installation(workers=fleet.names, remote_hosts=hosts)
        async with running(api, client, fleet, installation=here) as controllers:
            config = {"clusters": [{"name": "c1", "cluster": {"server": "https://10.0.0.1:20000"}}]}
            api.create(SECRETS, secret("c1-kubeconfig", value=yaml.safe_dump(config).encode()))
            api.create(CLUSTERS, cluster())
            api.create(INFRA_CLUSTERS, infra_cluster())
            await until(lambda: KEY in fleet.clusters)
            fleet.report_listener(KEY)
            await until(lambda: api.read(INFRA_CLUSTERS, "c1").get("status", {}).get("ready"))
            controllers.drainer.wish({"worker-0": Wish.DRAINED})
            await until(lambda: KEY in fleet.on_the_way)
            assert placed(api) == "here/worker-0", "a next coordinator must look for it there"
            fleet.report_taken(KEY)
            await until(lambda: KEY not in fleet.on_the_way)
            assert placed(api) == "here/worker-1"
            host = "10.0.0.1" if same_host else "10.0.0.2"
            assert fleet.clusters[KEY][1].endpoint == f"{host}:20000"
            fleet.report_listener(KEY)
            await until(lambda: endpoint(api) == {"host": host, "port": 20000})
            assert server(api) == f"https://{host}:20000"

    scenario(use)


def placed(api: KubeApi) -> str:
    annotations: dict[str, str] = api.read(INFRA_CLUSTERS, "c1")["metadata"]["annotations"]
    return annotations[PLACEMENT_ANNOTATION]


def endpoint(api: KubeApi) -> JsonObject:
    told: JsonObject = api.read(INFRA_CLUSTERS, "c1")["spec"]["controlPlaneEndpoint"]
    return told


def server(api: KubeApi) -> str:
    text = base64.b64decode(api.read(SECRETS, "c1-kubeconfig")["data"]["value"])
    return str(yaml.safe_load(text)["clusters"][0]["cluster"]["server"])
