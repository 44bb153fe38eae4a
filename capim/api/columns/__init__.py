"""What `kubectl get` prints of each kind: columns, and how every cell is computed from an object.

Names, types, formats and priorities are those of a kube-apiserver 1.35 (facts from its
pkg/printers/internalversion); descriptions are our own. Kinds that the table does not name print their
name and when they were created, as a real server's default does. To add a kind: write its columns in
the module of its subject and add a row here.

Departure from a real server: flow schemas are listed in the order of their names, not of precedence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api.columns import core, machinery, network, pods, storage, workloads
from capim.api.columns.custom import DEFAULT_COLUMNS, custom_columns
from capim.api.columns.definitions import AGE, CREATED_AT, NAME, Cell, Column

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.api.resources import Resource

__all__ = ["Cell", "Column", "cells_of", "columns_of", "conditions_of"]

_AGED: Final = (NAME, AGE)
_DEFAULT: Final = (NAME, CREATED_AT)

#: (group, kind) -> columns
_BUILT_IN: Final[dict[tuple[str, str], tuple[Column, ...]]] = {
    ("", "ConfigMap"): core.CONFIG_MAPS,
    ("", "Endpoints"): network.ENDPOINTS,
    ("", "Event"): core.EVENTS,
    ("", "Namespace"): core.NAMESPACES,
    ("", "Node"): core.NODES,
    ("", "PersistentVolume"): storage.PERSISTENT_VOLUMES,
    ("", "PersistentVolumeClaim"): storage.PERSISTENT_VOLUME_CLAIMS,
    ("", "Pod"): pods.PODS,
    ("", "PodTemplate"): workloads.POD_TEMPLATES,
    ("", "ReplicationController"): workloads.REPLICATION_CONTROLLERS,
    ("", "ResourceQuota"): core.RESOURCE_QUOTAS,
    ("", "Secret"): core.SECRETS,
    ("", "Service"): network.SERVICES,
    ("", "ServiceAccount"): _AGED,
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): machinery.WEBHOOKS,
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"): machinery.ADMISSION_POLICIES,
    (
        "admissionregistration.k8s.io",
        "ValidatingAdmissionPolicyBinding",
    ): machinery.ADMISSION_BINDINGS,
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): machinery.WEBHOOKS,
    ("apiregistration.k8s.io", "APIService"): machinery.API_SERVICES,
    ("apps", "ControllerRevision"): workloads.CONTROLLER_REVISIONS,
    ("apps", "DaemonSet"): workloads.DAEMON_SETS,
    ("apps", "Deployment"): workloads.DEPLOYMENTS,
    ("apps", "ReplicaSet"): workloads.REPLICA_SETS,
    ("apps", "StatefulSet"): workloads.STATEFUL_SETS,
    ("autoscaling", "HorizontalPodAutoscaler"): workloads.AUTOSCALERS,
    ("autoscaling", "Scale"): workloads.SCALES,
    ("batch", "CronJob"): workloads.CRON_JOBS,
    ("batch", "Job"): workloads.JOBS,
    ("certificates.k8s.io", "CertificateSigningRequest"): machinery.CERTIFICATE_REQUESTS,
    ("coordination.k8s.io", "Lease"): machinery.LEASES,
    ("discovery.k8s.io", "EndpointSlice"): network.ENDPOINT_SLICES,
    ("events.k8s.io", "Event"): core.EVENTS,
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"): machinery.FLOW_SCHEMAS,
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"): machinery.PRIORITY_LEVELS,
    ("networking.k8s.io", "IPAddress"): network.IP_ADDRESSES,
    ("networking.k8s.io", "Ingress"): network.INGRESSES,
    ("networking.k8s.io", "IngressClass"): network.INGRESS_CLASSES,
    ("networking.k8s.io", "NetworkPolicy"): network.NETWORK_POLICIES,
    ("networking.k8s.io", "ServiceCIDR"): network.SERVICE_CIDRS,
    ("node.k8s.io", "RuntimeClass"): machinery.RUNTIME_CLASSES,
    ("policy", "PodDisruptionBudget"): workloads.POD_DISRUPTION_BUDGETS,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): machinery.ROLE_BINDINGS,
    ("rbac.authorization.k8s.io", "RoleBinding"): machinery.ROLE_BINDINGS,
    ("resource.k8s.io", "DeviceClass"): _AGED,
    ("resource.k8s.io", "ResourceClaim"): machinery.RESOURCE_CLAIMS,
    ("resource.k8s.io", "ResourceClaimTemplate"): _AGED,
    ("resource.k8s.io", "ResourceSlice"): machinery.RESOURCE_SLICES,
    ("scheduling.k8s.io", "PriorityClass"): machinery.PRIORITY_CLASSES,
    ("storage.k8s.io", "CSIDriver"): storage.CSI_DRIVERS,
    ("storage.k8s.io", "CSINode"): storage.CSI_NODES,
    ("storage.k8s.io", "StorageClass"): storage.STORAGE_CLASSES,
    ("storage.k8s.io", "VolumeAttachment"): storage.VOLUME_ATTACHMENTS,
    ("storage.k8s.io", "VolumeAttributesClass"): storage.VOLUME_ATTRIBUTES_CLASSES,
}


def columns_of(resource: Resource) -> tuple[Column, ...]:
    """Return the columns of a kind."""
    if resource.custom:
        return custom_columns(resource.columns or DEFAULT_COLUMNS)
    return _BUILT_IN.get((resource.group, resource.kind), _DEFAULT)


def cells_of(columns: tuple[Column, ...], obj: JsonObject, now: float) -> list[Cell]:
    """Return one object's cells; fields of a wrong type print as `<invalid>`, since some kinds take any."""
    return [_cell(column, obj, now) for column in columns]


def _cell(column: Column, obj: JsonObject, now: float) -> Cell:
    try:
        return column.cell(obj, now)
    except (AttributeError, KeyError, TypeError, ValueError):
        return "<invalid>"


def conditions_of(resource: Resource, obj: JsonObject) -> list[JsonObject]:
    """Return what a row says of itself: that a pod has ended."""
    return pods.completion(obj) if resource.kind == "Pod" and not resource.group else []
