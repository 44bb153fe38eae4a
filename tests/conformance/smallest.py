"""The smallest valid object of every kind: what the lists of cases about kinds build on."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

CONTAINERS: Final = {"containers": [{"name": "a", "image": "nginx"}]}
LABELS: Final = {"app": "a"}
SELECTOR: Final = {"matchLabels": LABELS}
TEMPLATE: Final = {"metadata": {"labels": LABELS}, "spec": CONTAINERS}
NEVER: Final = {"template": {"spec": {**CONTAINERS, "restartPolicy": "Never"}}}
_RULE: Final = {
    "apiGroups": ["b.example.com"],
    "apiVersions": ["v1"],
    "resources": ["things"],
    "operations": ["CREATE"],
}
_STORAGE: Final = {"requests": {"storage": "1Gi"}}
_DEVICES: Final = {"devices": {"requests": [{"name": "a", "exactly": {"deviceClassName": "z"}}]}}
_USER: Final = {"kind": "User", "name": "u"}
_ACCOUNT: Final = {"kind": "ServiceAccount", "name": "u", "namespace": "y"}


class Kind(NamedTuple):
    """A kind and its smallest object."""

    api_version: str
    kind: str
    plural: str
    fields: dict[str, Any]
    cluster: bool = False

    @property
    def path(self) -> str:
        """The path of its objects."""
        root = "/apis/" if "/" in self.api_version else "/api/"
        return f"{root}{self.api_version}/{'' if self.cluster else 'namespaces/{ns}/'}{self.plural}"

    @property
    def name(self) -> str:
        """The name of the object."""
        return "{name}" if self.cluster else "x"

    def body(self, **fields: Any) -> dict[str, Any]:
        """Return the object; given fields replace its own."""
        head = {"apiVersion": self.api_version, "kind": self.kind}
        return {**head, "metadata": {"name": self.name}, **self.fields, **fields}


def _webhook(**client: Any) -> dict[str, Any]:
    webhook = {
        "name": "a.b.example.com",
        "clientConfig": client,
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "rules": [_RULE],
    }
    return {"webhooks": [webhook]}


def _apps(kind: str, **spec: Any) -> Kind:
    fields = {"spec": {"selector": SELECTOR, "template": TEMPLATE, **spec}}
    return Kind("apps/v1", kind, f"{kind.lower()}s", fields)


_ADMISSION: Final = "admissionregistration.k8s.io/v1"
_RBAC: Final = "rbac.authorization.k8s.io/v1"
_NET: Final = "networking.k8s.io/v1"
_STORE: Final = "storage.k8s.io/v1"
_FLOW: Final = "flowcontrol.apiserver.k8s.io/v1"
_DYNAMIC: Final = "resource.k8s.io/v1"
_BACKEND: Final = {"service": {"name": "x", "port": {"number": 80}}}
_ATTACHED: Final = {"attacher": "a", "nodeName": "n", "source": {"persistentVolumeName": "p"}}
_ENDPOINTS: Final = [{"addresses": [{"ip": "1.2.3.4"}], "ports": [{"port": 80}]}]
_POOL: Final = {"name": "p", "resourceSliceCount": 1, "generation": 1}
_INVOLVED: Final = {"kind": "Pod", "name": "x", "namespace": "{ns}"}

_KINDS: Final = [
    Kind("v1", "Pod", "pods", {"spec": CONTAINERS}),
    Kind("v1", "Service", "services", {"spec": {"ports": [{"port": 80}]}}),
    Kind("v1", "ConfigMap", "configmaps", {"data": {"a": "b"}}),
    Kind("v1", "Secret", "secrets", {"stringData": {"a": "b"}}),
    Kind("v1", "ServiceAccount", "serviceaccounts", {}),
    Kind(
        "v1",
        "PersistentVolumeClaim",
        "persistentvolumeclaims",
        {"spec": {"accessModes": ["ReadWriteOnce"], "resources": _STORAGE}},
    ),
    Kind(
        "v1",
        "PersistentVolume",
        "persistentvolumes",
        {
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "hostPath": {"path": "/x"},
            }
        },
        cluster=True,
    ),
    Kind("v1", "Node", "nodes", {}, cluster=True),
    Kind("v1", "Namespace", "namespaces", {}, cluster=True),
    Kind("v1", "Endpoints", "endpoints", {"subsets": _ENDPOINTS}),
    Kind("v1", "Event", "events", {"involvedObject": _INVOLVED, "reason": "x", "type": "Normal"}),
    Kind(
        "v1",
        "LimitRange",
        "limitranges",
        {"spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}}]}},
    ),
    Kind("v1", "ResourceQuota", "resourcequotas", {"spec": {"hard": {"pods": "5"}}}),
    Kind(
        "v1",
        "ReplicationController",
        "replicationcontrollers",
        {"spec": {"template": TEMPLATE, "replicas": 0}},
    ),
    Kind("v1", "PodTemplate", "podtemplates", {"template": TEMPLATE}),
    _apps("Deployment", replicas=0),
    _apps("ReplicaSet", replicas=0),
    _apps("StatefulSet", replicas=0, serviceName="x"),
    _apps("DaemonSet", minReadySeconds=1),
    Kind("apps/v1", "ControllerRevision", "controllerrevisions", {"revision": 1, "data": {"a": 1}}),
    Kind("batch/v1", "Job", "jobs", {"spec": {"suspend": True, **NEVER}}),
    Kind(
        "batch/v1",
        "CronJob",
        "cronjobs",
        {"spec": {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": {"spec": NEVER}}},
    ),
    Kind(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
        {
            "spec": {
                "maxReplicas": 3,
                "scaleTargetRef": {"kind": "Deployment", "name": "z", "apiVersion": "apps/v1"},
            }
        },
    ),
    Kind(_NET, "Ingress", "ingresses", {"spec": {"defaultBackend": _BACKEND}}),
    Kind(_NET, "IngressClass", "ingressclasses", {"spec": {"controller": "a.b/c"}}, cluster=True),
    Kind(
        _NET,
        "NetworkPolicy",
        "networkpolicies",
        {"spec": {"podSelector": {}, "ingress": [{"ports": [{"port": 80}]}]}},
    ),
    Kind(
        "policy/v1",
        "PodDisruptionBudget",
        "poddisruptionbudgets",
        {"spec": {"minAvailable": 1, "selector": SELECTOR}},
    ),
    Kind(_RBAC, "Role", "roles", {}),
    Kind(_RBAC, "ClusterRole", "clusterroles", {}, cluster=True),
    Kind(
        _RBAC,
        "RoleBinding",
        "rolebindings",
        {"roleRef": {"kind": "Role", "name": "x"}, "subjects": [_USER, _ACCOUNT]},
    ),
    Kind(
        _RBAC,
        "ClusterRoleBinding",
        "clusterrolebindings",
        {"roleRef": {"kind": "ClusterRole", "name": "x"}, "subjects": [_USER, _ACCOUNT]},
        cluster=True,
    ),
    Kind("coordination.k8s.io/v1", "Lease", "leases", {}),
    Kind(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        "endpointslices",
        {
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["1.2.3.4"]}],
            "ports": [{"port": 80}],
        },
    ),
    Kind("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", {"value": 5}, cluster=True),
    Kind("node.k8s.io/v1", "RuntimeClass", "runtimeclasses", {"handler": "h"}, cluster=True),
    Kind(_STORE, "StorageClass", "storageclasses", {"provisioner": "a.b/c"}, cluster=True),
    Kind(_STORE, "CSIDriver", "csidrivers", {"spec": {}}, cluster=True),
    Kind(_STORE, "CSINode", "csinodes", {"spec": {"drivers": []}}, cluster=True),
    Kind(_STORE, "VolumeAttachment", "volumeattachments", {"spec": _ATTACHED}, cluster=True),
    Kind(_STORE, "CSIStorageCapacity", "csistoragecapacities", {"storageClassName": "x"}),
    Kind(
        _STORE,
        "VolumeAttributesClass",
        "volumeattributesclasses",
        {"driverName": "a.b", "parameters": {"a": "b"}},
        cluster=True,
    ),
    Kind(
        _FLOW,
        "FlowSchema",
        "flowschemas",
        {"spec": {"priorityLevelConfiguration": {"name": "workload-low"}}},
        cluster=True,
    ),
    Kind(
        _FLOW,
        "PriorityLevelConfiguration",
        "prioritylevelconfigurations",
        {
            "spec": {
                "type": "Limited",
                "limited": {"limitResponse": {"type": "Queue", "queuing": {}}},
            }
        },
        cluster=True,
    ),
    Kind(
        _ADMISSION,
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        _webhook(url="https://x/y"),
        cluster=True,
    ),
    Kind(
        _ADMISSION,
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
        _webhook(service={"namespace": "n", "name": "m"}),
        cluster=True,
    ),
    Kind(
        _ADMISSION,
        "ValidatingAdmissionPolicyBinding",
        "validatingadmissionpolicybindings",
        {"spec": {"policyName": "absent", "validationActions": ["Deny"]}},
        cluster=True,
    ),
    Kind(_DYNAMIC, "ResourceClaim", "resourceclaims", {"spec": _DEVICES}),
    Kind(_DYNAMIC, "ResourceClaimTemplate", "resourceclaimtemplates", {"spec": {"spec": _DEVICES}}),
    Kind(_DYNAMIC, "DeviceClass", "deviceclasses", {"spec": {}}, cluster=True),
    Kind(
        _DYNAMIC,
        "ResourceSlice",
        "resourceslices",
        {
            "spec": {
                "driver": "a.b",
                "nodeName": "n",
                "pool": _POOL,
                "devices": [{"name": "d"}],
            }
        },
        cluster=True,
    ),
]
KINDS: Final = {kind.kind: kind for kind in _KINDS}
