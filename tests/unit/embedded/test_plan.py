"""In scope: the order in which the stand-in brings a cluster up. Out: HTTP, certificates, etcd.

A small world applies the plans as the management API would and plays the provider where a test says so.
"""

from __future__ import annotations

from itertools import count
from typing import Any

from capim.api.gvk import GVR
from capim.api.meta import JsonObject
from capim.embedded import kinds
from capim.embedded.fleet import FleetSpec, objects
from capim.embedded.standin.plan import plan
from capim.embedded.standin.snapshot import (
    Action,
    CheckEtcd,
    Create,
    CreateAuthorities,
    Delete,
    Patch,
    Snapshot,
    WatchNodes,
    WorkloadFacts,
)
from capim.wire.patch import merge_patch

GVR_OF = {resource.kind: resource.gvr for resource in kinds.MANAGEMENT_RESOURCES}


class World:
    """One cluster's objects, changed by plans."""

    def __init__(self, fleet: FleetSpec) -> None:
        self._uids = count(1)
        self.objects: dict[tuple[GVR, str], JsonObject] = {}
        self.facts = WorkloadFacts()
        for body in objects(fleet, "c"):
            self.add(GVR_OF[body["kind"]], body)

    def add(self, gvr: GVR, body: JsonObject) -> None:
        number = next(self._uids)
        metadata = {"uid": f"u{number}", "creationTimestamp": f"2026-01-01T00:00:{number:02}Z"}
        name = body["metadata"]["name"]
        assert (gvr, name) not in self.objects
        self.objects[gvr, name] = {**body, "metadata": {**body["metadata"], **metadata}}

    def of(self, gvr: GVR) -> dict[str, JsonObject]:
        return {name: obj for (one, name), obj in self.objects.items() if one == gvr}

    def change(self, gvr: GVR, name: str, patch: JsonObject) -> None:
        self.objects[gvr, name] = merge_patch(self.objects[gvr, name], patch)

    def plan(self) -> list[Action]:
        (control_plane,) = self.of(kinds.CONTROL_PLANES).values()
        return plan(
            Snapshot(
                cluster=self.of(kinds.CLUSTERS)["c"],
                infra=self.of(kinds.INFRA_CLUSTERS)["c"],
                control_plane=control_plane,
                deployments=list(self.of(kinds.MACHINE_DEPLOYMENTS).values()),
                machines=list(self.of(kinds.MACHINES).values()),
                infra_machines=self.of(kinds.INFRA_MACHINES),
                templates=self.of(kinds.INFRA_TEMPLATES),
                secrets=frozenset(self.of(kinds.SECRETS)),
                facts=self.facts,
                now=1_700_000_000.0,
            )
        )

    def settle(self) -> set[str]:
        """Apply plans until they only look at the workload cluster; return what they look at."""
        for _ in range(20):
            looks = set[str]()
            changed = False
            for action in self.plan():
                changed |= self._apply(action, looks)
            if not changed:
                return looks
        raise AssertionError("plans do not come to rest")

    def _apply(self, action: Action, looks: set[str]) -> bool:
        match action:
            case Create():
                self.add(action.gvr, action.body)
            case Patch():
                self.change(action.gvr, action.name, action.patch)
            case Delete():
                del self.objects[action.gvr, action.name]
            case CreateAuthorities():
                self.add(kinds.SECRETS, {"metadata": {"name": "c-kubeconfig"}})
            case WatchNodes():
                looks.add("nodes")
                return False
            case CheckEtcd():
                looks.add(action.node)
                return False
        return True

    def machines(self) -> dict[str, Any]:
        return {
            name: obj["status"]["phase"] for name, obj in sorted(self.of(kinds.MACHINES).items())
        }

    # --- the provider's part ---

    def provision_cluster(self) -> None:
        endpoint = {"controlPlaneEndpoint": {"host": "127.0.0.1", "port": 20000}}
        self.change(kinds.INFRA_CLUSTERS, "c", {"spec": endpoint, "status": {"ready": True}})

    def provision(self, name: str) -> None:
        serving = {"type": "APIServerProvisioned", "status": "True"}
        spec = {"providerID": f"in-memory://{name}"}
        status = {"ready": True, "conditions": [serving]}
        self.change(kinds.INFRA_MACHINES, name, {"spec": spec, "status": status})

    def join(self, name: str, *, healthy: bool = True) -> None:
        self.facts.nodes[f"in-memory://{name}"] = name
        if healthy:
            self.facts.healthy_members.add(name)


FLEET = FleetSpec(control_plane_machines=3, worker_machines=2)
FIRST, SECOND, THIRD = (f"c-control-plane-{number}" for number in range(3))


def test_control_plane_waits_for_the_endpoint_and_workers_for_the_control_plane() -> None:
    world = World(FLEET)
    world.settle()
    assert world.machines() == {"c-md-0-0": "Pending", "c-md-0-1": "Pending"}
    world.provision_cluster()
    world.settle()
    assert world.machines() == {
        FIRST: "Provisioning",
        "c-md-0-0": "Pending",
        "c-md-0-1": "Pending",
    }


def test_the_second_machine_joins_only_a_healthy_first() -> None:
    world = World(FLEET)
    world.provision_cluster()
    world.settle()
    world.provision(FIRST)
    assert world.settle() == {"nodes"}
    world.join(FIRST, healthy=False)
    assert world.settle() == {"nodes", FIRST}
    assert world.machines()[FIRST] == "Running"
    assert SECOND not in world.machines()
    world.join(FIRST)
    world.settle()
    assert world.machines() == {
        FIRST: "Running",
        SECOND: "Provisioning",
        "c-md-0-0": "Provisioning",
        "c-md-0-1": "Provisioning",
    }


def complete(world: World) -> None:
    world.provision_cluster()
    for name in (FIRST, SECOND, THIRD):
        world.settle()
        world.provision(name)
        world.join(name)
    world.settle()
    for name in ("c-md-0-0", "c-md-0-1"):
        world.provision(name)
        world.join(name)
    world.settle()


def test_a_complete_cluster_needs_nothing_more() -> None:
    world = World(FLEET)
    complete(world)
    assert set(world.machines().values()) == {"Running"}
    assert world.plan() == []
    cluster = world.of(kinds.CLUSTERS)["c"]["status"]
    assert (cluster["phase"], cluster["controlPlaneReady"]) == ("Provisioned", True)
    (deployment,) = world.of(kinds.MACHINE_DEPLOYMENTS).values()
    assert deployment["status"] == {"replicas": 2, "readyReplicas": 2, "phase": "Running"}


def test_scaling_down_takes_the_newest() -> None:
    world = World(FLEET)
    complete(world)
    world.change(kinds.CONTROL_PLANES, "c-control-plane", {"spec": {"replicas": 1}})
    world.change(kinds.MACHINE_DEPLOYMENTS, "c-md-0", {"spec": {"replicas": 1}})
    world.settle()
    assert set(world.machines()) == {FIRST, "c-md-0-0"}


def test_a_machine_that_was_deleted_is_replaced_under_its_free_name() -> None:
    world = World(FLEET)
    complete(world)
    for gvr in (kinds.MACHINES, kinds.INFRA_MACHINES):
        del world.objects[gvr, "c-md-0-0"]
    world.settle()
    assert set(world.machines()) == {FIRST, SECOND, THIRD, "c-md-0-0", "c-md-0-1"}
    (node_gone,) = [name for name, phase in world.machines().items() if phase != "Running"]
    assert node_gone == "c-md-0-0"


def test_every_machine_is_owned_so_that_it_goes_with_its_cluster() -> None:
    world = World(FLEET)
    complete(world)
    owned = [*world.of(kinds.MACHINES).values(), *world.of(kinds.INFRA_MACHINES).values()]
    owned += [*world.of(kinds.CONTROL_PLANES).values(), *world.of(kinds.INFRA_CLUSTERS).values()]
    assert all(obj["metadata"]["ownerReferences"] for obj in owned)
