"""A cluster's resource group with its controllers, and the words tests use about workloads."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from capim.aio.clock import ManualClock
from capim.api.resources import WORKLOAD_RESOURCES
from capim.api.workload import Simulation
from capim.runtime.controllers.manager import ControllerManager
from capim.runtime.kinds.rules import BuiltinRules
from capim.runtime.resourcegroup import ResourceGroup

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.api.resources import Resource

CONTAINER = {"name": "main", "image": "nginx:1"}
#: more than any controller may need to come to rest
_ROUNDS = 200


class Workloads:
    """A group whose controllers have done all they can whenever a test looks."""

    def __init__(self, simulation: Simulation = Simulation.PODS) -> None:
        self.clock = ManualClock(1_700_000_000.0)
        uids = itertools.count(1)
        self.group = ResourceGroup(
            WORKLOAD_RESOURCES,
            clock=self.clock,
            new_uid=lambda: f"uid-{next(uids)}",
            first_version=1000,
            rules=BuiltinRules(service_cidr="10.0.0.0/16"),
            kubelets=simulation is Simulation.PODS,
        )
        self.root_ca = "certificate"
        self.manager = ControllerManager(self.group, simulation, root_ca=lambda: self.root_ca)
        self.wakes = 0
        self.manager.wake = self._wake
        self.create("namespaces", "", {"metadata": {"name": "default"}})

    def _wake(self) -> None:
        self.wakes += 1

    def resource(self, plural: str) -> Resource:
        """Return a row of the table of served kinds."""
        return next(one for one in WORKLOAD_RESOURCES if one.plural == plural)

    def settle(self) -> None:
        """Run the controllers until nothing is due now."""
        for _ in range(_ROUNDS):
            deadline = self.manager.next_deadline()
            if deadline is None or deadline > self.clock():
                return
            self.manager.run()
        raise AssertionError("the controllers never come to rest")

    def later(self, seconds: float) -> None:
        """Let time pass, and all that happens in it happen at its time."""
        end = self.clock() + seconds
        self.settle()
        while (deadline := self.manager.next_deadline()) is not None and deadline <= end:
            self.clock.now = max(self.clock.now, deadline)
            self.settle()
        self.clock.now = end

    def create(self, plural: str, namespace: str, body: JsonObject) -> JsonObject:
        """Make an object and let the controllers see to it."""
        made = self.group.create(self.resource(plural), namespace, body).json()
        self.settle()
        return made

    def change(self, plural: str, name: str, **spec: Any) -> JsonObject:
        """Change fields of an object's spec, as a client does."""
        body = self.get(plural, name)
        body["spec"] |= spec
        made = self.group.update(self.resource(plural), "default", name, body).json()
        self.settle()
        return made

    def delete(self, plural: str, name: str, namespace: str = "default") -> None:
        """Delete an object."""
        self.group.delete(self.resource(plural), namespace, name)
        self.settle()

    def get(self, plural: str, name: str, namespace: str = "default") -> JsonObject:
        """Return an object that is there."""
        return self.group.get(self.resource(plural), namespace, name).json()

    def all(self, plural: str, namespace: str | None = None) -> list[JsonObject]:
        """Return the objects of a kind."""
        return [one.json() for one in self.group.list(self.resource(plural), namespace).items]

    def names(self, plural: str, namespace: str | None = "default") -> list[str]:
        """Return the names of the objects of a kind."""
        return [one["metadata"]["name"] for one in self.all(plural, namespace)]

    def node(self, name: str, **labels: str) -> JsonObject:
        """Let a simulated machine's Node be there, ready."""
        octet = len(self.all("nodes")) + 1
        return self.group.create(
            self.resource("nodes"),
            "",
            {
                "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name} | labels},
                "spec": {"providerID": f"in-memory://{name}", "podCIDR": f"192.168.{octet}.0/24"},
                "status": {
                    "addresses": [{"type": "InternalIP", "address": f"10.0.0.{octet}"}],
                    "allocatable": {"pods": "110"},
                    "conditions": [{"type": "Ready", "status": "True"}],
                },
            },
            keep_status=True,
        ).json()

    def apply_spec(self, plural: str, name: str, template: JsonObject, **spec: Any) -> JsonObject:
        """Make a workload whose pods have the label `app` and this pod spec."""
        labels = {"app": name}
        selector: JsonObject = {"matchLabels": labels}
        if plural == "replicationcontrollers":
            selector = labels
        pod = {"metadata": {"labels": labels}, "spec": {"containers": [CONTAINER]} | template}
        body = {
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"selector": selector, "template": pod} | spec,
        }
        return self.create(plural, "default", body)
