"""The one description of our four kinds: fields, rules, printer columns; CRDs are made from it.

Every object that the original (Cluster API v1.7.0) takes is taken here, save values its controller
could only have choked on or silently ignored. One version serves both contracts of Cluster API, so
fields of both stand side by side: `ready` and `initialization.provisioned`, `spec.failureDomain` and
`status.failureDomain`, conditions with and without severity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from capim.api.infrastructure import names
from capim.api.schema import Boolean, Integer, Node, Sequence, Struct, Text, TextMap

if TYPE_CHECKING:
    from capim.api.meta import JsonObject

#: A Go duration that is not negative: `0`, `90s`, `1h30m`, `.5s`.
DURATION_PATTERN: Final = (
    r"^\+?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)" "(ns|[u\u00b5\u03bc]s|ms|s|m|h))+)$"
)

#: A decimal number from 0 to 1; empty counts as unset, as it did in the original.
JITTER_PATTERN: Final = (
    r"^(\+?((0+(\.[0-9]*)?|\.[0-9]+|0*1(\.0*)?)([eE]-[0-9]+)?"
    r"|[0-9](\.[0-9]*)?[eE]-0*[1-9][0-9]*))?$"
)

#: Characters of a DNS name or an IP address; admission looks closer.
HOST_PATTERN: Final = r"^[-A-Za-z0-9.:]*$"

#: What Cluster API can parse: a scheme and a last segment.
PROVIDER_ID_PATTERN: Final = r"^([^:]+://.*[^/])?$"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`; priority 1 shows with `-o wide` only."""

    name: str
    json_path: str
    description: str
    type: str = "string"
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Kind:
    """One of our kinds."""

    name: str
    doc: str
    spec: Struct
    status: Struct | None  #: None: no status, no subresource
    columns: tuple[Column, ...]

    @property
    def singular(self) -> str:
        """The lower-case name, as webhook paths have it."""
        return self.name.lower()

    @property
    def plural(self) -> str:
        """The resource's name in paths."""
        return f"{self.singular}s"

    @property
    def is_template(self) -> bool:
        """Whether objects are copied from `spec.template` and so must not change."""
        return self.status is None

    def schema(self) -> JsonObject:
        """Return the structural schema of the whole object."""
        fields: dict[str, Node] = {
            "apiVersion": Text(doc="Group and version of this object's schema."),
            "kind": Text(doc="The kind of this object, in CamelCase; cannot be updated."),
            "metadata": Struct(),
            "spec": self.spec,
        }
        if self.status is not None:
            fields["status"] = self.status
        return Struct(doc=self.doc, fields=fields).openapi()


# --- parts -------------------------------------------------------------------------------------------

_CONDITION: Final = Struct(
    doc="An observation of the object's state, in the union of both contracts' shapes.",
    required=("lastTransitionTime", "status", "type"),
    fields={
        "type": Text(doc="What is observed, in CamelCase.", min_length=1, max_length=316),
        "status": Text(doc="Whether it holds.", enum=("True", "False", "Unknown")),
        "reason": Text(doc="Why, for programs, in CamelCase.", max_length=1024),
        "message": Text(doc="Why, for people; may be empty.", max_length=32768),
        "severity": Text(
            doc="How grave it is that the status is False; contract v1beta1 only.",
            enum=("", "Error", "Warning", "Info"),
        ),
        "lastTransitionTime": Text(doc="When the status last changed.", format="date-time"),
        "observedGeneration": Integer(
            doc="The metadata.generation this was observed on.", format="int64", minimum=0
        ),
    },
)

_CONDITIONS: Final = Sequence(
    doc="What is observed of the object, one entry for each type.",
    items=_CONDITION,
    max_items=32,
    keys=("type",),
)

_INITIALIZATION: Final = Struct(
    doc="How far the first provisioning has come; read by contract v1beta2.",
    fields={"provisioned": Boolean(doc="True once provisioning is complete; never false again.")},
)

_TEMPLATE_METADATA: Final = Struct(
    doc="Labels and annotations for the objects made from the template.",
    fields={
        "annotations": TextMap(doc="Annotations to add."),
        "labels": TextMap(doc="Labels to add."),
    },
)


def _provisioning(thing: str, extent: str) -> Struct:
    """A phase of a machine's start, with how long it takes."""
    settings = Struct(
        doc=f"How the {thing} is provisioned: {extent}.",
        required=("startupDuration",),
        fields={
            "startupDuration": Text(
                doc="How long it takes, at least, for example 10s or 1m30s.",
                default="0s",
                pattern=DURATION_PATTERN,
                pattern_message=(
                    "must be a duration and not be negative: write for example 10s, 1m30s or 500ms"
                ),
                max_length=64,
            ),
            "startupJitter": Text(
                doc=(
                    "How much longer it may take, as a share of startupDuration from 0 to 1: a time"
                    " drawn evenly from zero to startupJitter*startupDuration is added, once. A"
                    " string, because floating point numbers differ between languages."
                ),
                pattern=JITTER_PATTERN,
                pattern_message="must be a number from 0 to 1: write for example 0.2",
                max_length=64,
            ),
        },
    )
    return Struct(doc=f"The machine's {thing}.", fields={"provisioning": settings})


_CLUSTER_SPEC: Final = Struct(
    doc="The desired state of the cluster's infrastructure.",
    fields={
        "controlPlaneEndpoint": Struct(
            doc="Where the control plane is reached; left out, a host and port are allotted.",
            required=("host", "port"),
            fields={
                "host": Text(
                    doc="DNS name or IP address.",
                    default="",
                    pattern=HOST_PATTERN,
                    max_length=512,
                ),
                "port": Integer(
                    doc="TCP port; 0 with an empty host means unset.",
                    default=0,
                    minimum=0,
                    maximum=65535,
                ),
            },
        )
    },
)

_MACHINE_SPEC: Final = Struct(
    doc="The desired state of the machine.",
    fields={
        "providerID": Text(
            doc="The machine's identity, also on its Node; set by the controller, then fixed.",
            pattern=PROVIDER_ID_PATTERN,
            max_length=512,
        ),
        "failureDomain": Text(
            doc="The failure domain the machine is in; read by contract v1beta1.", max_length=256
        ),
        "behaviour": Struct(
            doc="How the simulated machine behaves, to resemble a real infrastructure.",
            fields={
                "vm": _provisioning("virtual machine", "from creation to power-on"),
                "node": _provisioning("node", "from the kubelet's start to a ready Node"),
                "apiServer": _provisioning("API server", "until its static pod is ready"),
                "etcd": _provisioning("etcd member", "until its static pod is ready"),
            },
        ),
    },
)

_CLUSTER_STATUS: Final = Struct(
    doc="The observed state of the cluster's infrastructure.",
    fields={
        "ready": Boolean(doc="True once the infrastructure is ready; read by contract v1beta1."),
        "initialization": _INITIALIZATION,
        "conditions": _CONDITIONS,
    },
)

_MACHINE_STATUS: Final = Struct(
    doc="The observed state of the machine.",
    fields={
        "ready": Boolean(doc="True once the machine is ready; read by contract v1beta1."),
        "initialization": _INITIALIZATION,
        "addresses": Sequence(
            doc="The addresses of the machine.",
            max_items=256,
            items=Struct(
                doc="One address.",
                required=("type", "address"),
                fields={
                    "type": Text(
                        doc="What kind of address it is.",
                        enum=(
                            "Hostname",
                            "ExternalIP",
                            "InternalIP",
                            "ExternalDNS",
                            "InternalDNS",
                        ),
                    ),
                    "address": Text(doc="The address.", min_length=1, max_length=256),
                },
            ),
        ),
        "failureDomain": Text(
            doc="The failure domain the machine is in; read by contract v1beta2.", max_length=256
        ),
        "conditions": _CONDITIONS,
    },
)


def _template_spec(spec: Struct) -> Struct:
    template = Struct(
        doc="What the objects made from the template will be.",
        required=("spec",),
        fields={"metadata": _TEMPLATE_METADATA, "spec": spec},
    )
    return Struct(
        doc="The desired state of the template.",
        required=("template",),
        fields={"template": template},
    )


# --- columns and kinds -------------------------------------------------------------------------------

_CLUSTER_NAME_COLUMN: Final = Column(
    "Cluster", r".metadata.labels['cluster\.x-k8s\.io/cluster-name']", "The Cluster it belongs to"
)
_AGE_COLUMN: Final = Column("Age", ".metadata.creationTimestamp", "Time since its creation", "date")
_PAUSED_COLUMN: Final = Column(
    "Paused",
    '.status.conditions[?(@.type=="Paused")].status',
    "Whether reconciliation is paused",
    priority=1,
)

INMEMORY_CLUSTER: Final = Kind(
    names.CLUSTER_KIND,
    "The infrastructure of a cluster whose machines do not exist.",
    _CLUSTER_SPEC,
    _CLUSTER_STATUS,
    (
        _CLUSTER_NAME_COLUMN,
        _AGE_COLUMN,
        Column("Ready", ".status.ready", "Whether the infrastructure is ready", priority=1),
        Column("Host", ".spec.controlPlaneEndpoint.host", "Host of the endpoint", priority=1),
        Column("Port", ".spec.controlPlaneEndpoint.port", "Port of the endpoint", "integer", 1),
        _PAUSED_COLUMN,
    ),
)

INMEMORY_MACHINE: Final = Kind(
    names.MACHINE_KIND,
    "A machine that does not exist.",
    _MACHINE_SPEC,
    _MACHINE_STATUS,
    (
        _CLUSTER_NAME_COLUMN,
        Column(
            "Machine",
            '.metadata.ownerReferences[?(@.kind=="Machine")].name',
            "The Machine that owns it",
        ),
        Column("ProviderID", ".spec.providerID", "Provider ID"),
        Column("Ready", ".status.ready", "Whether the machine is ready"),
        _AGE_COLUMN,
        Column("FailureDomain", ".status.failureDomain", "The failure domain it is in", priority=1),
        Column(
            "InternalIP",
            '.status.addresses[?(@.type=="InternalIP")].address',
            "Address inside the cluster",
            priority=1,
        ),
        _PAUSED_COLUMN,
    ),
)

INMEMORY_CLUSTER_TEMPLATE: Final = Kind(
    names.CLUSTER_TEMPLATE_KIND,
    "What InMemoryClusters are made from by a ClusterClass.",
    _template_spec(_CLUSTER_SPEC),
    None,
    (_AGE_COLUMN,),
)

INMEMORY_MACHINE_TEMPLATE: Final = Kind(
    names.MACHINE_TEMPLATE_KIND,
    "What InMemoryMachines are made from.",
    _template_spec(_MACHINE_SPEC),
    None,
    (_AGE_COLUMN,),
)

KINDS: Final[dict[str, Kind]] = {
    kind.name: kind
    for kind in (
        INMEMORY_CLUSTER,
        INMEMORY_CLUSTER_TEMPLATE,
        INMEMORY_MACHINE,
        INMEMORY_MACHINE_TEMPLATE,
    )
}
