"""The objects of a fleet as a user would write them: plain clusters without a ClusterClass. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from capim.api.meta import JsonObject

CLUSTER_NAME_LABEL = "cluster.x-k8s.io/cluster-name"


@dataclass(frozen=True, slots=True)
class FleetSpec:
    """What `capim up` creates."""

    clusters: int = 10
    control_plane_machines: int = 1
    worker_machines: int = 3
    kubernetes_version: str = "v1.31.0"
    namespace: str = "default"
    name_prefix: str = "in-memory"
    #: how long each phase takes: (startupDuration, startupJitter); an absent phase takes no time
    behaviour: tuple[tuple[str, str, str], ...] = (
        ("vm", "10s", "0.2"),
        ("node", "2s", "0.2"),
        ("apiServer", "2s", "0.2"),
        ("etcd", "2s", "0.2"),
    )


def cluster_names(fleet: FleetSpec) -> list[str]:
    """Name the fleet's clusters: `in-memory-1` and on."""
    return [f"{fleet.name_prefix}-{number}" for number in range(1, fleet.clusters + 1)]


def objects(fleet: FleetSpec, name: str) -> list[JsonObject]:
    """Return all objects of one cluster, in an order in which they can be created."""
    return [
        _template(fleet, f"{name}-control-plane", name),
        _template(fleet, f"{name}-md-0", name),
        _cluster(fleet, name),
        _object(fleet, "InMemoryCluster", name, name, {}),
        _control_plane(fleet, name),
        _deployment(fleet, name),
    ]


_API_VERSIONS = {
    "Cluster": "cluster.x-k8s.io/v1beta1",
    "MachineDeployment": "cluster.x-k8s.io/v1beta1",
    "KubeadmControlPlane": "controlplane.cluster.x-k8s.io/v1beta1",
}
_INFRASTRUCTURE = "infrastructure.cluster.x-k8s.io/v1alpha1"


def _object(
    fleet: FleetSpec, kind: str, name: str, cluster: str, spec: dict[str, Any]
) -> JsonObject:
    metadata = {
        "name": name,
        "namespace": fleet.namespace,
        "labels": {CLUSTER_NAME_LABEL: cluster},
    }
    api_version = _API_VERSIONS.get(kind, _INFRASTRUCTURE)
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}


def _reference(fleet: FleetSpec, kind: str, name: str) -> JsonObject:
    api_version = _API_VERSIONS.get(kind, _INFRASTRUCTURE)
    return {"apiVersion": api_version, "kind": kind, "name": name, "namespace": fleet.namespace}


def _template(fleet: FleetSpec, name: str, cluster: str) -> JsonObject:
    behaviour = {
        phase: {"provisioning": {"startupDuration": duration, "startupJitter": jitter}}
        for phase, duration, jitter in fleet.behaviour
    }
    spec = {"template": {"spec": {"behaviour": behaviour}}}
    return _object(fleet, "InMemoryMachineTemplate", name, cluster, spec)


def _cluster(fleet: FleetSpec, name: str) -> JsonObject:
    spec = {
        "clusterNetwork": {
            "services": {"cidrBlocks": ["10.128.0.0/12"]},
            "pods": {"cidrBlocks": ["192.168.0.0/16"]},
            "serviceDomain": "cluster.local",
        },
        "controlPlaneRef": _reference(fleet, "KubeadmControlPlane", f"{name}-control-plane"),
        "infrastructureRef": _reference(fleet, "InMemoryCluster", name),
    }
    return _object(fleet, "Cluster", name, name, spec)


def _control_plane(fleet: FleetSpec, name: str) -> JsonObject:
    template = _reference(fleet, "InMemoryMachineTemplate", f"{name}-control-plane")
    spec = {
        "replicas": fleet.control_plane_machines,
        "version": fleet.kubernetes_version,
        "machineTemplate": {"infrastructureRef": template},
    }
    return _object(fleet, "KubeadmControlPlane", f"{name}-control-plane", name, spec)


def _deployment(fleet: FleetSpec, name: str) -> JsonObject:
    template = _reference(fleet, "InMemoryMachineTemplate", f"{name}-md-0")
    spec = {
        "clusterName": name,
        "replicas": fleet.worker_machines,
        "template": {
            "spec": {
                "clusterName": name,
                "version": fleet.kubernetes_version,
                "infrastructureRef": template,
            }
        },
    }
    return _object(fleet, "MachineDeployment", f"{name}-md-0", name, spec)
