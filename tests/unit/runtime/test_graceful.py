"""Pods are given time to end: by whom, how long, and who may shorten it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from capim.api.workload import Simulation
from capim.runtime.objects import DeleteOptions
from tests.support.workloads import CONTAINER, Workloads

if TYPE_CHECKING:
    from capim.runtime.objects import WatchEvent


def world_with_pod(node: str = "far-away", **metadata: Any) -> Workloads:
    world = Workloads()
    world.create(
        "pods",
        "default",
        {
            "metadata": {"name": "p"} | metadata,
            "spec": {"nodeName": node, "containers": [CONTAINER], "schedulerName": "none"},
        },
    )
    return world


def delete(world: Workloads, seconds: int | None = None) -> bool:
    options = DeleteOptions(grace_s=seconds)
    return world.group.delete(world.resource("pods"), "default", "p", options)[1]


def given(world: Workloads) -> tuple[int, str]:
    metadata = world.get("pods", "p")["metadata"]
    return metadata["deletionGracePeriodSeconds"], metadata["deletionTimestamp"]


def test_a_bound_pod_stays_until_somebody_ends_it() -> None:
    world = world_with_pod()
    assert not delete(world)
    assert given(world) == (30, "2023-11-14T22:13:50Z")
    assert world.get("pods", "p")["metadata"]["generation"] == 2
    assert delete(world, 0)
    assert world.names("pods") == []


def test_time_is_shortened_and_never_made_longer() -> None:
    world = world_with_pod()
    delete(world, 20)
    version = world.group.resource_version
    delete(world, 25)
    delete(world)
    assert world.group.resource_version == version
    delete(world, 5)
    assert given(world) == (5, "2023-11-14T22:13:25Z")
    world.later(10)
    delete(world, 2)  # its time is over: what is left is the least there is
    assert given(world) == (1, "2023-11-14T22:13:30Z")


@pytest.mark.parametrize(
    ("node", "phase"), [pytest.param("", "Pending", id="unbound"), ("far-away", "Succeeded")]
)
def test_what_no_kubelet_has_goes_at_once(node: str, phase: str) -> None:
    world = world_with_pod(node)
    status = {"status": {"phase": phase}}
    world.group.update(
        world.resource("pods"),
        "default",
        "p",
        world.get("pods", "p") | status,
        subresource="status",
    )
    assert delete(world)


def test_watchers_hear_that_a_pod_is_to_go_before_it_goes() -> None:
    world = world_with_pod("")
    seen: list[WatchEvent] = []
    group = world.group
    group.watch(world.resource("pods"), None, seen.append, since=group.resource_version)
    delete(world)
    assert [event.type for event in seen] == ["MODIFIED", "DELETED"]
    assert seen[1].stored.json()["metadata"]["deletionGracePeriodSeconds"] == 0


def test_finalizers_hold_a_pod_that_has_had_its_time() -> None:
    world = world_with_pod(finalizers=["example.com/held"])
    delete(world)
    assert not delete(world, 0)
    assert given(world)[0] == 0
    body = world.get("pods", "p")
    del body["metadata"]["finalizers"]
    world.group.update(world.resource("pods"), "default", "p", body)
    assert world.names("pods") == []


def test_a_finalizer_that_goes_does_not_end_a_pod_before_its_time() -> None:
    world = world_with_pod(finalizers=["example.com/held"])
    delete(world)
    body = world.get("pods", "p")
    del body["metadata"]["finalizers"]
    world.group.update(world.resource("pods"), "default", "p", body)
    assert world.names("pods") == ["p"]


def test_kubelets_of_simulated_machines_end_their_pods() -> None:
    world = Workloads()
    world.node("node-a")
    body = {"metadata": {"name": "p"}, "spec": {"nodeName": "node-a", "containers": [CONTAINER]}}
    world.create("pods", "default", body)
    assert not delete(world)
    world.settle()
    assert world.names("pods") == []


def test_without_kubelets_nothing_waits_for_one() -> None:
    world = Workloads(Simulation.STATUS)
    body = {"metadata": {"name": "p"}, "spec": {"nodeName": "node-a", "containers": [CONTAINER]}}
    world.create("pods", "default", body)
    assert delete(world)


def test_pods_wait_a_while_for_a_node_that_may_yet_come() -> None:
    world = world_with_pod()
    world.later(39)
    assert world.names("pods") == ["p"]
    world.later(1)
    assert world.names("pods") == []
