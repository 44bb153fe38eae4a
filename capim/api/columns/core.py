"""Printed columns of nodes, namespaces, events and other kinds of the core group that run nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api.columns.definitions import (
    AGE,
    NAME,
    NONE,
    UNKNOWN,
    Column,
    at,
    count,
    items_at,
    since,
    text,
)
from capim.api.meta import get_condition

if TYPE_CHECKING:
    from capim.api.columns.definitions import CellOf
    from capim.api.meta import JsonObject

_ROLE_PREFIX: Final = "node-role.kubernetes.io/"
_ROLE_LABEL: Final = "kubernetes.io/role"


# --- nodes -------------------------------------------------------------------------------------------


def _node_status(node: JsonObject, _: float) -> str:
    ready = get_condition(node, "Ready")
    status = "Unknown"
    if ready is not None:
        status = "Ready" if ready.get("status") == "True" else "NotReady"
    return f"{status},SchedulingDisabled" if at(node, "spec.unschedulable") else status


def _node_roles(node: JsonObject, _: float) -> str:
    labels: dict[str, str] = at(node, "metadata.labels") or {}
    roles = {label.removeprefix(_ROLE_PREFIX) for label in labels if label.startswith(_ROLE_PREFIX)}
    roles |= {labels.get(_ROLE_LABEL, "")}
    return ",".join(sorted(roles - {""})) or NONE


def _node_address(kind: str) -> CellOf:
    def cell(node: JsonObject, _: float) -> str:
        addresses = items_at(node, "status.addresses")
        found = (str(one["address"]) for one in addresses if one.get("type") == kind)
        return next(found, NONE)

    return cell


def _node_info(name: str, field: str, description: str) -> Column:
    return Column(name, text(f"status.nodeInfo.{field}", UNKNOWN), description, priority=1)


NODES: Final = (
    NAME,
    Column("Status", _node_status, "Whether it is ready and takes pods"),
    Column("Roles", _node_roles, "Roles, from its labels"),
    AGE,
    Column("Version", text("status.nodeInfo.kubeletVersion"), "Version of the kubelet"),
    Column("Internal-IP", _node_address("InternalIP"), "Address in the cluster", priority=1),
    Column("External-IP", _node_address("ExternalIP"), "Address for the outside", priority=1),
    _node_info("OS-Image", "osImage", "Operating system"),
    _node_info("Kernel-Version", "kernelVersion", "Kernel"),
    _node_info("Container-Runtime", "containerRuntimeVersion", "What runs the containers"),
)


# --- events ------------------------------------------------------------------------------------------


def _first_seen(event: JsonObject, now: float) -> str:
    return since(event.get("firstTimestamp") or event.get("eventTime"), now)


def _last_seen(event: JsonObject, now: float) -> str:
    if event.get("series"):
        return since(event["series"].get("lastObservedTime"), now)
    last = event.get("lastTimestamp")
    return since(last, now) if last else _first_seen(event, now)


def _event_count(event: JsonObject, _: float) -> int:
    return int((event.get("series") or {}).get("count") or event.get("count") or 1)


def _event_object(event: JsonObject, _: float) -> str:
    involved: JsonObject = event.get("involvedObject") or {}
    parts = (str(involved.get("kind", "")).lower(), str(involved.get("name", "")))
    return "/".join(part for part in parts if part)


def _event_source(event: JsonObject, _: float) -> str:
    component = at(event, "source.component") or event.get("reportingComponent") or ""
    instance = at(event, "source.host") or event.get("reportingInstance") or ""
    return f"{component}, {instance}" if instance else str(component)


def _event_message(event: JsonObject, _: float) -> str:
    return str(event.get("message") or "").strip()


EVENTS: Final = (
    Column("Last Seen", _last_seen, "When it was last seen"),
    Column("Type", text("type"), "Normal or Warning"),
    Column("Reason", text("reason"), "Why, for programs"),
    Column("Object", _event_object, "What it is about"),
    Column("Subobject", text("involvedObject.fieldPath"), "Which part of it", priority=1),
    Column("Source", _event_source, "Who reported it", priority=1),
    Column("Message", _event_message, "Why, for people"),
    Column("First Seen", _first_seen, "When it was first seen", priority=1),
    Column("Count", _event_count, "How often it was seen", priority=1),
    Column("Name", text("metadata.name"), "Unique within a namespace", format="name", priority=1),
)


# --- the rest ----------------------------------------------------------------------------------------

NAMESPACES: Final = (NAME, Column("Status", text("status.phase"), "Active or Terminating"), AGE)
CONFIG_MAPS: Final = (NAME, Column("Data", count("data", "binaryData"), "How many keys"), AGE)
SECRETS: Final = (
    NAME,
    Column("Type", text("type"), "What the secret is for"),
    Column("Data", count("data"), "How many keys"),
    AGE,
)


def _quota(*, limits: bool) -> CellOf:
    """Print used and hard amounts, of limits or of everything else."""

    def cell(quota: JsonObject, _: float) -> str:
        used: JsonObject = at(quota, "status.used") or {}
        hard: JsonObject = at(quota, "status.hard") or {}
        return ", ".join(
            f"{name}: {used.get(name, '0')}/{amount}"
            for name, amount in sorted(hard.items())
            if name.startswith("limits.") is limits
        )

    return cell


RESOURCE_QUOTAS: Final = (
    NAME,
    Column("Request", _quota(limits=False), "What may be asked for, and what is used"),
    Column("Limit", _quota(limits=True), "What limits may add up to, and what is used"),
    AGE,
)
