"""THE table of served kinds: one line makes a kind storable, discoverable and routable.

Discovery, routing, the store's rules and the documentation all read this table. Rows are in the order
a kube-apiserver 1.35 lists its groups; names, short names, categories, verbs and subresources are what
its discovery answers. A row may be a second view of what another row stores (`storage`), or name what
is computed for each request and never stored. Clusters of every Kubernetes version serve this table.
"""

# ruff: noqa: E501 - a row of the table is one line, however long

from __future__ import annotations

import base64
import enum
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from capim.api.gvk import GVK, GVR, split_api_version
from capim.api.meta import JsonObject

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


ALL_VERBS: Final = (
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
)
#: in the order in which discovery lists them for custom resources
CUSTOM_VERBS: Final = (
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "create",
    "update",
    "watch",
)
_NAMESPACE_VERBS: Final = tuple(verb for verb in ALL_VERBS if verb != "deletecollection")


class Scope(enum.Enum):
    """Where a kind's objects live."""

    NAMESPACED = "Namespaced"
    CLUSTER = "Cluster"


class NameRule(enum.Enum):
    """What a kind's names may look like."""

    SUBDOMAIN = "DNS-1123 subdomain"
    LABEL = "DNS-1123 label"
    LABEL_1035 = "DNS-1035 label"
    PATH_SEGMENT = "anything that can be one segment of a path"
    ADDRESS = "IP address"


@dataclass(frozen=True, slots=True)
class Subresource:
    """A view of an object below its path; group and version only where the kind is of another group."""

    name: str
    kind: str
    verbs: tuple[str, ...]
    group: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class PrinterColumn:
    """A column that a custom resource's definition declares; priority 0 always shows."""

    name: str
    json_path: str
    type: str = "string"  #: integer, number, string, boolean or date
    description: str = ""
    format: str = ""
    priority: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class CustomVersion:
    """What a definition says of one version of its kind, beyond what discovery shows."""

    #: the version that objects are stored in; None: this one
    storage: Resource | None = None
    scale: Mapping[str, str] | None = None  #: paths of the scale subresource
    warning: str = ""  #: of a deprecated version
    has_rules: bool = False  #: in CEL, somewhere in its schema
    converts: bool = False  #: by a webhook, which is not called
    terminating: bool = False  #: the definition is being deleted: nothing new is taken


@dataclass(frozen=True, slots=True)
class Resource:
    """A served kind."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    singular: str
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    subresources: tuple[Subresource, ...] = ()
    generation: bool = False  #: metadata.generation counts changes of what a user wants
    #: field selectors beyond metadata.name and metadata.namespace
    field_labels: tuple[str, ...] = ()
    name_rule: NameRule = NameRule.SUBDOMAIN
    custom: bool = False  #: defined by a CustomResourceDefinition: no strategic merge patches
    list_kind_name: str = ""  #: where it is not the kind plus `List`
    columns: tuple[PrinterColumn, ...] = ()  #: of a custom resource; none: its age
    stored: bool = True  #: False: computed for each request, the store never holds one
    returned_when_deleted: bool = False  #: its deletion answers with the object, not with a Status
    storage: GVK | None = None  #: the kind it is stored as, where that is not its own
    #: openAPIV3Schema of a custom resource; None where its definition has none
    schema: JsonObject | None = field(default=None, compare=False, repr=False)
    custom_version: CustomVersion | None = field(default=None, compare=False, repr=False)
    #: what all versions of a kind share: where its objects are stored
    group_resource: tuple[str, str] = field(init=False, compare=False, repr=False)
    #: apiVersion and kind, with which the encoding of every object of this kind begins
    head: bytes = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Make once what is asked for with every request."""
        group = self.storage.group if self.storage else self.group
        head = b'{"apiVersion":"%b","kind":"%b",' % (self.api_version.encode(), self.kind.encode())
        object.__setattr__(self, "group_resource", (group, self.plural))
        object.__setattr__(self, "head", head)

    @property
    def scope(self) -> Scope:
        """Namespaced or of the cluster."""
        return Scope.NAMESPACED if self.namespaced else Scope.CLUSTER

    @property
    def api_version(self) -> str:
        """`v1` for the core group, `group/version` for the others."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def list_kind(self) -> str:
        """The kind of a list of these."""
        return self.list_kind_name or f"{self.kind}List"

    @property
    def gvk(self) -> GVK:
        """Group, version, kind."""
        return GVK(self.group, self.version, self.kind)

    @property
    def gvr(self) -> GVR:
        """Group, version, plural."""
        return GVR(self.group, self.version, self.plural)

    @property
    def storage_version_hash(self) -> str:
        """Tell apart what is stored, as discovery does; empty for what is not stored."""
        if not self.stored:
            return ""
        stored_as = "/".join(self.storage or self.gvk)
        return base64.b64encode(hashlib.sha256(stored_as.encode()).digest()[:8]).decode()

    def subresource(self, name: str) -> Subresource | None:
        """Return the subresource of this name, or None."""
        return next((sub for sub in self.subresources if sub.name == name), None)


_VERSION: Final = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?")
_STABILITY: Final = {"alpha": 0, "beta": 1, None: 2}


def _discovery_order(resource: Resource) -> tuple[bool, str, tuple[int, int, int], str]:
    """Sort custom resources behind the others: by group, then v2, v1, v1beta1, whatever else."""
    if not resource.custom:
        return (False, "", (0, 0, 0), "")
    found = _VERSION.fullmatch(resource.version)
    age = (1, 0, 0)
    if found is not None:
        age = (-_STABILITY[found[2]], -int(found[1]), -int(found[3] or 0))
    return (True, resource.group, age, "" if found else resource.version)


class ResourceTable:
    """Served kinds, found by resource or by kind. Immutable."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._resources = tuple(resources)
        self._by_gvr = {resource.gvr: resource for resource in self._resources}
        self._by_gvk = {resource.gvk: resource for resource in self._resources}
        if len(self._by_gvr) != len(self._resources):
            raise ValueError("a resource is in the table twice")

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._resources)

    def __len__(self) -> int:
        return len(self._resources)

    def by_gvr(self, gvr: GVR) -> Resource | None:
        """Return what is served under this group, version and plural."""
        return self._by_gvr.get(gvr)

    def by_gvk(self, gvk: GVK) -> Resource | None:
        """Return what serves this kind."""
        return self._by_gvk.get(gvk)

    def groups(self) -> dict[str, dict[str, list[Resource]]]:
        """Group the table for discovery: group -> version -> resources, in the table's order.

        Groups of custom resources follow by name, their versions from the newest on.
        """
        groups: dict[str, dict[str, list[Resource]]] = {}
        for resource in sorted(self._resources, key=_discovery_order):
            groups.setdefault(resource.group, {}).setdefault(resource.version, []).append(resource)
        return groups

    def adding(self, *resources: Resource) -> ResourceTable:
        """Return a table with these as well; one of the same group, version and plural is replaced."""
        added = {resource.gvr for resource in resources}
        return ResourceTable([*(r for r in self._resources if r.gvr not in added), *resources])

    def without(self, group: str, plural: str) -> ResourceTable:
        """Return a table in which no version of this resource is served."""
        return ResourceTable(r for r in self._resources if r.group_resource != (group, plural))


_READ_WRITE: Final = ("get", "patch", "update")
_CONNECT: Final = ("create", "get")
_CREATE: Final = ("create",)
#: subresource -> kind (empty: the resource's own), verbs, group, version
_SUBRESOURCES: Final[dict[str, tuple[str, tuple[str, ...], str, str]]] = {
    "approval": ("", _READ_WRITE, "", ""),
    "attach": ("PodAttachOptions", _CONNECT, "", ""),
    "binding": ("Binding", ("create",), "", ""),
    "ephemeralcontainers": ("", _READ_WRITE, "", ""),
    "eviction": ("Eviction", ("create",), "policy", "v1"),
    "exec": ("PodExecOptions", _CONNECT, "", ""),
    "finalize": ("", ("update",), "", ""),
    "log": ("", ("get",), "", ""),
    "portforward": ("PodPortForwardOptions", _CONNECT, "", ""),
    "proxy": ("{}ProxyOptions", ("create", "delete", "get", "patch", "update"), "", ""),
    "resize": ("", _READ_WRITE, "", ""),
    "scale": ("Scale", _READ_WRITE, "autoscaling", "v1"),
    "status": ("", _READ_WRITE, "", ""),
    "token": ("TokenRequest", ("create",), "authentication.k8s.io", "v1"),
}
_POD_SUBRESOURCES: Final = (
    "attach binding ephemeralcontainers eviction exec log portforward proxy resize status"
)
_POD_FIELDS: Final = (
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
)
_EVENT_FIELDS: Final = (
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
)


#: of events.k8s.io, which calls the object that an event is about `regarding`
_VIEWED_EVENT_FIELDS: Final = (
    *(it.replace("involvedObject", "regarding") for it in _EVENT_FIELDS[:8]),
    "reportingController",
    "type",
)


_RETURNED_WHEN_DELETED: Final = frozenset(
    (group, plural)
    for group, plurals in {
        "": "persistentvolumeclaims persistentvolumes pods podtemplates resourcequotas serviceaccounts services",
        "resource.k8s.io": "deviceclasses resourceclaims resourceclaimtemplates resourceslices",
        "storage.k8s.io": "csidrivers csinodes storageclasses volumeattachments volumeattributesclasses",
    }.items()
    for plural in plurals.split()
)


def subresources_of(kind: str, names: str) -> tuple[Subresource, ...]:
    """Build the subresources of a kind from their names, separated by spaces."""
    made = []
    for name in names.split():
        own_kind, verbs, group, version = _SUBRESOURCES[name]
        own_kind = own_kind.format(kind) or kind
        made.append(Subresource(name, own_kind, verbs, group, version))
    return tuple(made)


def _row(
    api_version: str,
    plural: str,
    kind: str,
    short: str = "",
    *,
    cluster: bool = False,
    sub: str = "",
    category: str = "",
    verbs: tuple[str, ...] = ALL_VERBS,
    generation: bool = False,
    fields: tuple[str, ...] = (),
    names: NameRule = NameRule.SUBDOMAIN,
    stored: bool = True,
    storage: str = "",
) -> Resource:
    group, version = split_api_version(api_version)
    return Resource(
        group,
        version,
        plural,
        kind,
        namespaced=not cluster,
        singular=kind.lower(),
        short_names=tuple(short.split()),
        categories=tuple(category.split()),
        verbs=verbs,
        subresources=subresources_of(kind, sub),
        generation=generation,
        field_labels=fields,
        name_rule=names,
        stored=stored,
        returned_when_deleted=(group, plural) in _RETURNED_WHEN_DELETED,
        storage=GVK(*split_api_version(storage), kind) if storage else None,
    )


_LABEL: Final = NameRule.LABEL
_PATH: Final = NameRule.PATH_SEGMENT
_EXTENSIONS: Final = "api-extensions"
_ADMISSION: Final = "admissionregistration.k8s.io/v1"
_AUTHENTICATION: Final = "authentication.k8s.io/v1"
_AUTHORIZATION: Final = "authorization.k8s.io/v1"
_FLOW: Final = "flowcontrol.apiserver.k8s.io/v1"
_NET: Final = "networking.k8s.io/v1"
_RBAC: Final = "rbac.authorization.k8s.io/v1"
_DYNAMIC: Final = "resource.k8s.io/v1"
_STORAGE: Final = "storage.k8s.io/v1"

# fmt: off
WORKLOAD_RESOURCES: Final = ResourceTable([
    _row("v1", "bindings", "Binding", verbs=_CREATE, stored=False),
    _row("v1", "componentstatuses", "ComponentStatus", "cs", cluster=True, verbs=("get", "list"), stored=False),
    _row("v1", "configmaps", "ConfigMap", "cm"),
    _row("v1", "endpoints", "Endpoints", "ep"),
    _row("v1", "events", "Event", "ev", fields=_EVENT_FIELDS),
    _row("v1", "limitranges", "LimitRange", "limits"),
    _row("v1", "namespaces", "Namespace", "ns", cluster=True, sub="finalize status", verbs=_NAMESPACE_VERBS, fields=("status.phase",), names=_LABEL),
    _row("v1", "nodes", "Node", "no", cluster=True, sub="proxy status", fields=("spec.unschedulable",)),
    _row("v1", "persistentvolumeclaims", "PersistentVolumeClaim", "pvc", sub="status"),
    _row("v1", "persistentvolumes", "PersistentVolume", "pv", cluster=True, sub="status"),
    _row("v1", "pods", "Pod", "po", sub=_POD_SUBRESOURCES, category="all", generation=True, fields=_POD_FIELDS),
    _row("v1", "podtemplates", "PodTemplate", generation=True),
    _row("v1", "replicationcontrollers", "ReplicationController", "rc", sub="scale status", category="all", generation=True, fields=("status.replicas",)),
    _row("v1", "resourcequotas", "ResourceQuota", "quota", sub="status"),
    _row("v1", "secrets", "Secret", fields=("type",)),
    _row("v1", "serviceaccounts", "ServiceAccount", "sa", sub="token"),
    _row("v1", "services", "Service", "svc", sub="proxy status", category="all", fields=("spec.clusterIP", "spec.type"), names=NameRule.LABEL_1035),
    _row("apiregistration.k8s.io/v1", "apiservices", "APIService", cluster=True, sub="status", category=_EXTENSIONS),
    _row("apps/v1", "controllerrevisions", "ControllerRevision"),
    _row("apps/v1", "daemonsets", "DaemonSet", "ds", sub="status", category="all", generation=True),
    _row("apps/v1", "deployments", "Deployment", "deploy", sub="scale status", category="all", generation=True),
    _row("apps/v1", "replicasets", "ReplicaSet", "rs", sub="scale status", category="all", generation=True),
    _row("apps/v1", "statefulsets", "StatefulSet", "sts", sub="scale status", category="all", generation=True),
    _row("events.k8s.io/v1", "events", "Event", "ev", fields=_VIEWED_EVENT_FIELDS, storage="v1"),
    _row(_AUTHENTICATION, "selfsubjectreviews", "SelfSubjectReview", cluster=True, verbs=_CREATE, stored=False),
    _row(_AUTHENTICATION, "tokenreviews", "TokenReview", cluster=True, verbs=_CREATE, stored=False),
    _row(_AUTHORIZATION, "localsubjectaccessreviews", "LocalSubjectAccessReview", verbs=_CREATE, stored=False),
    _row(_AUTHORIZATION, "selfsubjectaccessreviews", "SelfSubjectAccessReview", cluster=True, verbs=_CREATE, stored=False),
    _row(_AUTHORIZATION, "selfsubjectrulesreviews", "SelfSubjectRulesReview", cluster=True, verbs=_CREATE, stored=False),
    _row(_AUTHORIZATION, "subjectaccessreviews", "SubjectAccessReview", cluster=True, verbs=_CREATE, stored=False),
    _row("autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", "hpa", sub="status", category="all"),
    _row("autoscaling/v1", "horizontalpodautoscalers", "HorizontalPodAutoscaler", "hpa", sub="status", category="all", storage="autoscaling/v2"),
    _row("batch/v1", "cronjobs", "CronJob", "cj", sub="status", category="all", generation=True),
    _row("batch/v1", "jobs", "Job", sub="status", category="all", generation=True, fields=("status.successful",)),
    _row("certificates.k8s.io/v1", "certificatesigningrequests", "CertificateSigningRequest", "csr", cluster=True, sub="approval status", fields=("spec.signerName",)),
    _row(_NET, "ingressclasses", "IngressClass", cluster=True, generation=True),
    _row(_NET, "ingresses", "Ingress", "ing", sub="status", generation=True),
    _row(_NET, "ipaddresses", "IPAddress", "ip", cluster=True, names=NameRule.ADDRESS),
    _row(_NET, "networkpolicies", "NetworkPolicy", "netpol", generation=True),
    _row(_NET, "servicecidrs", "ServiceCIDR", cluster=True, sub="status"),
    _row("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", "pdb", sub="status", generation=True),
    _row(_RBAC, "clusterrolebindings", "ClusterRoleBinding", cluster=True, names=_PATH),
    _row(_RBAC, "clusterroles", "ClusterRole", cluster=True, names=_PATH),
    _row(_RBAC, "rolebindings", "RoleBinding", names=_PATH),
    _row(_RBAC, "roles", "Role", names=_PATH),
    _row(_STORAGE, "csidrivers", "CSIDriver", cluster=True),
    _row(_STORAGE, "csinodes", "CSINode", cluster=True),
    _row(_STORAGE, "csistoragecapacities", "CSIStorageCapacity"),
    _row(_STORAGE, "storageclasses", "StorageClass", "sc", cluster=True),
    _row(_STORAGE, "volumeattachments", "VolumeAttachment", cluster=True, sub="status"),
    _row(_STORAGE, "volumeattributesclasses", "VolumeAttributesClass", "vac", cluster=True),
    _row(_ADMISSION, "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", cluster=True, category=_EXTENSIONS, generation=True),
    _row(_ADMISSION, "validatingadmissionpolicies", "ValidatingAdmissionPolicy", cluster=True, sub="status", category=_EXTENSIONS, generation=True),
    _row(_ADMISSION, "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", cluster=True, category=_EXTENSIONS, generation=True),
    _row(_ADMISSION, "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", cluster=True, category=_EXTENSIONS, generation=True),
    _row("apiextensions.k8s.io/v1", "customresourcedefinitions", "CustomResourceDefinition", "crd crds", cluster=True, sub="status", category=_EXTENSIONS, generation=True),
    _row("scheduling.k8s.io/v1", "priorityclasses", "PriorityClass", "pc", cluster=True, generation=True),
    _row("coordination.k8s.io/v1", "leases", "Lease"),
    _row("node.k8s.io/v1", "runtimeclasses", "RuntimeClass", cluster=True),
    _row("discovery.k8s.io/v1", "endpointslices", "EndpointSlice", generation=True),
    _row(_DYNAMIC, "deviceclasses", "DeviceClass", cluster=True, generation=True),
    _row(_DYNAMIC, "resourceclaims", "ResourceClaim", sub="status"),
    _row(_DYNAMIC, "resourceclaimtemplates", "ResourceClaimTemplate"),
    _row(_DYNAMIC, "resourceslices", "ResourceSlice", cluster=True, generation=True, fields=("spec.nodeName", "spec.driver")),
    _row(_FLOW, "flowschemas", "FlowSchema", cluster=True, sub="status", generation=True),
    _row(_FLOW, "prioritylevelconfigurations", "PriorityLevelConfiguration", cluster=True, sub="status", generation=True),
])
# fmt: on
