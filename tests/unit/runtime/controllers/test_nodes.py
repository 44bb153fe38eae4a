"""Nodes: leases that are renewed when somebody looks, nodes that fall silent, and who has to leave them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from capim.api.meta import get_condition
from capim.api.workload import Simulation
from capim.runtime.controllers.tainteviction import tolerated_s
from tests.support.workloads import CONTAINER, Workloads

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.runtime.objects import WatchEvent

LEASES = "kube-node-lease"
UNREACHABLE = "node.kubernetes.io/unreachable"


def site(simulation: Simulation = Simulation.PODS) -> Workloads:
    world = Workloads(simulation)
    world.create("namespaces", "", {"metadata": {"name": LEASES}})
    world.node("node-a")
    return world


def read_lease(world: Workloads) -> str:
    lease = world.group.get(world.resource("leases"), LEASES, "node-a").json()
    return str(lease["spec"]["renewTime"])


def take_lease(world: Workloads, holder: str) -> None:
    body = world.get("leases", "node-a", LEASES)
    body["spec"] |= {"holderIdentity": holder}
    world.group.update(world.resource("leases"), LEASES, "node-a", body)
    world.settle()


def ready(world: Workloads, name: str = "node-a") -> JsonObject:
    return get_condition(world.get("nodes", name, ""), "Ready") or {}


def taints(world: Workloads, name: str = "node-a") -> list[tuple[str, str]]:
    found = world.get("nodes", name, "")["spec"].get("taints") or ()
    return [(taint["key"], taint["effect"]) for taint in found]


def post(world: Workloads, name: str, **status: str) -> None:
    node = world.get("nodes", name, "")
    made = {"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-01T00:00:00Z"} | status
    body = node | {"status": {"conditions": [made]}}
    world.group.update(world.resource("nodes"), "", name, body, subresource="status")
    world.settle()


def test_a_lease_that_is_read_has_been_renewed() -> None:
    world = site()
    assert read_lease(world) == "2023-11-14T22:13:20.000000Z"
    world.later(34)
    assert read_lease(world) == "2023-11-14T22:13:50.000000Z"


def test_leases_that_nobody_looks_at_cost_nothing() -> None:
    world = site()
    read_lease(world)
    version = world.group.resource_version
    world.later(3600)
    assert world.group.resource_version == version
    assert world.manager.next_deadline() is None


def test_a_watched_lease_is_renewed_until_the_watch_ends() -> None:
    world = site()
    seen: list[WatchEvent] = []
    group = world.group
    watch = group.watch(world.resource("leases"), LEASES, seen.append, since=group.resource_version)
    world.settle()
    world.later(35)
    assert [event.type for event in seen] == ["ADDED", "MODIFIED", "MODIFIED", "MODIFIED"]
    watch.close()
    world.later(3600)
    assert len(seen) == 4
    assert world.manager.next_deadline() is None


def test_without_a_simulation_leases_are_left_alone() -> None:
    world = site(Simulation.OFF)
    assert world.group.list(world.resource("leases"), None).items == []


def test_a_machine_whose_lease_is_taken_falls_silent_and_comes_back() -> None:
    world = site()
    read_lease(world)
    take_lease(world, "somebody")
    world.later(49)
    assert ready(world)["status"] == "True"
    world.later(2)
    assert (ready(world)["status"], ready(world)["reason"]) == ("Unknown", "NodeStatusUnknown")
    assert taints(world) == [(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")]
    take_lease(world, "node-a")
    assert (ready(world)["status"], taints(world)) == ("True", [])


def test_a_lease_that_its_holder_renews_keeps_a_node_well() -> None:
    world = site()
    read_lease(world)
    take_lease(world, "somebody")
    for second in range(12):
        world.later(10)
        take_lease(world, f"somebody-{second}")
    assert ready(world)["status"] == "True"


def test_a_node_of_a_client_is_well_while_its_status_is_posted() -> None:
    world = site()
    world.create("nodes", "", {"metadata": {"name": "theirs"}})
    post(world, "theirs")
    assert taints(world, "theirs") == []
    world.later(45)
    post(world, "theirs", lastHeartbeatTime="2026-01-01T00:00:45Z")
    world.later(45)
    assert ready(world, "theirs")["status"] == "True"
    world.later(10)
    assert ready(world, "theirs")["message"] == "Kubelet stopped posting node status."


def test_a_node_that_never_posted_anything_is_given_up_later() -> None:
    world = site()
    world.create("nodes", "", {"metadata": {"name": "theirs"}})
    world.later(59)
    assert ready(world, "theirs") == {}
    world.later(2)
    assert ready(world, "theirs")["reason"] == "NodeStatusNeverUpdated"


def test_conditions_that_a_client_writes_stay_and_have_their_taints() -> None:
    world = site()
    post(world, "node-a", status="Unknown", reason="NodeStatusUnknown")
    assert ready(world)["status"] == "Unknown"
    post(world, "node-a", status="False", reason="Broken")
    not_ready = "node.kubernetes.io/not-ready"
    assert taints(world) == [(not_ready, "NoSchedule"), (not_ready, "NoExecute")]
    world.later(600)
    assert ready(world)["reason"] == "Broken"
    node = world.get("nodes", "node-a", "")
    node["spec"] |= {"unschedulable": True}
    world.group.update(world.resource("nodes"), "", "node-a", node)
    world.settle()
    assert ("node.kubernetes.io/unschedulable", "NoSchedule") in taints(world)


def test_pods_leave_a_node_that_is_not_ready_when_their_time_is_over() -> None:
    world = site()
    for name, tolerations in (
        ("stays", [{"operator": "Exists"}]),
        ("waits", []),  # as long as it is given by default
        (
            "goes",
            [
                {
                    "key": "node.kubernetes.io/not-ready",
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": 5,
                }
            ],
        ),
    ):
        spec = {"containers": [CONTAINER], "tolerations": tolerations, "nodeName": "node-a"}
        world.create("pods", "default", {"metadata": {"name": name}, "spec": spec})
    world.settle()
    post(world, "node-a", status="False")
    world.later(4)
    assert world.names("pods") == ["goes", "stays", "waits"]
    world.later(2)
    assert world.names("pods") == ["stays", "waits"]
    world.later(300)
    assert world.names("pods") == ["stays"]


def test_pods_of_a_silent_node_are_not_ready() -> None:
    world = site()
    spec = {"containers": [CONTAINER], "nodeName": "node-a"}
    world.create("pods", "default", {"metadata": {"name": "p"}, "spec": spec})
    read_lease(world)
    world.settle()
    assert (get_condition(world.get("pods", "p"), "Ready") or {})["status"] == "True"
    take_lease(world, "somebody")
    world.later(60)
    assert (get_condition(world.get("pods", "p"), "Ready") or {})["status"] == "False"


def test_the_address_of_a_pod_of_an_earlier_life_is_taken() -> None:
    world = site()
    spec = {"containers": [CONTAINER], "nodeName": "node-a"}
    status = {"phase": "Running", "podIP": "192.168.1.2"}
    old = {"metadata": {"name": "old", "namespace": "default"}, "spec": spec, "status": status}
    world.group.create(world.resource("pods"), "default", old, keep_status=True)
    world.create("pods", "default", {"metadata": {"name": "new"}, "spec": spec})
    world.settle()
    assert world.get("pods", "new")["status"]["podIP"] == "192.168.1.3"


TAINT = {"key": "a", "effect": "NoExecute"}


@pytest.mark.parametrize(
    ("tolerations", "seconds"),
    [
        pytest.param([], 0.0, id="none"),
        pytest.param([{"key": "b", "operator": "Exists"}], 0.0, id="another"),
        pytest.param([{"key": "a", "operator": "Exists"}], float("inf"), id="for-ever"),
        pytest.param(
            [
                {"key": "a", "operator": "Exists", "tolerationSeconds": 9},
                {"operator": "Exists", "tolerationSeconds": 7},
            ],
            7.0,
            id="the-shortest",
        ),
    ],
)
def test_how_long_a_taint_is_tolerated(tolerations: list[Any], seconds: float) -> None:
    assert tolerated_s(tolerations, [TAINT]) == seconds
