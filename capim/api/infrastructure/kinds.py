"""The one description of our kinds: fields, rules, printer columns; CRDs are made from it.

Every object that the original (Cluster API v1.7.0) takes is taken here, save values its controller
could only have choked on or silently ignored. One version serves both contracts of Cluster API, so
fields of both stand side by side: `ready` and `initialization.provisioned`, `spec.failureDomain` and
`status.failureDomain`, conditions with and without severity.
"""

from __future__ import annotations

from typing import Final

from capim.api.infrastructure import names
from capim.api.infrastructure.description import (
    AGE_COLUMN,
    CLUSTER_NAME_COLUMN,
    CONDITIONS,
    HOST_PATTERN,
    INITIALIZATION,
    MACHINE_SIZE,
    PAUSED_COLUMN,
    PROVIDER_ID_PATTERN,
    TAINT_PATTERN,
    Column,
    Kind,
    duration,
    share,
    template_spec,
)
from capim.api.infrastructure.faultkind import INMEMORY_FAULT, parameters_of
from capim.api.infrastructure.poolkinds import pool_kinds
from capim.api.infrastructure.startup import FAILURES
from capim.api.nodeform import ARCHITECTURES
from capim.api.schema import Boolean, Integer, Node, Sequence, Struct, Text, TextMap
from capim.api.workload import Phase

__all__ = ["KINDS", "Column", "Kind"]

# --- parts -------------------------------------------------------------------------------------------


_NODE_FORM: Final[dict[str, Node]] = {
    "capacity": TextMap(
        doc="What the Node has, by resource, as text: cpu: '8', nvidia.com/gpu: '1'. What is left out"
        " is as of all machines."
    ),
    "labels": TextMap(doc="Labels that the kubelet registers its Node with."),
    "taints": Sequence(
        doc="Taints that the kubelet registers its Node with, as kubectl has them: key=value:Effect.",
        items=Text(pattern=TAINT_PATTERN, max_length=512),
        max_items=32,
    ),
    "architecture": Text(doc="Of its processors; left out, amd64.", enum=ARCHITECTURES),
}


def _provisioning(phase: Phase, thing: str, extent: str) -> Struct:
    """A phase of a machine's start, with how long it takes."""
    settings = Struct(
        doc=f"How the {thing} is provisioned: {extent}.",
        required=("startupDuration",),
        fields={
            "startupDuration": duration(
                "How long it takes, at least, for example 10s or 1m30s.", default="0s"
            ),
            "startupJitter": share(
                "How much longer it may take, as a share of startupDuration from 0 to 1: a time"
                " drawn evenly from zero to startupJitter*startupDuration is added, once. A"
                " string, because floating point numbers differ between languages."
            ),
        },
    )
    failure = Struct(
        doc=f"What is wrong with the {thing} for all its life; left out, nothing.",
        required=("effect",),
        fields={
            "effect": Text(doc="What goes wrong, as of an InMemoryFault.", enum=FAILURES[phase]),
            "probability": share(
                "Which share of the machines it befalls, from 0 to 1, drawn from the uid; left"
                " out, all."
            ),
            **parameters_of(FAILURES[phase]),
        },
    )
    fields: dict[str, Node] = {"provisioning": settings, "failure": failure}
    if phase is Phase.VM:
        fields["deletion"] = Struct(
            doc="How the virtual machine is deleted.",
            fields={"duration": duration("How long it takes, until which the machine runs.")},
        )
    if phase is Phase.NODE:
        fields |= _NODE_FORM
    return Struct(doc=f"The machine's {thing}.", fields=fields)


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
        ),
        "behaviour": Struct(
            doc="How the simulated cluster behaves.",
            fields={
                "timeScale": Text(
                    doc=(
                        "How much faster than real time its machines' delays pass: with 60 one"
                        " minute takes a second. A string, because floating point numbers differ"
                        " between languages."
                    ),
                    pattern=r"^([1-9][0-9]{0,5}(\.[0-9]{1,6})?|0\.[0-9]{0,5}[1-9])$",
                    pattern_message="must be a positive number, such as 60 or 0.5",
                    max_length=16,
                )
            },
        ),
    },
)

_BEHAVIOUR: Final = Struct(
    doc="How the simulated machine behaves, to resemble a real infrastructure.",
    fields={
        "vm": _provisioning(Phase.VM, "virtual machine", "from creation to power-on"),
        "node": _provisioning(Phase.NODE, "node", "from the kubelet's start to a ready Node"),
        "apiServer": _provisioning(Phase.API_SERVER, "API server", "until its static pod is ready"),
        "etcd": _provisioning(Phase.ETCD, "etcd member", "until its static pod is ready"),
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
        "behaviour": _BEHAVIOUR,
    },
)

_CLUSTER_STATUS: Final = Struct(
    doc="The observed state of the cluster's infrastructure.",
    fields={
        "ready": Boolean(doc="True once the infrastructure is ready; read by contract v1beta1."),
        "initialization": INITIALIZATION,
        "conditions": CONDITIONS,
    },
)

_MACHINE_STATUS: Final = Struct(
    doc="The observed state of the machine.",
    fields={
        "ready": Boolean(doc="True once the machine is ready; read by contract v1beta1."),
        "initialization": INITIALIZATION,
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
        "failureReason": Text(
            doc="Why it failed for good, for programs; read by contract v1beta1.", max_length=256
        ),
        "failureMessage": Text(
            doc="Why it failed for good, for people; read by contract v1beta1.", max_length=10240
        ),
        "conditions": CONDITIONS,
    },
)


# --- columns and kinds -------------------------------------------------------------------------------

INMEMORY_CLUSTER: Final = Kind(
    names.CLUSTER_KIND,
    "The infrastructure of a cluster whose machines do not exist.",
    _CLUSTER_SPEC,
    _CLUSTER_STATUS,
    (
        CLUSTER_NAME_COLUMN,
        AGE_COLUMN,
        Column("Ready", ".status.ready", "Whether the infrastructure is ready", priority=1),
        Column("Host", ".spec.controlPlaneEndpoint.host", "Host of the endpoint", priority=1),
        Column("Port", ".spec.controlPlaneEndpoint.port", "Port of the endpoint", "integer", 1),
        PAUSED_COLUMN,
    ),
)

INMEMORY_MACHINE: Final = Kind(
    names.MACHINE_KIND,
    "A machine that does not exist.",
    _MACHINE_SPEC,
    _MACHINE_STATUS,
    (
        CLUSTER_NAME_COLUMN,
        Column(
            "Machine",
            '.metadata.ownerReferences[?(@.kind=="Machine")].name',
            "The Machine that owns it",
        ),
        Column("ProviderID", ".spec.providerID", "Provider ID"),
        Column("Ready", ".status.ready", "Whether the machine is ready"),
        AGE_COLUMN,
        Column("FailureDomain", ".status.failureDomain", "The failure domain it is in", priority=1),
        Column(
            "InternalIP",
            '.status.addresses[?(@.type=="InternalIP")].address',
            "Address inside the cluster",
            priority=1,
        ),
        PAUSED_COLUMN,
    ),
)

INMEMORY_CLUSTER_TEMPLATE: Final = Kind(
    names.CLUSTER_TEMPLATE_KIND,
    "What InMemoryClusters are made from by a ClusterClass.",
    template_spec(_CLUSTER_SPEC),
    None,
    (AGE_COLUMN,),
)

INMEMORY_MACHINE_TEMPLATE: Final = Kind(
    names.MACHINE_TEMPLATE_KIND,
    "What InMemoryMachines are made from.",
    template_spec(_MACHINE_SPEC),
    Struct(doc="What an autoscaler knows of the machines.", fields=MACHINE_SIZE),
    (AGE_COLUMN,),
)

KINDS: Final[dict[str, Kind]] = {
    kind.name: kind
    for kind in (
        INMEMORY_CLUSTER,
        INMEMORY_CLUSTER_TEMPLATE,
        INMEMORY_FAULT,
        INMEMORY_MACHINE,
        *pool_kinds(_BEHAVIOUR),
        INMEMORY_MACHINE_TEMPLATE,
    )
}
