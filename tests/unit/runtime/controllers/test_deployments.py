"""Rollouts as kubectl and GitOps controllers look at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capim.api.meta import get_condition
from capim.api.workload import Simulation
from tests.support.workloads import CONTAINER, Workloads

if TYPE_CHECKING:
    from capim.api.meta import JsonObject

HELD = {"schedulerName": "nobody"}  # pods that nobody binds


def cluster() -> Workloads:
    """Return a cluster with two nodes."""
    made = Workloads()
    made.node("node-a")
    made.node("node-b")
    return made


def image(tag: str, **spec: object) -> JsonObject:
    return {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [CONTAINER | {"image": f"nginx:{tag}"}]} | spec,
    }


def reasons(deployment: JsonObject) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c["reason"]) for c in deployment["status"]["conditions"]}


def sizes(cluster: Workloads) -> dict[str, int]:
    """Return revision -> replicas."""
    return {
        one["metadata"]["annotations"]["deployment.kubernetes.io/revision"]: one["spec"]["replicas"]
        for one in cluster.all("replicasets")
    }


def test_a_deployment_comes_up_whole() -> None:
    world = cluster()
    world.apply_spec("deployments", "web", {}, replicas=3)
    deployment = world.get("deployments", "web")
    assert reasons(deployment) == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }
    assert {k: v for k, v in deployment["status"].items() if k != "conditions"} == {
        "observedGeneration": 1,
        "replicas": 3,
        "updatedReplicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 3,
        "terminatingReplicas": 0,
    }
    assert deployment["metadata"]["generation"] == 1
    assert deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    (replica_set,) = world.all("replicasets")
    digest = replica_set["metadata"]["labels"]["pod-template-hash"]
    assert replica_set["metadata"]["name"] == f"web-{digest}"
    assert replica_set["spec"]["selector"]["matchLabels"] == {
        "app": "web",
        "pod-template-hash": digest,
    }
    pods = world.all("pods", "default")
    assert [pod["status"]["phase"] for pod in pods] == ["Running"] * 3
    assert {pod["spec"]["nodeName"] for pod in pods} == {"node-a", "node-b"}
    assert len({pod["status"]["podIP"] for pod in pods}) == 3
    world.group.validate()


def test_without_nodes_pods_wait_and_say_why() -> None:
    world = Workloads()
    world.apply_spec("deployments", "web", {}, replicas=1)
    assert reasons(world.get("deployments", "web"))["Available"][0] == "False"
    (pod,) = world.all("pods")
    scheduled = get_condition(pod, "PodScheduled")
    assert scheduled is not None
    assert scheduled["reason"] == "Unschedulable"
    world.node("node-a")
    world.settle()
    assert world.all("pods")[0]["status"]["phase"] == "Running"
    assert reasons(world.get("deployments", "web"))["Available"][0] == "True"


def test_a_rolling_update_never_falls_below_what_it_may() -> None:
    world = cluster()
    world.apply_spec("deployments", "web", {}, replicas=4)
    counted: list[int] = []

    def count(_: object) -> None:
        phases = [pod.get("status", {}).get("phase") for pod in world.all("pods")]
        counted.append(phases.count("Running"))

    watch = world.group.watch(
        world.resource("pods"), None, count, since=world.group.resource_version
    )
    world.change("deployments", "web", template=image("2"))
    watch.close()
    assert min(counted) >= 3
    assert max(counted) <= 5
    assert sizes(world) == {"1": 0, "2": 4}
    assert {pod["spec"]["containers"][0]["image"] for pod in world.all("pods")} == {"nginx:2"}
    assert world.get("deployments", "web")["status"]["observedGeneration"] == 2


def test_a_template_that_was_before_gets_its_replica_set_back_under_a_new_revision() -> None:
    world = cluster()
    world.apply_spec("deployments", "web", {}, replicas=2)
    first = world.get("deployments", "web")["spec"]["template"]
    world.change("deployments", "web", template=image("2"))
    world.change("deployments", "web", template=first)
    assert sizes(world) == {"2": 0, "3": 2}
    newest = next(one for one in world.all("replicasets") if one["spec"]["replicas"])
    annotations = newest["metadata"]["annotations"]
    assert annotations["deployment.kubernetes.io/revision-history"] == "1"


def test_a_rollout_that_cannot_go_on_keeps_the_old_pods_and_is_given_up() -> None:
    world = cluster()
    world.apply_spec("deployments", "web", {}, replicas=4, progressDeadlineSeconds=60)
    world.change("deployments", "web", template=image("2", **HELD))
    assert sizes(world) == {"1": 3, "2": 2}
    assert reasons(world.get("deployments", "web"))["Progressing"] == ("True", "ReplicaSetUpdated")
    world.later(62)
    assert reasons(world.get("deployments", "web"))["Progressing"] == (
        "False",
        "ProgressDeadlineExceeded",
    )


def test_recreate_lets_every_old_pod_go_first() -> None:
    world = cluster()
    world.apply_spec("deployments", "web", {}, replicas=2, strategy={"type": "Recreate"})
    seen: list[set[str]] = []

    def look(_: object) -> None:
        seen.append({pod["spec"]["containers"][0]["image"] for pod in world.all("pods")})

    watch = world.group.watch(
        world.resource("pods"), None, look, since=world.group.resource_version
    )
    world.change("deployments", "web", template=image("2"))
    watch.close()
    assert {"nginx:1", "nginx:2"} not in seen
    assert sizes(world) == {"1": 0, "2": 2}


def test_a_paused_deployment_scales_but_rolls_nothing_out() -> None:
    world = cluster()
    world.apply_spec("deployments", "web", {}, replicas=1)
    world.change("deployments", "web", paused=True)
    world.change("deployments", "web", template=image("2"), replicas=3)
    assert sizes(world) == {"1": 3}
    assert reasons(world.get("deployments", "web"))["Progressing"] == (
        "Unknown",
        "DeploymentPaused",
    )
    world.change("deployments", "web", paused=False)
    assert sizes(world) == {"1": 0, "2": 3}
    assert reasons(world.get("deployments", "web"))["Progressing"] == (
        "True",
        "NewReplicaSetAvailable",
    )


def test_scaling_in_the_midst_of_a_rollout_is_shared() -> None:
    world = cluster()
    rolling = {"rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}
    world.apply_spec("deployments", "web", {}, replicas=10, strategy=rolling)
    world.change("deployments", "web", template=image("2", **HELD))
    assert sizes(world) == {"1": 8, "2": 5}
    world.change("deployments", "web", replicas=15)
    assert sum(sizes(world).values()) == 18
    assert sizes(world)["1"] == 11


def test_old_replica_sets_beyond_the_limit_go() -> None:
    world = cluster()
    world.apply_spec("deployments", "web", {}, replicas=1, revisionHistoryLimit=1)
    for tag in ("2", "3", "4"):
        world.change("deployments", "web", template=image(tag))
    assert sizes(world) == {"3": 0, "4": 1}


def test_status_alone_says_what_the_spec_asks_for() -> None:
    world = Workloads(Simulation.STATUS)
    world.apply_spec("deployments", "web", {}, replicas=3)
    assert world.get("deployments", "web")["status"]["availableReplicas"] == 3
    assert reasons(world.get("deployments", "web"))["Available"][0] == "True"
    assert world.all("pods") == []


def test_a_deleted_deployment_takes_everything_along() -> None:
    world = cluster()
    world.apply_spec("deployments", "web", {}, replicas=2)
    world.delete("deployments", "web")
    assert world.all("replicasets") == []
    assert world.all("pods") == []
