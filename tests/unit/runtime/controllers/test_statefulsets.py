"""StatefulSets: order, names, claims, revisions."""

from __future__ import annotations

from typing import Any

from capim.api.workload import Simulation
from tests.support.workloads import Workloads

HELD = {"schedulerName": "nobody"}
STORAGE = {
    "metadata": {
        "name": "standard",
        "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
    },
    "provisioner": "example.com/disk",
}
CLAIM = {
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


def cluster() -> Workloads:
    made = Workloads()
    made.node("node-a")
    made.create("storageclasses", "", STORAGE)
    return made


def images(world: Workloads) -> dict[str, str]:
    return {p["metadata"]["name"]: p["spec"]["containers"][0]["image"] for p in world.all("pods")}


def with_image(world: Workloads, tag: str) -> dict[str, Any]:
    template: dict[str, Any] = world.get("statefulsets", "db")["spec"]["template"]
    template["spec"]["containers"][0]["image"] = f"nginx:{tag}"
    return template


def test_members_come_in_order_and_each_has_its_claim() -> None:
    world = cluster()
    world.apply_spec(
        "statefulsets", "db", {}, replicas=3, serviceName="db", volumeClaimTemplates=[CLAIM]
    )
    assert world.names("pods") == ["db-0", "db-1", "db-2"]
    assert world.names("persistentvolumeclaims") == ["data-db-0", "data-db-1", "data-db-2"]
    pod = world.get("pods", "db-1")
    assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("db-1", "db")
    assert pod["spec"]["volumes"][0]["persistentVolumeClaim"] == {"claimName": "data-db-1"}
    assert pod["metadata"]["labels"]["apps.kubernetes.io/pod-index"] == "1"
    status = world.get("statefulsets", "db")["status"]
    assert (status["readyReplicas"], status["currentReplicas"]) == (3, 3)
    assert status["currentRevision"] == status["updateRevision"]


def test_one_that_is_not_ready_holds_up_the_others_unless_they_are_parallel() -> None:
    world = cluster()
    world.apply_spec("statefulsets", "db", HELD, replicas=3)
    world.apply_spec("statefulsets", "par", HELD, replicas=3, podManagementPolicy="Parallel")
    assert world.names("pods") == ["db-0", "par-0", "par-1", "par-2"]
    assert world.get("statefulsets", "db")["status"]["replicas"] == 1


def test_the_last_goes_first() -> None:
    world = cluster()
    world.apply_spec("statefulsets", "db", {}, replicas=3)
    world.change("statefulsets", "db", replicas=1)
    assert world.names("pods") == ["db-0"]


def test_an_update_goes_from_the_last_to_the_partition() -> None:
    world = cluster()
    world.apply_spec("statefulsets", "db", {}, replicas=3)
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
    world.change("statefulsets", "db", template=with_image(world, "2"), updateStrategy=strategy)
    assert images(world) == {"db-0": "nginx:1", "db-1": "nginx:2", "db-2": "nginx:2"}
    status = world.get("statefulsets", "db")["status"]
    assert (status["currentReplicas"], status["updatedReplicas"]) == (1, 2)
    assert status["currentRevision"] != status["updateRevision"]
    world.delete("pods", "db-0")
    assert images(world)["db-0"] == "nginx:1"
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    world.change("statefulsets", "db", updateStrategy=strategy)
    assert set(images(world).values()) == {"nginx:2"}
    status = world.get("statefulsets", "db")["status"]
    assert status["currentRevision"] == status["updateRevision"]


def test_on_delete_waits_for_a_person() -> None:
    world = cluster()
    world.apply_spec("statefulsets", "db", {}, replicas=2, updateStrategy={"type": "OnDelete"})
    world.change("statefulsets", "db", template=with_image(world, "2"))
    assert set(images(world).values()) == {"nginx:1"}
    world.delete("pods", "db-1")
    assert images(world) == {"db-0": "nginx:1", "db-1": "nginx:2"}


def test_status_alone_counts_every_member() -> None:
    world = Workloads(Simulation.STATUS)
    world.apply_spec("statefulsets", "db", {}, replicas=2)
    status = world.get("statefulsets", "db")["status"]
    assert (status["readyReplicas"], status["updatedReplicas"]) == (2, 2)
    assert world.all("pods") == []
