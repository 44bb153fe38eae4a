"""The kinds controllers work on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api.gvk import GVR
from capim.api.resources import WORKLOAD_RESOURCES

if TYPE_CHECKING:
    from capim.api.resources import Resource


def _served(plural: str, group: str = "") -> Resource:
    resource = WORKLOAD_RESOURCES.by_gvr(GVR(group, "v1", plural))
    if resource is None:
        raise LookupError(f"the table of served kinds has no {plural} of {group or 'core'}/v1")
    return resource


NAMESPACES: Final = _served("namespaces")
SERVICE_ACCOUNTS: Final = _served("serviceaccounts")
CONFIG_MAPS: Final = _served("configmaps")
EVENTS: Final = _served("events")
PODS: Final = _served("pods")
NODES: Final = _served("nodes")
REPLICATION_CONTROLLERS: Final = _served("replicationcontrollers")
REPLICA_SETS: Final = _served("replicasets", "apps")
DEPLOYMENTS: Final = _served("deployments", "apps")
STATEFUL_SETS: Final = _served("statefulsets", "apps")
DAEMON_SETS: Final = _served("daemonsets", "apps")
REVISIONS: Final = _served("controllerrevisions", "apps")
JOBS: Final = _served("jobs", "batch")
CRON_JOBS: Final = _served("cronjobs", "batch")
SERVICES: Final = _served("services")
IP_ADDRESSES: Final = _served("ipaddresses", "networking.k8s.io")
ENDPOINTS: Final = _served("endpoints")
ENDPOINT_SLICES: Final = _served("endpointslices", "discovery.k8s.io")
BUDGETS: Final = _served("poddisruptionbudgets", "policy")
CLAIMS: Final = _served("persistentvolumeclaims")
VOLUMES: Final = _served("persistentvolumes")
STORAGE_CLASSES: Final = _served("storageclasses", "storage.k8s.io")
SECRETS: Final = _served("secrets")
LEASES: Final = _served("leases", "coordination.k8s.io")
API_SERVICES: Final = _served("apiservices", "apiregistration.k8s.io")
DEFINITIONS: Final = _served("customresourcedefinitions", "apiextensions.k8s.io")
CLUSTER_ROLES: Final = _served("clusterroles", "rbac.authorization.k8s.io")
