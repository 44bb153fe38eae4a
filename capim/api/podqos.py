"""The quality of service that a pod's containers come to.

Source: k8s.io/kubernetes `pkg/apis/core/v1/helper/qos`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from capim.api.quantities import parse_quantity

if TYPE_CHECKING:
    from capim.api.meta import JsonObject

_COUNTED: Final = ("cpu", "memory")


def qos_class(spec: JsonObject) -> str:
    """Return a pod's quality of service: all limited to what they request, nobody says anything, or else."""
    some, guaranteed = False, True
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        held: JsonObject = container.get("resources") or {}
        limits, requests = _asked(held.get("limits")), _asked(held.get("requests"))
        some = some or bool(limits or requests)
        guaranteed = guaranteed and len(limits) == len(_COUNTED) and limits == requests
    if not some:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _asked(held: JsonObject | None) -> dict[str, Any]:
    """Return what is asked for that is more than nothing."""
    found = {key: parse_quantity(held[key]).nanos for key in _COUNTED if held and key in held}
    return {key: value for key, value in found.items() if value > 0}
