"""What services, budgets and claims see of pods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from capim.api.errors import APIError
from capim.api.meta import get_condition
from capim.runtime.eviction import evict
from tests.support.workloads import CONTAINER, Workloads

if TYPE_CHECKING:
    from capim.api.meta import JsonObject


def cluster(replicas: int = 2) -> Workloads:
    """Return a cluster in which the deployment `web` runs."""
    made = Workloads()
    made.node("node-a")
    ports = [{"name": "http", "containerPort": 8080}]
    made.apply_spec(
        "deployments", "web", {"containers": [CONTAINER | {"ports": ports}]}, replicas=replicas
    )
    return made


def service(world: Workloads, **spec: object) -> None:
    port = {"name": "http", "port": 80, "targetPort": "http"}
    body = {
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [port]} | spec,
    }
    world.create("services", "default", body)


def addresses(world: Workloads) -> list[str]:
    return sorted(pod["status"]["podIP"] for pod in world.all("pods"))


def of_slices(world: Workloads) -> list[JsonObject]:
    return [
        one
        for each in world.all("endpointslices", "default")
        for one in each.get("endpoints") or ()
    ]


def test_a_service_has_the_addresses_of_its_pods() -> None:
    world = cluster()
    service(world)
    (subset,) = world.get("endpoints", "web")["subsets"]
    assert [one["ip"] for one in subset["addresses"]] == addresses(world)
    assert subset["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    assert sorted(one["addresses"][0] for one in of_slices(world)) == addresses(world)
    assert {one["conditions"]["ready"] for one in of_slices(world)} == {True}
    world.change("deployments", "web", replicas=3)
    assert len(of_slices(world)) == 3
    world.change("deployments", "web", replicas=0)
    assert "subsets" not in world.get("endpoints", "web")
    assert of_slices(world) == []


def test_what_a_service_has_comes_back_and_goes_with_it() -> None:
    world = cluster()
    service(world)
    (before,) = world.names("endpointslices")
    world.delete("endpointslices", before)
    world.delete("endpoints", "web")
    assert len(of_slices(world)) == 2
    assert world.names("endpoints") == ["web"]
    world.delete("services", "web")
    assert world.names("endpointslices") == []
    assert world.names("endpoints") == []


def test_a_service_without_selector_is_left_alone() -> None:
    world = cluster()
    service(world, selector=None, clusterIP="None")
    assert world.names("endpoints") == []


def test_many_pods_need_several_slices() -> None:
    world = cluster(103)
    service(world)
    sizes = [len(one["endpoints"]) for one in world.all("endpointslices")]
    assert sorted(sizes) == [3, 100]


def budget(world: Workloads, **spec: object) -> JsonObject:
    body = {
        "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}} | spec,
    }
    world.create("poddisruptionbudgets", "default", body)
    status: JsonObject = world.get("poddisruptionbudgets", "web")["status"]
    return status


@pytest.mark.parametrize(
    ("spec", "desired", "allowed"),
    [
        pytest.param({"minAvailable": 1}, 1, 3, id="least"),
        pytest.param({"minAvailable": "60%"}, 3, 1, id="least share"),
        pytest.param({"maxUnavailable": 1}, 3, 1, id="most"),
        pytest.param({"maxUnavailable": "30%"}, 2, 2, id="most share"),
    ],
)
def test_a_budget_counts(spec: JsonObject, desired: int, allowed: int) -> None:
    world = cluster(4)
    status = budget(world, **spec)
    assert (status["expectedPods"], status["currentHealthy"]) == (4, 4)
    assert (status["desiredHealthy"], status["disruptionsAllowed"]) == (desired, allowed)
    condition = get_condition({"status": status}, "DisruptionAllowed")
    assert condition is not None
    assert (condition["status"], condition["reason"]) == ("True", "SufficientPods")


def test_an_eviction_takes_from_the_budget_until_the_pod_is_replaced() -> None:
    world = cluster(2)
    budget(world, minAvailable=1)
    first, second = world.names("pods")
    evict(world.group, "default", first, {})
    with pytest.raises(APIError) as refused:
        evict(world.group, "default", second, {})
    assert refused.value.code == 429
    world.settle()
    evict(world.group, "default", second, {})
    world.settle()
    status = world.get("poddisruptionbudgets", "web")["status"]
    assert status["currentHealthy"] == 2
    assert "disruptedPods" not in status


CLAIM = {
    "metadata": {"name": "data"},
    "spec": {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": "fast",
    },
}
USER = {
    "metadata": {"name": "user"},
    "spec": {
        "containers": [CONTAINER],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    },
}


def test_a_claim_is_bound_by_its_class_and_then_its_pod_runs() -> None:
    world = cluster(0)
    world.create("persistentvolumeclaims", "default", CLAIM)
    world.create("pods", "default", USER)
    assert world.get("pods", "user")["status"]["phase"] == "Pending"
    world.create(
        "storageclasses", "", {"metadata": {"name": "fast"}, "provisioner": "example.com/disk"}
    )
    claim = world.get("persistentvolumeclaims", "data")
    assert claim["status"]["phase"] == "Bound"
    volume = world.get("persistentvolumes", claim["spec"]["volumeName"], "")
    assert volume["status"]["phase"] == "Bound"
    assert volume["spec"]["claimRef"]["uid"] == claim["metadata"]["uid"]
    assert world.get("pods", "user")["status"]["phase"] == "Running"


def test_a_claim_goes_only_when_nobody_uses_it_and_its_volume_with_it() -> None:
    world = cluster(0)
    fast = {"metadata": {"name": "fast"}, "provisioner": "example.com/disk"}
    waiting = fast | {"volumeBindingMode": "WaitForFirstConsumer"}
    world.create("storageclasses", "", waiting)
    world.create("persistentvolumeclaims", "default", CLAIM)
    assert world.get("persistentvolumeclaims", "data")["status"]["phase"] == "Pending"
    world.create("pods", "default", USER)
    assert world.get("pods", "user")["status"]["phase"] == "Running"
    world.delete("persistentvolumeclaims", "data")
    assert world.names("persistentvolumeclaims") == ["data"]
    world.delete("pods", "user")
    assert world.names("persistentvolumeclaims") == []
    assert world.all("persistentvolumes") == []


def test_endpoints_that_a_client_wrote_are_mirrored_while_their_service_has_no_selector() -> None:
    world = cluster()
    service(world, selector=None, clusterIP="None")
    port = {"name": "http", "port": 80, "protocol": "TCP"}
    subsets = [
        {"ports": [port], "addresses": [{"ip": "10.9.9.1"}, {"ip": "fd00::1"}]},
        {"ports": [port], "notReadyAddresses": [{"ip": "10.9.9.2"}]},
    ]
    body = {"metadata": {"name": "web"}, "subsets": subsets}
    world.create("endpoints", "default", body)
    found = {
        one["addressType"]: [(e["addresses"], e["conditions"]) for e in one["endpoints"]]
        for one in world.all("endpointslices", "default")
    }
    assert found == {
        "IPv4": [(["10.9.9.1"], {"ready": True}), (["10.9.9.2"], {"ready": False})],
        "IPv6": [(["fd00::1"], {"ready": True})],
    }
    world.delete("endpoints", "web")
    assert of_slices(world) == []


def test_a_services_addresses_are_objects_that_go_with_it() -> None:
    world = cluster()
    service(world)
    (address,) = world.get("services", "web")["spec"]["clusterIPs"]
    made = world.get("ipaddresses", address, "")
    assert made["spec"]["parentRef"] == {
        "resource": "services",
        "namespace": "default",
        "name": "web",
    }
    world.delete("services", "web")
    assert address not in world.names("ipaddresses", "")


def test_an_address_that_somebody_else_named_stays() -> None:
    world = cluster()
    parent = {"resource": "services", "namespace": "default", "name": "gone"}
    world.create(
        "ipaddresses", "", {"metadata": {"name": "192.0.2.1"}, "spec": {"parentRef": parent}}
    )
    service(world, clusterIP="None")
    world.delete("services", "web")
    assert "192.0.2.1" in world.names("ipaddresses", "")
