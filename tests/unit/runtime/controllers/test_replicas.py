"""ReplicaSets, ReplicationControllers, DaemonSets: how many pods, which, and where."""

from __future__ import annotations

from typing import Any

import pytest

from capim.api.meta import get_condition
from capim.api.workload import Simulation
from tests.support.workloads import CONTAINER, Workloads

HELD = {"schedulerName": "nobody"}


@pytest.mark.parametrize("plural", ["replicasets", "replicationcontrollers"])
def test_pods_follow_the_count(plural: str) -> None:
    world = Workloads()
    world.node("node-a")
    world.apply_spec(plural, "web", {}, replicas=3)
    assert world.get(plural, "web")["status"]["readyReplicas"] == 3
    world.change(plural, "web", replicas=1)
    assert len(world.all("pods")) == 1
    assert world.get(plural, "web")["status"]["replicas"] == 1
    world.change(plural, "web", replicas=0)
    assert "readyReplicas" not in world.get(plural, "web")["status"]


def test_a_deleted_pod_is_replaced() -> None:
    world = Workloads()
    world.node("node-a")
    world.apply_spec("replicasets", "web", {}, replicas=2)
    before = world.names("pods")
    world.delete("pods", before[0])
    after = world.names("pods")
    assert len(after) == 2
    assert before[0] not in after


def test_orphans_that_fit_are_taken_and_what_no_longer_fits_is_let_go() -> None:
    world = Workloads()
    world.apply_spec("replicasets", "web", HELD, replicas=2)
    pod = {
        "metadata": {"name": "lone", "labels": {"app": "web"}},
        "spec": {"containers": [CONTAINER]},
    }
    world.create("pods", "default", pod)
    assert len(world.names("pods")) == 2
    kept = world.all("pods", "default")[0]
    kept["metadata"]["labels"] = {"app": "else"}
    name = kept["metadata"]["name"]
    world.group.update(world.resource("pods"), "default", name, kept)
    world.settle()
    assert len(world.names("pods")) == 3
    assert "ownerReferences" not in world.get("pods", name)["metadata"]


def test_a_scale_down_takes_unbound_pods_first_and_the_cheap_before_the_dear() -> None:
    world = Workloads()
    world.node("node-a")
    world.apply_spec("replicasets", "web", {}, replicas=3)
    dear, cheap, _ = world.names("pods")
    for name, cost in ((dear, "10"), (cheap, "-10")):
        pod = world.get("pods", name)
        pod["metadata"]["annotations"] = {"controller.kubernetes.io/pod-deletion-cost": cost}
        world.group.update(world.resource("pods"), "default", name, pod)
    world.change("replicasets", "web", replicas=2)
    assert cheap not in world.names("pods")
    world.change("replicasets", "web", replicas=1)
    assert world.names("pods") == [dear]


def test_pods_that_cannot_be_made_are_told_and_tried_again() -> None:
    world = Workloads()
    quota = {"metadata": {"name": "few"}, "spec": {"hard": {"pods": "1"}}}
    world.create("resourcequotas", "default", quota)
    world.apply_spec("replicasets", "web", HELD, replicas=2)
    failure = get_condition(world.get("replicasets", "web"), "ReplicaFailure")
    assert failure is not None
    assert failure["reason"] == "FailedCreate"
    assert "exceeded quota" in failure["message"]
    world.delete("resourcequotas", "few")
    world.later(60)
    assert get_condition(world.get("replicasets", "web"), "ReplicaFailure") is None
    assert len(world.names("pods")) == 2


def test_a_pod_is_available_only_once_it_was_ready_for_long_enough() -> None:
    world = Workloads()
    world.node("node-a")
    world.apply_spec("replicasets", "web", {}, replicas=1, minReadySeconds=30)
    assert world.get("replicasets", "web")["status"]["readyReplicas"] == 1
    assert "availableReplicas" not in world.get("replicasets", "web")["status"]
    world.later(31)
    assert world.get("replicasets", "web")["status"]["availableReplicas"] == 1


def places(world: Workloads) -> dict[str, str]:
    return {
        pod["spec"].get("nodeName", ""): pod["spec"]["containers"][0]["image"]
        for pod in world.all("pods")
    }


def test_every_node_that_fits_has_its_daemon() -> None:
    world = Workloads()
    world.node("node-a", disk="fast")
    world.node("node-b")
    world.apply_spec("daemonsets", "agent", {"nodeSelector": {"disk": "fast"}})
    assert set(places(world)) == {"node-a"}
    world.node("node-c", disk="fast")
    world.settle()
    assert set(places(world)) == {"node-a", "node-c"}
    status = world.get("daemonsets", "agent")["status"]
    assert (status["desiredNumberScheduled"], status["numberAvailable"]) == (2, 2)
    assert "numberUnavailable" not in status
    world.delete("nodes", "node-a", "")
    world.later(40)
    assert set(places(world)) == {"node-c"}


def test_taints_keep_daemons_away_but_a_cordon_does_not() -> None:
    world = Workloads()
    world.node("node-a")
    node = world.get("nodes", "node-a", "")
    node["spec"] |= {"unschedulable": True}
    world.group.update(world.resource("nodes"), "", "node-a", node)
    world.apply_spec("daemonsets", "agent", {})
    assert set(places(world)) == {"node-a"}
    node = world.get("nodes", "node-a", "")
    node["spec"]["taints"] = [{"key": "only", "value": "gpu", "effect": "NoSchedule"}]
    world.group.update(world.resource("nodes"), "", "node-a", node)
    world.settle()
    assert places(world) == {}


def test_daemons_are_replaced_one_node_after_the_other() -> None:
    world = Workloads()
    for name in ("node-a", "node-b", "node-c"):
        world.node(name)
    world.apply_spec("daemonsets", "agent", {})
    template: dict[str, Any] = world.get("daemonsets", "agent")["spec"]["template"]
    template["spec"]["containers"][0]["image"] = "nginx:2"
    counted: list[int] = []
    watch = world.group.watch(
        world.resource("daemonsets"),
        None,
        lambda event: counted.append(event.stored.json()["status"].get("numberAvailable", 0)),
        since=world.group.resource_version,
    )
    world.change("daemonsets", "agent", template=template)
    watch.close()
    assert min(counted) >= 2
    assert set(places(world).values()) == {"nginx:2"}
    revisions = [one["revision"] for one in world.all("controllerrevisions")]
    assert sorted(revisions) == [1, 2]
    status = world.get("daemonsets", "agent")["status"]
    assert (status["observedGeneration"], status["updatedNumberScheduled"]) == (2, 3)


def test_daemons_without_pods_are_counted_at_once_and_then_a_few_times_a_second() -> None:
    world = Workloads(Simulation.STATUS)
    world.apply_spec("daemonsets", "agent", {})
    world.clock.advance(1.0)
    for name in ("node-a", "node-b", "node-c"):
        world.node(name)
        world.settle()

    def counted() -> int:
        status = world.get("daemonsets", "agent")["status"]
        return int(status["desiredNumberScheduled"])

    assert counted() == 1
    world.later(0.1)
    assert counted() == 3
    world.later(0.1)
    assert world.manager.next_deadline() is None
