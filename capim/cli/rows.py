"""What is shown of clusters, machines and shards: from objects to cells. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from capim.api import infrastructure as infra
from capim.api.columns.definitions import human_duration, since
from capim.api.gvk import NamespacedName
from capim.api.meta import JsonObject, get_condition
from capim.cli.tables import Column
from coordinator.controllers import gates
from coordinator.placement import PLACEMENT_ANNOTATION, Placement

if TYPE_CHECKING:
    from collections.abc import Iterable


#: what asks for a person; other reasons for not being ready pass by themselves
_GRAVE: Final = frozenset({"Warning", "Error"})

CLUSTER_COLUMNS: Final = (
    *(Column("NAMESPACE"), Column("NAME"), Column("PHASE"), Column("READY"), Column("ENDPOINT")),
    *(Column("SHARD"), Column("MACHINES"), Column("AGE")),
    *(Column("CLUSTER", wide=True), Column("VERSION", wide=True), Column("MESSAGE", wide=True)),
)
MACHINE_COLUMNS: Final = (
    *(Column("NAMESPACE"), Column("NAME"), Column("CLUSTER"), Column("ROLE"), Column("PHASE")),
    *(Column("READY"), Column("VERSION"), Column("AGE"), Column("NODE", wide=True)),
    *(Column("ADDRESS", wide=True), Column("PROVIDER-ID", wide=True), Column("MESSAGE", wide=True)),
)
SHARD_COLUMNS: Final = (
    *(Column("NAME"), Column("READY"), Column("CLUSTERS"), Column("OPEN"), Column("MACHINES")),
    *(Column("CONNECTIONS"), Column("MEMORY"), Column("CPU"), Column("PID", wide=True)),
)


@dataclass(frozen=True, slots=True)
class Fleet:
    """Cluster API's objects by name, and which Machines are of which Cluster."""

    clusters: Mapping[NamespacedName, JsonObject] = field(default_factory=dict)
    machines: Mapping[NamespacedName, JsonObject] = field(default_factory=dict)
    by_cluster: Mapping[NamespacedName, Sequence[JsonObject]] = field(default_factory=dict)

    @classmethod
    def of(cls, clusters: Iterable[JsonObject], machines: Iterable[JsonObject]) -> Fleet:
        """Put objects where they are found."""
        named = {name(machine): machine for machine in machines}
        by_cluster: defaultdict[NamespacedName, list[JsonObject]] = defaultdict(list)
        for machine in named.values():
            if cluster := gates.cluster_of(machine):
                by_cluster[cluster].append(machine)
        return cls({name(cluster): cluster for cluster in clusters}, named, by_cluster)


def name(obj: JsonObject) -> NamespacedName:
    """Return an object's name."""
    metadata = obj["metadata"]
    return NamespacedName(metadata.get("namespace", ""), metadata["name"])


def cluster_row(fleet: Fleet, obj: JsonObject, now: float) -> list[str]:
    """Return the cells of an InMemoryCluster."""
    owner = gates.owner(obj, "Cluster")
    cluster = fleet.clusters.get(owner) if owner else None
    machines = fleet.by_cluster.get(owner, ()) if owner else ()
    running = sum(_phase(machine) == "Running" for machine in machines)
    status, message = ready(obj)
    return [
        *name(obj),
        _phase(cluster),
        status,
        endpoint(obj),
        shard(obj),
        f"{running}/{len(machines)}",
        since(obj["metadata"].get("creationTimestamp"), now),
        owner.name if owner else "",
        _version(cluster, machines),
        message,
    ]


def machine_row(fleet: Fleet, obj: JsonObject, now: float) -> list[str]:
    """Return the cells of an InMemoryMachine."""
    owner = gates.owner(obj, "Machine")
    machine = (fleet.machines.get(owner) if owner else None) or {}
    cluster = gates.cluster_of(obj)
    spec, status = machine.get("spec") or {}, machine.get("status") or {}
    addresses = (obj.get("status") or {}).get("addresses") or ()
    state, message = ready(obj)
    return [
        *name(obj),
        cluster.name if cluster else "",
        "control-plane" if gates.is_control_plane(obj) else "worker",
        _phase(machine),
        state,
        spec.get("version") or "",
        since(obj["metadata"].get("creationTimestamp"), now),
        (status.get("nodeRef") or {}).get("name", ""),
        next((one["address"] for one in addresses), ""),
        (obj.get("spec") or {}).get("providerID") or "",
        message,
    ]


def shard_row(view: Mapping[str, Any]) -> list[str]:
    """Return the cells of a worker as the debug endpoint tells of it; unknown numbers are empty."""
    memory, cpu = view.get("residentBytes"), view.get("cpuSeconds")
    counts = ("clusters", "openListeners", "machines", "connections")
    ready_ = view.get("ready")
    return [
        view["name"],
        "Unknown" if ready_ is None else str(ready_),
        *(str(view.get(count, "")) for count in counts),
        f"{memory / (1 << 20):.0f}Mi" if memory else "",
        human_duration(cpu) if cpu is not None else "",
        str(view.get("pid", "")),
    ]


def ready(obj: JsonObject) -> tuple[str, str]:
    """Return what Ready says, and why where it is not True: its reason stands in for a message."""
    condition = get_condition(obj, infra.READY_CONDITION)
    if condition is None:
        return "Unknown", ""
    status = str(condition["status"])
    why = condition.get("message") or condition.get("reason") or ""
    return status, "" if status == "True" else str(why)


def problem(obj: JsonObject) -> str:
    """Return what is wrong with an object and asks for a person; empty while it only comes up."""
    for condition in (obj.get("status") or {}).get("conditions") or ():
        if condition.get("status") != "True" and condition.get("severity") in _GRAVE:
            said = condition.get("message") or condition.get("reason")
            return f"{obj['kind']} {name(obj)}: {condition['type']}: {said}"
    return ""


def endpoint(obj: JsonObject) -> str:
    """Return where a cluster's API server is, once it is known."""
    told = (obj.get("spec") or {}).get("controlPlaneEndpoint") or {}
    return f"{told['host']}:{told['port']}" if told.get("host") else ""


def shard(obj: JsonObject) -> str:
    """Return the worker that holds a cluster, once one does."""
    placement = Placement.parse(gates.annotation(obj, PLACEMENT_ANNOTATION) or "")
    return placement.worker if placement else ""


def _phase(obj: JsonObject | None) -> str:
    return str(((obj or {}).get("status") or {}).get("phase") or "")


def _version(cluster: JsonObject | None, machines: Iterable[JsonObject]) -> str:
    """Return the version that a topology asks for, else those of the machines."""
    topology = ((cluster or {}).get("spec") or {}).get("topology") or {}
    found = {str((machine.get("spec") or {}).get("version") or "") for machine in machines}
    return str(topology.get("version") or ",".join(sorted(found - {""})))
