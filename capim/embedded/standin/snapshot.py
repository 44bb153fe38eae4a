"""What the stand-in knows of one cluster when it decides: values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from capim.api.gvk import GVR
from capim.api.meta import JsonObject

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(slots=True)
class WorkloadFacts:
    """What was seen of a workload cluster through its own API."""

    nodes: dict[str, str] = field(default_factory=dict)  #: provider ID -> node name
    healthy_members: set[str] = field(default_factory=set)  #: nodes whose etcd member answered well


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One cluster's objects in the management API and the facts of its workload API."""

    cluster: JsonObject
    infra: JsonObject | None
    control_plane: JsonObject | None
    deployments: list[JsonObject]
    machines: list[JsonObject]
    infra_machines: dict[str, JsonObject]  #: by name
    templates: dict[str, JsonObject]  #: by name
    secrets: frozenset[str]  #: names
    facts: WorkloadFacts
    now: float  #: seconds since the epoch, for transition times

    def machines_of(self, owner: JsonObject) -> list[JsonObject]:
        """Return the machines an object owns, oldest first, those that are going left out."""
        uid = owner["metadata"]["uid"]
        owned = [one for one in self.machines if _owned_by(one, uid) and not _going(one)]
        return sorted(owned, key=lambda one: one["metadata"]["creationTimestamp"])

    def infra_of(self, machine: JsonObject) -> JsonObject | None:
        """Return a machine's InMemoryMachine."""
        return self.infra_machines.get(machine["metadata"]["name"])

    def node_of(self, machine: JsonObject) -> str | None:
        """Return the name of a machine's node, once it was seen."""
        infra = self.infra_of(machine)
        return self.facts.nodes.get((infra or {}).get("spec", {}).get("providerID", ""))


@dataclass(frozen=True, slots=True)
class Create:
    """Create this object."""

    gvr: GVR
    body: JsonObject


@dataclass(frozen=True, slots=True)
class Patch:
    """Merge this into the object, or into its status."""

    gvr: GVR
    name: str
    patch: JsonObject
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete this object."""

    gvr: GVR
    name: str


@dataclass(frozen=True, slots=True)
class CreateAuthorities:
    """Make the cluster's CA, etcd CA, front-proxy CA and service-account Secrets and its kubeconfig."""


@dataclass(frozen=True, slots=True)
class WatchNodes:
    """Look at the workload cluster's nodes until all machines have theirs."""


@dataclass(frozen=True, slots=True)
class CheckEtcd:
    """Ask this node's etcd member, through port-forward, whether it is well."""

    node: str


Action: TypeAlias = Create | Patch | Delete | CreateAuthorities | WatchNodes | CheckEtcd


def changed_status(obj: JsonObject, wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a wanted status that differs from the object's."""
    status = obj.get("status") or {}
    return {key: value for key, value in wanted.items() if status.get(key) != value}


def is_ready(obj: JsonObject | None) -> bool:
    """Say whether an infrastructure object reports `status.ready`."""
    return bool(obj and (obj.get("status") or {}).get("ready"))


def ready_count(snapshot: Snapshot, machines: Iterable[JsonObject]) -> int:
    """Count the machines whose node was seen."""
    return sum(snapshot.node_of(machine) is not None for machine in machines)


def _owned_by(obj: JsonObject, uid: str) -> bool:
    return any(owner["uid"] == uid for owner in obj["metadata"].get("ownerReferences", ()))


def _going(obj: JsonObject) -> bool:
    return "deletionTimestamp" in obj["metadata"]
