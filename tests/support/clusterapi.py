"""Cluster API's and our own objects as tests need them: valid, small, with what a case is about changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from capim.api import infrastructure as infra
from capim.api.gvk import NamespacedName

if TYPE_CHECKING:
    from capim.api.meta import JsonObject

KEY = NamespacedName("default", "c1")
CREATED = "2023-11-14T22:00:00Z"


def obj(api_version: str, kind: str, name: str, **parts: Any) -> JsonObject:
    """Build an object; `metadata` is added to what every object has."""
    metadata = {
        "namespace": "default",
        "name": name,
        "uid": f"{kind}-{name}",
        "resourceVersion": "1",
        "creationTimestamp": CREATED,
        **parts.pop("metadata", {}),
    }
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **parts}


def owned_by(kind: str, name: str) -> JsonObject:
    """Return the metadata of an object that belongs to cluster `c1` and is owned by this."""
    return {
        "labels": {infra.CLUSTER_NAME_LABEL: "c1"},
        "ownerReferences": [
            {
                "apiVersion": "cluster.x-k8s.io/v1beta1",
                "kind": kind,
                "name": name,
                "uid": f"{kind}-{name}",
            }
        ],
    }


def cluster(*, ready: bool = True, initialized: bool = True, **spec: Any) -> JsonObject:
    """Build Cluster `c1`, in the v1beta1 shape."""
    conditions = [{"type": "ControlPlaneInitialized", "status": "True"}] if initialized else []
    return obj(
        "cluster.x-k8s.io/v1beta1",
        "Cluster",
        "c1",
        spec={"infrastructureRef": {"kind": infra.CLUSTER_KIND, "name": "c1"}, **spec},
        status={"infrastructureReady": ready, "conditions": conditions},
    )


def machine(
    name: str = "m1", *, control_plane: bool = False, bootstrapped: bool = True, **spec: Any
) -> JsonObject:
    """Build a Machine of cluster `c1`."""
    labels = {infra.CLUSTER_NAME_LABEL: "c1"}
    if control_plane:
        labels[infra.CONTROL_PLANE_LABEL] = ""
    bootstrap = {"dataSecretName": f"{name}-data"} if bootstrapped else {}
    reference = {"kind": infra.MACHINE_KIND, "name": name}
    return obj(
        "cluster.x-k8s.io/v1beta1",
        "Machine",
        name,
        metadata={"labels": labels},
        spec={
            "version": "v1.30.0",
            "bootstrap": bootstrap,
            "infrastructureRef": reference,
            **spec,
        },
    )


def infra_cluster(name: str = "c1", **parts: Any) -> JsonObject:
    """Build the InMemoryCluster of cluster `c1`."""
    metadata = {**owned_by("Cluster", "c1"), **parts.pop("metadata", {})}
    return obj(infra.API_VERSION, infra.CLUSTER_KIND, name, metadata=metadata, **parts)


def infra_machine(name: str = "m1", **parts: Any) -> JsonObject:
    """Build an InMemoryMachine of cluster `c1`, which has its finalizer already."""
    metadata = {
        **owned_by("Machine", name),
        "finalizers": [infra.MACHINE_FINALIZER],
        **parts.pop("metadata", {}),
    }
    return obj(infra.API_VERSION, infra.MACHINE_KIND, name, metadata=metadata, **parts)


def condition(kind: str, status: str, reason: str, at: str = CREATED) -> JsonObject:
    """Build a condition."""
    return {"type": kind, "status": status, "reason": reason, "lastTransitionTime": at}


def machine_pool(
    replicas: int | None = 2, *, bootstrapped: bool = True, version: str = "v1.30.0", **spec: Any
) -> JsonObject:
    """Build MachinePool `p1` of cluster `c1`."""
    template = {
        "version": version,
        "bootstrap": {"dataSecretName": "p1-data"} if bootstrapped else {},
        "infrastructureRef": {"kind": infra.MACHINE_POOL_KIND, "name": "p1"},
    }
    return obj(
        "cluster.x-k8s.io/v1beta1",
        "MachinePool",
        "p1",
        metadata={"labels": {infra.CLUSTER_NAME_LABEL: "c1"}},
        spec={
            **({} if replicas is None else {"replicas": replicas}),
            "template": {"spec": template},
            **spec,
        },
    )


def infra_pool(**parts: Any) -> JsonObject:
    """Build the InMemoryMachinePool of MachinePool `p1`, which has its finalizer already."""
    metadata = {
        **owned_by("MachinePool", "p1"),
        "finalizers": [infra.MACHINE_POOL_FINALIZER],
        **parts.pop("metadata", {}),
    }
    return obj(infra.API_VERSION, infra.MACHINE_POOL_KIND, "p1", metadata=metadata, **parts)
