"""One cluster of a scenario: made, watched over by health checks, let suffer, and looked at."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tests.e2e.fleet import CLUSTER_LABEL, CONTROL_PLANE_LABEL, Fleet, Size

if TYPE_CHECKING:
    from tests.e2e.kube import JsonObject

_LOOK_EVERY_S: Final = 10.0
_UNHEALTHY_S: Final = "15s"
_DEPLOYMENT_LABEL: Final = "topology.cluster.x-k8s.io/deployment-name"


@dataclass
class Cluster:
    """A cluster of the quick-start class. Each is used by one thread."""

    fleet: Fleet
    name: str
    size: Size
    before: set[str] = field(default_factory=set)  #: uids of the machines there were
    looked_at: float = -math.inf

    @property
    def line(self) -> str:
        """The line of Cluster API."""
        return self.fleet.line

    def create(self, *, watched: str) -> None:
        """Come up, with a health check of `control-plane` or `workers`, or none."""
        self.fleet.create(self.name, self.size)
        self.fleet.wait_running([self.name], self.size, timeout_s=420)
        self.before = self.uids()
        if watched:
            self.fleet.kube.create(self._health_check(watched), self.fleet.namespace)

    def uids(self) -> set[str]:
        """Return the uids of the machines."""
        return self.fleet.uids(self.name)

    def workers(self) -> list[JsonObject]:
        """Return the Machines of workers."""
        return self.fleet.machines(self.name, control_plane=False)

    def objects(self, kind: str) -> list[JsonObject]:
        """Return the cluster's objects of a kind."""
        labels = f"{CLUSTER_LABEL}={self.name}"
        if kind == "Cluster":
            return [self.fleet.kube.get(kind, self.fleet.namespace, self.name)]
        return self.fleet.kube.list(kind, self.fleet.namespace, labels=labels)

    def scale(self, workers: int) -> None:
        """Ask for so many workers."""
        self.fleet.resize(
            self.name, self.fleet.size(self.size.control_planes, workers, self.size.version)
        )

    def look_again(self) -> None:
        """Change the control plane's annotations now and then, so that its controller looks at it."""
        now = time.monotonic()
        if now < self.looked_at + _LOOK_EVERY_S:
            return
        self.looked_at = now
        change = {"metadata": {"annotations": {"scenarios.capim/look": f"{now:.0f}"}}}
        for found in self.objects("KubeadmControlPlane"):
            name = found["metadata"]["name"]
            self.fleet.kube.patch("KubeadmControlPlane", self.fleet.namespace, name, change)

    def suffer(self, spec: dict[str, Any], *, on: str) -> None:
        """Declare a fault of this cluster; `on`: of one `worker` or `control-plane` machine, or all."""
        chosen: dict[str, Any] = {}
        if on:
            machines = self.fleet.machines(self.name, control_plane=on == "control-plane")
            names = sorted(machine["spec"]["infrastructureRef"]["name"] for machine in machines)
            chosen = {"machines": {"names": names[:1]}}
        body = {
            "apiVersion": "infrastructure.cluster.x-k8s.io/v1alpha1",
            "kind": "InMemoryFault",
            "metadata": {"name": self.name},
            "spec": {
                "clusters": {"names": [self.name]},
                "schedule": {"duration": "15m"},
                "seed": 1,
                **chosen,
                **spec,
            },
        }
        self.fleet.kube.create(body, self.fleet.namespace)

    def heal(self) -> None:
        """Delete the fault."""
        self.fleet.kube.delete("InMemoryFault", self.fleet.namespace, self.name)

    def wait_whole(self, workers: int) -> None:
        """Wait until the cluster is as it should be, with nothing wrong any more."""
        size = self.fleet.size(self.size.control_planes, workers, self.size.version)
        self.fleet.wait_running([self.name], size, timeout_s=420)

    def _health_check(self, watched: str) -> JsonObject:
        of_workers = {_DEPLOYMENT_LABEL: "md-0"}
        labels = of_workers if watched == "workers" else {CONTROL_PLANE_LABEL: ""}
        unhealthy = [
            {"type": "Ready", "status": status, "timeout": _UNHEALTHY_S}
            for status in ("False", "Unknown")
        ]
        return {
            "apiVersion": "cluster.x-k8s.io/v1beta1",
            "kind": "MachineHealthCheck",
            "metadata": {"name": self.name},
            "spec": {
                "clusterName": self.name,
                "selector": {"matchLabels": labels},
                "unhealthyConditions": unhealthy,
                "nodeStartupTimeout": "60s",
            },
        }
