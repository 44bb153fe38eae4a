"""Whether a pod may run on a node: selectors, affinity, taints, room. Pure.

Departure: processors and memory are not counted, only pods; affinity between pods is not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from capim.api.meta import JsonObject, get_condition
from capim.runtime.controllers.taints import NO_SCHEDULE, UNSCHEDULABLE, wanted

_UNSCHEDULABLE = {"key": UNSCHEDULABLE, "effect": NO_SCHEDULE}
_UNLIMITED = 1 << 30


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """What of a node decides who runs there."""

    name: str
    labels: Mapping[str, str]
    taints: tuple[JsonObject, ...]
    unschedulable: bool
    ready: bool
    room: int  #: pods
    address: str
    pod_cidr: str
    simulated: bool  #: a kubelet of ours runs there
    troubles: tuple[
        tuple[str, str], ...
    ]  #: key and effect of the taints that its conditions ask for
    heartbeat: str = field(compare=False)  #: when its kubelet posted that it is ready

    @classmethod
    def of(cls, node: JsonObject) -> NodeInfo:
        """Read a Node."""
        spec, status = node.get("spec") or {}, node.get("status") or {}
        ready = get_condition(node, "Ready")
        addresses = {a.get("type"): a.get("address") for a in status.get("addresses") or ()}
        return cls(
            node["metadata"]["name"],
            node["metadata"].get("labels") or {},
            tuple(map(dict, spec.get("taints") or ())),
            bool(spec.get("unschedulable")),
            ready is not None and ready.get("status") == "True",
            int((status.get("allocatable") or {}).get("pods") or _UNLIMITED),
            str(addresses.get("InternalIP") or ""),
            str(spec.get("podCIDR") or ""),
            str(spec.get("providerID") or "").startswith("in-memory://"),
            wanted(node),
            str((ready or {}).get("lastHeartbeatTime") or ""),
        )


def is_selected(spec: JsonObject, node: NodeInfo) -> bool:
    """Tell whether a pod's node selector and required affinity name a node."""
    if not (spec.get("nodeSelector") or {}).items() <= node.labels.items():
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    return any(_fits_term(term, node) for term in required.get("nodeSelectorTerms") or ())


def untolerated(
    tolerations: list[JsonObject], node: NodeInfo, *, unschedulable: bool = True
) -> JsonObject | None:
    """Return the first taint that keeps a pod away, None for none.

    Args:
        tolerations: the pod's.
        node: the node.
        unschedulable: whether a cordon counts as the taint that it causes.
    """
    taints = node.taints
    if unschedulable and node.unschedulable and _UNSCHEDULABLE not in taints:
        taints = (*taints, _UNSCHEDULABLE)
    for taint in taints:
        if taint.get("effect") == "PreferNoSchedule":
            continue
        if not any(tolerates(one, taint) for one in tolerations):
            return taint
    return None


def tolerates(toleration: JsonObject, taint: JsonObject) -> bool:
    """Tell whether a toleration is for a taint."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return True
    same_value = toleration.get("value", "") == taint.get("value", "")
    return bool(toleration.get("key")) and same_value


def _fits_term(term: JsonObject, node: NodeInfo) -> bool:
    expressions = term.get("matchExpressions") or ()
    fields = term.get("matchFields") or ()
    if not expressions and not fields:
        return False  # an empty term selects nothing
    own = {"metadata.name": node.name}
    return all(_fits(one, node.labels) for one in expressions) and all(
        _fits(one, own) for one in fields
    )


def _fits(expression: JsonObject, labels: Mapping[str, str]) -> bool:
    value = labels.get(expression["key"])
    values = expression.get("values") or []
    match expression["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as operator:
            return _compares(operator, value, values)
    return False


def _compares(operator: str, value: str | None, values: list[str]) -> bool:
    try:
        number, limit = int(value or ""), int(values[0])
    except (ValueError, IndexError):
        return False
    return number > limit if operator == "Gt" else number < limit
