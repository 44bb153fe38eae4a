"""What describes a kind: its name, fields and columns; and what several kinds have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

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


#: A taint as kubectl has it: `key=value:Effect` or `key:Effect`.
TAINT_PATTERN: Final = (
    r"^[A-Za-z0-9./_-]+(=[A-Za-z0-9._-]*)?:(NoSchedule|PreferNoSchedule|NoExecute)$"
)


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
        return self.name.endswith("Template")

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

CONDITIONS: Final = Sequence(
    doc="What is observed of the object, one entry for each type.",
    items=_CONDITION,
    max_items=32,
    keys=("type",),
)


def duration(doc: str, default: str | None = None) -> Text:
    """Describe a field that is a Go duration and not negative."""
    return Text(
        doc=doc,
        default=default,
        pattern=DURATION_PATTERN,
        pattern_message=(
            "must be a duration and not be negative: write for example 10s, 1m30s or 500ms"
        ),
        max_length=64,
    )


def share(doc: str) -> Text:
    """Describe a field that is a number from 0 to 1: text, because fractions differ between languages."""
    return Text(
        doc=doc,
        pattern=JITTER_PATTERN,
        pattern_message="must be a number from 0 to 1: write for example 0.2",
        max_length=64,
    )


AGE_COLUMN: Final = Column("Age", ".metadata.creationTimestamp", "Time since its creation", "date")
CLUSTER_NAME_COLUMN: Final = Column(
    "Cluster", r".metadata.labels['cluster\.x-k8s\.io/cluster-name']", "The Cluster it belongs to"
)
PAUSED_COLUMN: Final = Column(
    "Paused",
    '.status.conditions[?(@.type=="Paused")].status',
    "Whether reconciliation is paused",
    priority=1,
)

INITIALIZATION: Final = Struct(
    doc="How far the first provisioning has come; read by contract v1beta2.",
    fields={"provisioned": Boolean(doc="True once provisioning is complete; never false again.")},
)

TEMPLATE_METADATA: Final = Struct(
    doc="Labels and annotations for the objects made from the template.",
    fields={
        "annotations": TextMap(doc="Annotations to add."),
        "labels": TextMap(doc="Labels to add."),
    },
)


def template_spec(spec: Struct) -> Struct:
    """Describe the spec of a template of objects that have this spec."""
    template = Struct(
        doc="What the objects made from the template will be.",
        required=("spec",),
        fields={"metadata": TEMPLATE_METADATA, "spec": spec},
    )
    return Struct(
        doc="The desired state of the template.",
        required=("template",),
        fields={"template": template},
    )


#: what an autoscaler reads of a template, before there is a machine
MACHINE_SIZE: Final[dict[str, Node]] = {
    "capacity": TextMap(doc="What a machine has, by resource; set by the controller."),
    "nodeInfo": Struct(
        doc="What a machine is; set by the controller.",
        fields={
            "architecture": Text(doc="Of its processors.", max_length=64),
            "operatingSystem": Text(doc="Of its Node.", max_length=64),
        },
    ),
}
