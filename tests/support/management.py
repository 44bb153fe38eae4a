"""A management cluster for commands: the embedded API with a small fleet, and a manager's debug endpoint."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from capim.aio.clock import wall_clock
from capim.aio.tasks import TaskScope
from capim.cli.commandline import Where
from capim.embedded import kinds
from capim.embedded.api import EmbeddedApi
from coordinator.diagnostics import debug_application
from coordinator.httpserver import HttpServer
from coordinator.kube.leader import LEASE_NAME, LEASES
from coordinator.placement import ENDPOINT_ANNOTATION, PLACEMENT_ANNOTATION
from tests.support.fleet import FakeFleet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from capim.api.gvk import GVR
    from capim.api.meta import JsonObject
    from capim.api.resources import Resource

CAPI = "cluster.x-k8s.io/v1beta1"


@dataclass
class World:
    """The API, and how commands find it."""

    api: EmbeddedApi
    where: Where
    fleet: FakeFleet

    def put(self, gvr: GVR, body: JsonObject) -> JsonObject:
        """Create an object, status and all."""
        namespace = body["metadata"].get("namespace", "")
        resource = _resource(gvr)
        return self.api.group.create(resource, namespace, body, keep_status=True).json()

    def cluster(self, name: str, *, namespace: str = "default", **status: object) -> JsonObject:
        """Create a Cluster with its InMemoryCluster on worker-0, whose endpoint is on port 20000."""
        owner = self.put(
            kinds.CLUSTERS,
            {
                "metadata": {"name": name, "namespace": namespace},
                "status": {"phase": "Provisioned"},
            },
        )
        return self.put(
            kinds.INFRA_CLUSTERS,
            {
                "metadata": {
                    **_owned(owner, "Cluster"),
                    "labels": {"cluster.x-k8s.io/cluster-name": name},
                    "annotations": {
                        PLACEMENT_ANNOTATION: f"{self.fleet.installation}/worker-0",
                        ENDPOINT_ANNOTATION: "10.0.0.1:20000",
                    },
                },
                "spec": {"controlPlaneEndpoint": {"host": "10.0.0.1", "port": 20000}},
                "status": {"conditions": [condition("Ready")], **status},
            },
        )

    def machine(self, name: str, cluster: str, *, phase: str = "Running") -> JsonObject:
        """Create a Machine with its InMemoryMachine."""
        labels = {
            "cluster.x-k8s.io/cluster-name": cluster,
            "cluster.x-k8s.io/control-plane": "",
        }
        owner = self.put(
            kinds.MACHINES,
            {
                "metadata": {"name": name, "namespace": "default", "labels": labels},
                "spec": {"clusterName": cluster, "version": "v1.31.0", "bootstrap": {}},
                "status": {"phase": phase, "nodeRef": {"name": name}},
            },
        )
        return self.put(
            kinds.INFRA_MACHINES,
            {
                "metadata": {**_owned(owner, "Machine"), "labels": labels},
                "spec": {"providerID": f"in-memory://{name}"},
                "status": {
                    "conditions": [condition("Ready")],
                    "addresses": [{"type": "InternalIP", "address": "10.1.1.1"}],
                },
            },
        )


def condition(kind: str, status: str = "True", **fields: str) -> JsonObject:
    """Return a condition."""
    at = "2026-01-01T00:00:00Z"
    return {"type": kind, "status": status, "reason": kind, "lastTransitionTime": at, **fields}


def _owned(owner: JsonObject, kind: str) -> JsonObject:
    metadata = owner["metadata"]
    reference = {"apiVersion": CAPI, "kind": kind, "name": metadata["name"], "uid": metadata["uid"]}
    return {
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "ownerReferences": [reference],
    }


def _resource(gvr: GVR) -> Resource:
    return next(one for one in kinds.MANAGEMENT_RESOURCES if one.gvr == gvr)


@contextlib.asynccontextmanager
async def world(folder: Path, *, manager: bool = True) -> AsyncIterator[World]:
    """Serve a management cluster without clusters; `manager`: and a debug endpoint with two workers."""
    async with TaskScope() as scope:
        api = EmbeddedApi(clock=wall_clock, scope=scope)
        await api.start()
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_bytes(api.kubeconfig())
        fleet = FakeFleet(names=("worker-0", "worker-1"))
        server = HttpServer("--debug-address", "127.0.0.1:0", debug_application(fleet))
        await server.start()
        # nobody listens on port 1
        address = f"127.0.0.1:{server.port if manager else 1}"
        made = World(api, Where(str(kubeconfig), debug_address=address), fleet)
        body: JsonObject = {"metadata": {"name": LEASE_NAME, "namespace": "capim-system"}}
        fleet.installation = made.put(LEASES, body)["metadata"]["uid"]
        try:
            yield made
        finally:
            await server.stop()
            await api.stop()
