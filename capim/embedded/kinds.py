"""The kinds the embedded management API serves: what Cluster API infrastructure needs, by hand.

Our own kinds come from `crds/`; their schemas are checked and defaulted by `admission`.
"""

from __future__ import annotations

from typing import Final

from capim.api.gvk import GVR
from capim.api.infrastructure import KINDS
from capim.api.resources import (
    WORKLOAD_RESOURCES,
    PrinterColumn,
    Resource,
    ResourceTable,
    Subresource,
)

CLUSTERS: Final = GVR("cluster.x-k8s.io", "v1beta1", "clusters")
MACHINES: Final = GVR("cluster.x-k8s.io", "v1beta1", "machines")
MACHINE_POOLS: Final = GVR("cluster.x-k8s.io", "v1beta1", "machinepools")
MACHINE_DEPLOYMENTS: Final = GVR("cluster.x-k8s.io", "v1beta1", "machinedeployments")
CONTROL_PLANES: Final = GVR("controlplane.cluster.x-k8s.io", "v1beta1", "kubeadmcontrolplanes")
SECRETS: Final = GVR("", "v1", "secrets")
NODES: Final = GVR("", "v1", "nodes")
INFRA_CLUSTERS: Final = GVR("infrastructure.cluster.x-k8s.io", "v1alpha1", "inmemoryclusters")
INFRA_MACHINES: Final = GVR("infrastructure.cluster.x-k8s.io", "v1alpha1", "inmemorymachines")
INFRA_POOLS: Final = GVR("infrastructure.cluster.x-k8s.io", "v1alpha1", "inmemorymachinepools")
FAULTS: Final = GVR("infrastructure.cluster.x-k8s.io", "v1alpha1", "inmemoryfaults")
INFRA_TEMPLATES: Final = GVR(
    "infrastructure.cluster.x-k8s.io", "v1alpha1", "inmemorymachinetemplates"
)

#: Built-in kinds a provider, kubectl and a person use in a management cluster.
_BUILT_IN: Final = (
    GVR("", "v1", "namespaces"),
    SECRETS,
    GVR("", "v1", "configmaps"),
    GVR("", "v1", "events"),
    GVR("", "v1", "serviceaccounts"),
    GVR("coordination.k8s.io", "v1", "leases"),
)


#: What Cluster API's own definitions print, contract v1beta1.
_AGE: Final = PrinterColumn("Age", ".metadata.creationTimestamp", "date", "Since its creation")
_CLUSTER: Final = PrinterColumn("Cluster", ".spec.clusterName", description="Its cluster")
_PHASE: Final = PrinterColumn("Phase", ".status.phase", description="How far it has come")
_REPLICAS: Final = (
    PrinterColumn("Desired", ".spec.replicas", "integer", "Machines that are wanted", priority=10),
    PrinterColumn("Replicas", ".status.replicas", "integer", "Machines that exist"),
    PrinterColumn("Ready", ".status.readyReplicas", "integer", "Machines that are ready"),
    PrinterColumn("Updated", ".status.updatedReplicas", "integer", "Machines of the present form"),
    PrinterColumn("Unavailable", ".status.unavailableReplicas", "integer", "Machines missing"),
)
_COLUMNS: Final = {
    "Cluster": (
        PrinterColumn("ClusterClass", ".spec.topology.class", description="What it is made from"),
        _PHASE,
        _AGE,
        PrinterColumn("Version", ".spec.topology.version", description="Kubernetes version"),
    ),
    "Machine": (
        _CLUSTER,
        PrinterColumn("NodeName", ".status.nodeRef.name", description="Its node"),
        PrinterColumn("ProviderID", ".spec.providerID", description="Its provider ID"),
        _PHASE,
        _AGE,
        PrinterColumn("Version", ".spec.version", description="Kubernetes version"),
    ),
    "MachineDeployment": (
        _CLUSTER,
        *_REPLICAS,
        _PHASE,
        _AGE,
        PrinterColumn("Version", ".spec.template.spec.version", description="Kubernetes version"),
    ),
    "MachinePool": (
        _CLUSTER,
        *_REPLICAS[:2],
        _PHASE,
        _AGE,
        PrinterColumn("Version", ".spec.template.spec.version", description="Kubernetes version"),
    ),
    "KubeadmControlPlane": (
        PrinterColumn(
            "Cluster",
            r".metadata.labels['cluster\.x-k8s\.io/cluster-name']",
            description="Its cluster",
        ),
        PrinterColumn("Initialized", ".status.initialized", "boolean", "kubeadm has begun it"),
        PrinterColumn("API Server Available", ".status.ready", "boolean", "It takes requests"),
        *_REPLICAS,
        _AGE,
        PrinterColumn("Version", ".spec.version", description="Kubernetes version"),
    ),
}


def _columns(kind: str) -> tuple[PrinterColumn, ...]:
    """Return what is printed of a kind: Cluster API's from here, ours from their description."""
    if kind not in KINDS:
        return _COLUMNS[kind]
    return tuple(
        PrinterColumn(one.name, one.json_path, one.type, one.description, priority=one.priority)
        for one in KINDS[kind].columns
    )


def _custom(
    gvr: GVR, kind: str, *short_names: str, subresources: tuple[str, ...] = ("status",)
) -> Resource:
    return Resource(
        group=gvr.group,
        version=gvr.version,
        plural=gvr.resource,
        kind=kind,
        namespaced=True,
        singular=kind.lower(),
        short_names=short_names,
        categories=("cluster-api",),
        subresources=tuple(
            Subresource(name, kind, ("get", "patch", "update")) for name in subresources
        ),
        generation=True,
        custom=True,
        columns=_columns(kind),
    )


def _built_in() -> list[Resource]:
    found = [WORKLOAD_RESOURCES.by_gvr(gvr) for gvr in _BUILT_IN]
    return [resource for resource in found if resource is not None]


MANAGEMENT_RESOURCES: Final = ResourceTable(
    [
        *_built_in(),
        _custom(CLUSTERS, "Cluster", "cl"),
        _custom(MACHINES, "Machine", "ma"),
        _custom(MACHINE_DEPLOYMENTS, "MachineDeployment", "md"),
        _custom(MACHINE_POOLS, "MachinePool", "mp"),
        _custom(CONTROL_PLANES, "KubeadmControlPlane", "kcp"),
        _custom(INFRA_CLUSTERS, "InMemoryCluster"),
        _custom(INFRA_MACHINES, "InMemoryMachine"),
        _custom(FAULTS, "InMemoryFault"),
        _custom(INFRA_TEMPLATES, "InMemoryMachineTemplate"),
        _custom(
            INFRA_CLUSTERS._replace(resource="inmemoryclustertemplates"),
            "InMemoryClusterTemplate",
            subresources=(),
        ),
        _custom(INFRA_POOLS, "InMemoryMachinePool"),
        _custom(
            INFRA_POOLS._replace(resource="inmemorymachinepooltemplates"),
            "InMemoryMachinePoolTemplate",
            subresources=(),
        ),
    ]
)
