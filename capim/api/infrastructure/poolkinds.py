"""The kinds behind MachinePools: their fields and printer columns.

A pool is spoken of by both contracts: `ready` is read by v1beta1, `initialization.provisioned` by v1beta2;
`infrastructureMachineKind` tells Cluster API that each replica is a machine of its own.
"""

from __future__ import annotations

from typing import Final

from capim.api.infrastructure import names
from capim.api.infrastructure.description import (
    AGE_COLUMN,
    CLUSTER_NAME_COLUMN,
    CONDITIONS,
    INITIALIZATION,
    MACHINE_SIZE,
    PAUSED_COLUMN,
    PROVIDER_ID_PATTERN,
    TEMPLATE_METADATA,
    Column,
    Kind,
    template_spec,
)
from capim.api.schema import Boolean, Integer, Sequence, Struct, Text

_STATUS: Final = Struct(
    doc="The observed state of the pool.",
    fields={
        "ready": Boolean(
            doc="True once all replicas were there; never false again; read by contract v1beta1."
        ),
        "initialization": INITIALIZATION,
        "replicas": Integer(doc="How many machines there are.", format="int32", minimum=0),
        "infrastructureMachineKind": Text(
            doc="The kind of the replicas, by which Cluster API finds them.", max_length=256
        ),
        **MACHINE_SIZE,
        "conditions": CONDITIONS,
    },
)


def _pool_spec(behaviour: Struct) -> Struct:
    machine = Struct(
        doc="What the pool's InMemoryMachines are made from.",
        fields={
            "metadata": TEMPLATE_METADATA,
            "spec": Struct(
                doc="The InMemoryMachines' spec; machines that differ from it are replaced.",
                fields={"behaviour": behaviour},
            ),
        },
    )
    identity = Text(
        doc="The provider ID of a machine.", pattern=PROVIDER_ID_PATTERN, max_length=512
    )
    return Struct(
        doc="The desired state of the pool; how many machines it has says the MachinePool.",
        fields={
            "providerIDList": Sequence(
                doc="The machines there are; set by the controller.",
                items=identity,
                max_items=10000,
            ),
            "template": machine,
        },
    )


def pool_kinds(behaviour: Struct) -> tuple[Kind, Kind]:
    """Return InMemoryMachinePool and its template, whose machines may be told this behaviour."""
    spec = _pool_spec(behaviour)
    columns = (
        CLUSTER_NAME_COLUMN,
        Column(
            "MachinePool",
            '.metadata.ownerReferences[?(@.kind=="MachinePool")].name',
            "The MachinePool that owns it",
        ),
        Column("Replicas", ".status.replicas", "How many machines there are", "integer"),
        Column("Ready", ".status.ready", "Whether all replicas were there once"),
        AGE_COLUMN,
        PAUSED_COLUMN,
    )
    doc = "A pool of machines that do not exist."
    pool = Kind(names.MACHINE_POOL_KIND, doc, spec, _STATUS, columns)
    doc = "What InMemoryMachinePools are made from by a ClusterClass."
    template = Kind(names.MACHINE_POOL_TEMPLATE_KIND, doc, template_spec(spec), None, (AGE_COLUMN,))
    return pool, template
