"""The taints that a node's conditions and a cordon ask for. Pure.

Source: kube-controller-manager's node lifecycle controller: which condition asks for which taint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api.meta import format_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from capim.api.meta import JsonObject

NOT_READY: Final = "node.kubernetes.io/not-ready"
UNREACHABLE: Final = "node.kubernetes.io/unreachable"
UNSCHEDULABLE: Final = "node.kubernetes.io/unschedulable"
NO_SCHEDULE: Final = "NoSchedule"
NO_EXECUTE: Final = "NoExecute"
_OF_CONDITIONS: Final = {
    ("Ready", "False"): NOT_READY,
    ("Ready", "Unknown"): UNREACHABLE,
    ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
    ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
}
#: key and effect of the taints that come and go with conditions
_OWN: Final = frozenset(
    {(key, NO_SCHEDULE) for key in (*_OF_CONDITIONS.values(), UNSCHEDULABLE)}
    | {(NOT_READY, NO_EXECUTE), (UNREACHABLE, NO_EXECUTE)}
)


def wanted(node: JsonObject) -> tuple[tuple[str, str], ...]:
    """Return key and effect of the taints that a node's conditions ask for, in their order."""
    conditions = (node.get("status") or {}).get("conditions") or ()
    found = list(_of_conditions(conditions))
    if (node.get("spec") or {}).get("unschedulable"):
        found.append((UNSCHEDULABLE, NO_SCHEDULE))
    return tuple(found)


def corrected(node: JsonObject, now: float) -> list[JsonObject]:
    """Return the taints that a node should have: those of others, and what its conditions ask for."""
    asked = wanted(node)
    taints: list[JsonObject] = (node.get("spec") or {}).get("taints") or []
    kept = [taint for taint in taints if _kind(taint) not in _OWN or _kind(taint) in asked]
    there = {_kind(taint) for taint in kept}
    time = format_time(now)
    added = (kind for kind in asked if kind not in there)
    return [*kept, *({"effect": effect, "key": key, "timeAdded": time} for key, effect in added)]


def _of_conditions(conditions: Iterable[JsonObject]) -> Iterator[tuple[str, str]]:
    for condition in conditions:
        key = _OF_CONDITIONS.get((condition.get("type", ""), condition.get("status", "")))
        if key is None:
            continue
        yield key, NO_SCHEDULE
        if condition["type"] == "Ready":
            yield key, NO_EXECUTE


def _kind(taint: JsonObject) -> tuple[str, str]:
    return taint.get("key", ""), taint.get("effect", "")
