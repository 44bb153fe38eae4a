"""How a pod ends: why, how long it is given, and how another deletion may shorten that. Pure.

Source: the Kubernetes API server's registry of pods and its rules before a deletion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api.meta import format_time, parse_time, with_condition

if TYPE_CHECKING:
    from capim.api.meta import JsonObject

_ENDED: Final = frozenset({"Succeeded", "Failed"})


def has_ended(pod: JsonObject) -> bool:
    """Tell whether a pod's containers have all ended for good."""
    return (pod.get("status") or {}).get("phase") in _ENDED


def is_given_time(body: JsonObject) -> bool:
    """Tell whether an object that is to be deleted waits for somebody to end it."""
    return bool(body["metadata"].get("deletionGracePeriodSeconds"))


def period_s(pod: JsonObject, asked_s: int | None) -> int:
    """Return how long a pod is given; none at all where no kubelet has it, or has it any more."""
    spec = pod.get("spec") or {}
    if not spec.get("nodeName") or has_ended(pod):
        return 0
    given = spec.get("terminationGracePeriodSeconds") if asked_s is None else asked_s
    return _at_least_one(int(given or 0))


def begin(pod: JsonObject, seconds: int, now: float) -> None:
    """Mark a pod as to be deleted in so many seconds; in place."""
    metadata = pod["metadata"]
    metadata["deletionTimestamp"] = format_time(now + seconds)
    metadata["deletionGracePeriodSeconds"] = seconds
    if metadata.get("generation"):
        metadata["generation"] += 1


def shorten(pod: JsonObject, asked_s: int | None, now: float) -> bool:
    """Shorten the time of a pod that is to be deleted; in place. False: it stays as it is."""
    metadata = pod["metadata"]
    given = int(metadata["deletionGracePeriodSeconds"])
    seconds = given if asked_s is None else _at_least_one(asked_s)
    if seconds >= given:
        return False
    end = parse_time(metadata["deletionTimestamp"]) - given + seconds
    if end < now:  # it has had that time
        end, seconds = now, min(seconds, 1)
    metadata["deletionTimestamp"] = format_time(end)
    metadata["deletionGracePeriodSeconds"] = seconds
    return True


def with_reason(pod: JsonObject, reason: str, message: str, now: float) -> JsonObject:
    """Return a pod that says why it goes: with the condition DisruptionTarget."""
    made = {
        "type": "DisruptionTarget",
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": format_time(now),
        "reason": reason,
        "message": message,
    }
    return pod | {"status": with_condition(pod.get("status") or {}, made)}


def _at_least_one(seconds: int) -> int:
    return 1 if seconds < 0 else seconds
