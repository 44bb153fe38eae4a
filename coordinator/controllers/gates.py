"""What a machine or cluster waits for, read from Cluster API's objects of either contract. Pure.

v1beta1 says `status.infrastructureReady` where v1beta2 says
`status.initialization.infrastructureProvisioned`; both are read, whichever version is served.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from capim.api import infrastructure as infra
from capim.api.gvk import NamespacedName, split_api_version
from capim.api.meta import get_condition

if TYPE_CHECKING:
    from capim.api.meta import JsonObject

CLUSTER_API_GROUP = "cluster.x-k8s.io"


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate that is closed: the condition's reason and words for a person."""

    reason: str
    message: str


def deleting(obj: JsonObject) -> bool:
    """Say whether an object waits for its finalizers."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def annotation(obj: JsonObject, name: str) -> str | None:
    """Return an annotation's value, or None."""
    value: str | None = (obj["metadata"].get("annotations") or {}).get(name)
    return value


def label(obj: JsonObject, name: str) -> str | None:
    """Return a label's value, or None."""
    value: str | None = (obj["metadata"].get("labels") or {}).get(name)
    return value


def has_finalizer(obj: JsonObject, finalizer: str) -> bool:
    """Say whether an object carries a finalizer."""
    return finalizer in (obj["metadata"].get("finalizers") or [])


def watched(obj: JsonObject, watch_filter: str) -> bool:
    """Say whether an object is this manager's business: `--watch-filter`, and nobody else manages it."""
    if annotation(obj, infra.MANAGED_BY_ANNOTATION) is not None:
        return False
    return not watch_filter or label(obj, infra.WATCH_FILTER_LABEL) == watch_filter


def pauses(cluster: JsonObject | None, obj: JsonObject) -> list[str]:
    """Return why an object is paused; empty when it is not."""
    reasons = []
    if cluster is not None and (cluster.get("spec") or {}).get("paused"):
        reasons.append("Cluster spec.paused is set to true")
    if annotation(obj, infra.PAUSED_ANNOTATION) is not None:
        reasons.append(f"{obj['kind']} has the {infra.PAUSED_ANNOTATION} annotation")
    return reasons


def owner(obj: JsonObject, kind: str) -> NamespacedName | None:
    """Return the owner of a Cluster API kind, of any version."""
    metadata = obj["metadata"]
    for reference in metadata.get("ownerReferences") or []:
        group, _ = split_api_version(reference["apiVersion"])
        if (group, reference["kind"]) == (CLUSTER_API_GROUP, kind):
            return NamespacedName(metadata.get("namespace", ""), reference["name"])
    return None


def infrastructure_name(obj: JsonObject, kind: str) -> NamespacedName | None:
    """Return what a Cluster's or Machine's `spec.infrastructureRef` names, if it is of our kind."""
    reference = (obj.get("spec") or {}).get("infrastructureRef") or {}
    if reference.get("kind") != kind or not reference.get("name"):
        return None
    return NamespacedName(obj["metadata"].get("namespace", ""), reference["name"])


def cluster_of(obj: JsonObject) -> NamespacedName | None:
    """Return the Cluster that an object's label names."""
    name = label(obj, infra.CLUSTER_NAME_LABEL)
    return NamespacedName(obj["metadata"].get("namespace", ""), name) if name else None


def is_control_plane(machine: JsonObject) -> bool:
    """Say whether a Machine, or the InMemoryMachine made for it, belongs to the control plane."""
    return label(machine, infra.CONTROL_PLANE_LABEL) is not None


def infrastructure_ready(cluster: JsonObject) -> bool:
    """Say whether Cluster API has seen the cluster's infrastructure ready."""
    status = cluster.get("status") or {}
    initialization = status.get("initialization") or {}
    return bool(
        status.get("infrastructureReady") or initialization.get("infrastructureProvisioned")
    )


def control_plane_initialized(cluster: JsonObject) -> bool:
    """Say whether the cluster's first control plane machine is up."""
    initialization = (cluster.get("status") or {}).get("initialization") or {}
    if initialization.get("controlPlaneInitialized"):
        return True
    condition = get_condition(cluster, "ControlPlaneInitialized")
    return condition is not None and condition.get("status") == "True"


def bootstrap_secret(machine: JsonObject) -> str | None:
    """Return the name of the Secret with the Machine's bootstrap data, once there is one."""
    bootstrap = (machine.get("spec") or {}).get("bootstrap") or {}
    name: str | None = bootstrap.get("dataSecretName")
    return name


def provisioning_gate(
    cluster: JsonObject, machine: JsonObject, *, bootstrapped: bool = False
) -> Gate | None:
    """Return the first gate that keeps a machine's VM from being created, or None.

    Args:
        cluster: its Cluster.
        machine: its Machine.
        bootstrapped: there is bootstrap data, whether the Machine says so or not.
    """
    if not infrastructure_ready(cluster):
        return Gate(
            infra.WAITING_FOR_CLUSTER_INFRASTRUCTURE_REASON,
            "waiting for Cluster API to see the InMemoryCluster ready",
        )
    if bootstrapped or bootstrap_secret(machine) is not None:
        return None
    if not is_control_plane(machine) and not control_plane_initialized(cluster):
        return Gate(
            infra.WAITING_CONTROL_PLANE_INITIALIZED_REASON,
            "waiting for the first control plane machine",
        )
    return Gate(
        infra.WAITING_FOR_BOOTSTRAP_DATA_REASON,
        "waiting for the bootstrap provider to set the Machine's bootstrap data",
    )
