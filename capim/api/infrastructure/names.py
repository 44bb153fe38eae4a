"""The names our kinds are known by: finalizers, annotations, labels, condition types and reasons.

Their values are those of Cluster API v1.7.0, `test/infrastructure/inmemory/api/v1alpha1` and
`internal/cloud/api/v1alpha1`, so that tools written for the original find what they look for; the
names of the newer contract's conditions follow v1.14.
"""

from __future__ import annotations

from typing import Final

GROUP: Final = "infrastructure.cluster.x-k8s.io"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

CLUSTER_KIND: Final = "InMemoryCluster"
MACHINE_KIND: Final = "InMemoryMachine"
CLUSTER_TEMPLATE_KIND: Final = "InMemoryClusterTemplate"
MACHINE_TEMPLATE_KIND: Final = "InMemoryMachineTemplate"
MACHINE_POOL_KIND: Final = "InMemoryMachinePool"
MACHINE_POOL_TEMPLATE_KIND: Final = "InMemoryMachinePoolTemplate"
FAULT_KIND: Final = "InMemoryFault"

CLUSTER_FINALIZER: Final = f"inmemorycluster.{GROUP}"
MACHINE_FINALIZER: Final = f"inmemorymachine.{GROUP}"
MACHINE_POOL_FINALIZER: Final = f"inmemorymachinepool.{GROUP}"

#: On an InMemoryMachine of a pool: the Kubernetes version it was made with. Its Machine learns that from
#: the Node only.
POOL_VERSION_ANNOTATION: Final = f"inmemorymachinepool.{GROUP}/version"

#: On an InMemoryCluster: its listener's name, `<namespace>/<cluster>`.
LISTENER_ANNOTATION: Final = f"inmemorycluster.{GROUP}/listener"

#: Cluster API's own.
CLUSTER_NAME_LABEL: Final = "cluster.x-k8s.io/cluster-name"
CONTROL_PLANE_LABEL: Final = "cluster.x-k8s.io/control-plane"
WATCH_FILTER_LABEL: Final = "cluster.x-k8s.io/watch-filter"
POOL_NAME_LABEL: Final = "cluster.x-k8s.io/pool-name"
DELETE_MACHINE_ANNOTATION: Final = "cluster.x-k8s.io/delete-machine"
PAUSED_ANNOTATION: Final = "cluster.x-k8s.io/paused"
MANAGED_BY_ANNOTATION: Final = "cluster.x-k8s.io/managed-by"
TOPOLOGY_DRY_RUN_ANNOTATION: Final = "topology.cluster.x-k8s.io/dry-run"

PROVIDER_ID_SCHEME: Final = "in-memory://"

READY_CONDITION: Final = "Ready"
PAUSED_CONDITION: Final = "Paused"
JOURNAL_INTACT_CONDITION: Final = "JournalIntact"
VM_PROVISIONED_CONDITION: Final = "VMProvisioned"
FAULT_ACTIVE_CONDITION: Final = "Active"
NODE_PROVISIONED_CONDITION: Final = "NodeProvisioned"
ETCD_PROVISIONED_CONDITION: Final = "EtcdProvisioned"
API_SERVER_PROVISIONED_CONDITION: Final = "APIServerProvisioned"
REPLICAS_READY_CONDITION: Final = "ReplicasReady"

WAITING_FOR_CLUSTER_INFRASTRUCTURE_REASON: Final = "WaitingForClusterInfrastructure"
WAITING_CONTROL_PLANE_INITIALIZED_REASON: Final = "WaitingControlPlaneInitialized"
WAITING_FOR_BOOTSTRAP_DATA_REASON: Final = "WaitingForBootstrapData"
WAITING_FOR_STARTUP_TIMEOUT_REASON: Final = "WaitingForStartupTimeout"
WAITING_FOR_VM_PROVISIONED_REASON: Final = "WaitingForVMProvisioned"
WAITING_FOR_NODE_PROVISIONED_REASON: Final = "WaitingForNodeProvisioned"
WAITING_FOR_REPLICAS_REASON: Final = "WaitingForReplicas"
REPLICAS_READY_REASON: Final = "ReplicasReady"
VM_FAILED_REASON: Final = "VMFailed"
PROVISIONED_REASON: Final = "Provisioned"
INTERNAL_ERROR_REASON: Final = "InternalError"
READY_REASON: Final = "Ready"
NOT_READY_REASON: Final = "NotReady"
READY_UNKNOWN_REASON: Final = "ReadyUnknown"
JOURNAL_DAMAGED_REASON: Final = "JournalDamaged"
JOURNAL_INTACT_REASON: Final = "JournalIntact"
PAUSED_REASON: Final = "Paused"
NOT_PAUSED_REASON: Final = "NotPaused"


def provider_id(machine_name: str) -> str:
    """Return the provider ID of a machine, the same on the InMemoryMachine and its Node."""
    return f"{PROVIDER_ID_SCHEME}{machine_name}"
