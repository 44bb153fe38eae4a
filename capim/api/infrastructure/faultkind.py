"""InMemoryFault: what goes wrong in workload clusters, for how long and for whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api.faults import EFFECTS, Effect, Target
from capim.api.infrastructure import names
from capim.api.infrastructure.description import (
    AGE_COLUMN,
    CONDITIONS,
    TAINT_PATTERN,
    Column,
    Kind,
    duration,
    share,
)
from capim.api.schema import Integer, Node, Sequence, Struct, Text, TextMap

if TYPE_CHECKING:
    from collections.abc import Iterable

#: so long a fault lasts that says nothing of it: one that is forgotten ends
DEFAULT_DURATION: Final = "10m"

_LIMIT: Final = 256  #: items of a selector


def _texts(doc: str) -> Sequence:
    return Sequence(doc=doc, items=Text(min_length=1, max_length=256), max_items=_LIMIT)


_CLUSTERS: Final = Struct(
    doc="The Clusters of this namespace it is meant for; left out, all of them.",
    fields={
        "names": _texts("Names of Clusters."),
        "matchLabels": TextMap(doc="Labels that a Cluster has, all of them."),
    },
)

_MACHINES: Final = Struct(
    doc="The machines that a fault of machines can befall; left out, all of them.",
    fields={
        "names": _texts("Names of InMemoryMachines."),
        "matchLabels": TextMap(doc="Labels that an InMemoryMachine has, all of them."),
        "failureDomains": _texts("Failure domains they are in."),
    },
)

_REQUESTS: Final = Struct(
    doc="The requests that an apiServer fault can befall; left out, all of them.",
    fields={
        "verbs": Sequence(
            doc="What is done.",
            items=Text(
                enum=(
                    "get",
                    "list",
                    "watch",
                    "create",
                    "update",
                    "patch",
                    "delete",
                    "deletecollection",
                )
            ),
            max_items=8,
        ),
        "resources": _texts(
            "What it is done to: pods, deployments.apps, pods/eviction, pods/* (subresources alone) or *."
        ),
        "userAgents": _texts("Who does it, by patterns with * and ?, such as kubectl/*."),
    },
)

_SCHEDULE: Final = Struct(
    doc="When it acts; left out, from its creation on.",
    fields={
        "start": Text(doc="When it begins; left out, with its creation.", format="date-time"),
        "delay": duration("How long after start it begins."),
        "duration": duration(
            "How long it lasts, each time; then it heals by itself.", default=DEFAULT_DURATION
        ),
        "period": duration(
            "Within its time it comes and goes: it acts in the first half of each period."
        ),
        "every": duration("How often it comes again, from beginning to beginning."),
        "times": Integer(doc="How many times it comes; needs every.", minimum=1, maximum=100_000),
    },
)

_PARAMETERS: Final[dict[str, Node]] = {
    "latency": duration("How long a request waits."),
    "jitter": duration("How much longer it may wait: drawn evenly from zero to this, each time."),
    "curve": Sequence(
        doc="How long requests wait, as a distribution: ascending, with straight lines between.",
        items=Struct(
            required=("share", "latency"),
            fields={
                "share": share("Which part of the requests waits no longer, from 0 to 1."),
                "latency": duration("How long these wait at most."),
            },
        ),
        max_items=16,
    ),
    "taint": Text(
        doc="The taint, as kubectl has it: key=value:Effect or key:Effect.",
        pattern=TAINT_PATTERN,
        pattern_message="must be key=value:Effect, such as maintenance=today:NoSchedule",
        max_length=512,
    ),
    "kubeletVersion": Text(
        doc="What the kubelet says that it is, such as v1.30.2.", min_length=1, max_length=64
    ),
}


def parameters_of(effects: Iterable[str]) -> dict[str, Node]:
    """Return the fields that these effects read."""
    known = dict.fromkeys(name for effect in effects for name in EFFECTS[Effect(effect)].parameters)
    return {name: _PARAMETERS[name] for name in known}


_DOCS: Final = {
    Target.API_SERVER: "What befalls the API server and the requests to it.",
    Target.ETCD: "What befalls etcd and its members.",
    Target.NODES: "What befalls Nodes and their kubelets.",
    Target.CLOUD: "What befalls VMs, and the cloud they are in.",
}


def _section(target: Target) -> Struct:
    effects = [effect for effect in Effect if EFFECTS[effect].target is target]
    return Struct(
        doc=_DOCS[target],
        required=("effect",),
        fields={
            "effect": Text(doc="What goes wrong.", enum=tuple(effect.value for effect in effects)),
            **parameters_of(effects),
        },
    )


_SPEC: Final = Struct(
    doc="What goes wrong, when, and for whom. One of the sections that name a target is needed.",
    fields={
        "clusters": _CLUSTERS,
        "machines": _MACHINES,
        "requests": _REQUESTS,
        "schedule": _SCHEDULE,
        "probability": share(
            "Which share of the requests, machines or clusters that are chosen is befallen, from 0"
            " to 1; left out, all of them."
        ),
        "seed": Integer(
            doc="What chance is drawn from: the same seed, the same faults. Left out, the uid.",
            format="int64",
        ),
        **{target.value: _section(target) for target in Target},
    },
)

_STATUS: Final = Struct(
    doc="How the fault acts.",
    fields={
        "phase": Text(
            doc="Where it is in its schedule.",
            enum=("Pending", "Active", "Resting", "Ended", "Invalid"),
        ),
        "effect": Text(doc="Target and effect, for people.", max_length=64),
        "matchedClusters": Integer(doc="How many clusters it is meant for now.", minimum=0),
        "clusters": Sequence(
            doc="Their names, the first of them.", items=Text(max_length=256), max_items=20
        ),
        "hits": Integer(
            doc="How often it acted, as far as workers have told: nearly all there is.",
            format="int64",
            minimum=0,
        ),
        "activeUntil": Text(doc="When it stops to act; while it is Active.", format="date-time"),
        "endsAt": Text(doc="When it is over for good.", format="date-time"),
        "observedGeneration": Integer(
            doc="The metadata.generation this is about.", format="int64", minimum=0
        ),
        "conditions": CONDITIONS,
    },
)

INMEMORY_FAULT: Final = Kind(
    names.FAULT_KIND,
    "Something that goes wrong in workload clusters, for a time; deleted, it heals at once.",
    _SPEC,
    _STATUS,
    (
        Column("Effect", ".status.effect", "What goes wrong"),
        Column("Phase", ".status.phase", "Where it is in its schedule"),
        Column("Clusters", ".status.matchedClusters", "Clusters it is meant for", "integer"),
        Column("Hits", ".status.hits", "How often it acted", "integer"),
        AGE_COLUMN,
        Column("Until", ".status.activeUntil", "When it stops to act", priority=1),
    ),
)
