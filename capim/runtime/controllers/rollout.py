"""The arithmetic of a Deployment's rollout and its status. Pure: specs and statuses in, numbers out.

Source: kube-controller-manager's deployment controller; reasons and messages of conditions are its.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from capim.api.meta import format_time, get_condition, parse_time, without_condition
from capim.runtime.controllers.podstate import share_of
from capim.runtime.controllers.replicasets import replicas_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from capim.api.meta import JsonObject

REVISION: Final = "deployment.kubernetes.io/revision"
REVISION_HISTORY: Final = "deployment.kubernetes.io/revision-history"
DESIRED: Final = "deployment.kubernetes.io/desired-replicas"
MAXIMUM: Final = "deployment.kubernetes.io/max-replicas"
#: kubectl writes it for those who read a deadline of "none"
_NO_DEADLINE: Final = 2**31 - 1


def annotation(body: JsonObject, name: str) -> int:
    """Return a number an annotation states, 0 for none."""
    text = (body["metadata"].get("annotations") or {}).get(name, "")
    return int(text) if text.isdigit() else 0


def is_rolling(deployment: JsonObject) -> bool:
    """Tell whether new pods come before old ones have all gone."""
    strategy = deployment["spec"].get("strategy") or {}
    return bool(strategy.get("type", "RollingUpdate") == "RollingUpdate")


def max_surge(deployment: JsonObject) -> int:
    """Return how many pods there may be beyond the wanted ones."""
    if not is_rolling(deployment):
        return 0
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    return share_of(rolling.get("maxSurge", "25%"), replicas_of(deployment), up=True)


def max_unavailable(deployment: JsonObject) -> int:
    """Return how many of the wanted pods may be missing; one where neither that nor a surge is allowed."""
    replicas = replicas_of(deployment)
    if not is_rolling(deployment) or not replicas:
        return 0
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    missing = share_of(rolling.get("maxUnavailable", "25%"), replicas, up=False)
    if not missing and not max_surge(deployment):
        return 1
    return min(missing, replicas)


def total(sets: Iterable[JsonObject], field: str = "") -> int:
    """Return the sum over replica sets of a field of the status, or of the wanted replicas."""
    if not field:
        return sum(map(replicas_of, sets))
    return sum((one.get("status") or {}).get(field) or 0 for one in sets)


def new_size(deployment: JsonObject, sets: list[JsonObject], new: JsonObject | None) -> int:
    """Return how many replicas the new set may have now; None: it is yet to be made."""
    wanted, size = replicas_of(deployment), replicas_of(new) if new else 0
    if not is_rolling(deployment):
        return wanted
    room = wanted + max_surge(deployment) - total(sets)
    if room <= 0:
        return size
    return size + min(room, wanted - size)


def scaled_by(deployment: JsonObject, one: JsonObject) -> int:
    """Return by how many replicas a set changes when a Deployment is scaled in the midst of a rollout."""
    size = replicas_of(one)
    if not replicas_of(deployment):
        return -size
    before = annotation(one, MAXIMUM) or (deployment.get("status") or {}).get("replicas") or 0
    if not before:
        return 0
    exact = size * (replicas_of(deployment) + max_surge(deployment)) / before
    return math.floor(exact + 0.5) - size


def deadline_s(deployment: JsonObject) -> int | None:
    """Return how long a rollout may stand still, None for ever."""
    seconds = deployment["spec"].get("progressDeadlineSeconds")
    return None if seconds is None or seconds == _NO_DEADLINE else int(seconds)


def is_complete(deployment: JsonObject, status: JsonObject) -> bool:
    """Tell whether all wanted pods are new and available, and no old one is left."""
    counts = (status.get(f, 0) for f in ("updatedReplicas", "replicas", "availableReplicas"))
    return (
        all(count == replicas_of(deployment) for count in counts)
        and status["observedGeneration"] >= deployment["metadata"]["generation"]
    )


def is_progressing(old: JsonObject, new: JsonObject) -> bool:
    """Tell whether a status is nearer to the end of the rollout than the one before."""

    def left_over(status: JsonObject) -> int:
        return int(status.get("replicas", 0)) - int(status.get("updatedReplicas", 0))

    rising = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return left_over(new) < left_over(old) or any(
        new.get(field, 0) > old.get(field, 0) for field in rising
    )


def condition(kind: str, status: str, reason: str, message: str, now: float) -> JsonObject:
    """Return a Deployment's condition."""
    time = format_time(now)
    return {
        "type": kind,
        "status": status,
        "lastUpdateTime": time,
        "lastTransitionTime": time,
        "reason": reason,
        "message": message,
    }


def set_condition(status: JsonObject, made: JsonObject) -> None:
    """Put a condition last, unless it says what is said already."""
    current = get_condition({"status": status}, made["type"])
    if current and (current["status"], current["reason"]) == (made["status"], made["reason"]):
        return
    if current and current["status"] == made["status"]:
        made["lastTransitionTime"] = current["lastTransitionTime"]
    drop_condition(status, made["type"])
    status.setdefault("conditions", []).append(made)


def drop_condition(status: JsonObject, kind: str) -> None:
    """Take a condition away."""
    kept = without_condition(status, kind)
    status.pop("conditions", None)
    if kept:
        status["conditions"] = kept


def counts(deployment: JsonObject, sets: list[JsonObject], new: JsonObject | None) -> JsonObject:
    """Return the status as its numbers are now; the conditions are those there were."""
    old: JsonObject = deployment.get("status") or {}
    replicas, available = total(sets, "replicas"), total(sets, "availableReplicas")
    numbers = {
        "replicas": replicas,
        "updatedReplicas": total([new] if new else [], "replicas"),
        "readyReplicas": total(sets, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(replicas - available, 0),
    }
    status: JsonObject = {"observedGeneration": deployment["metadata"]["generation"]}
    status |= {field: number for field, number in numbers.items() if number}
    status["terminatingReplicas"] = total(sets, "terminatingReplicas")
    for key in ("collisionCount", "conditions"):
        if key in old:
            status[key] = old[key]
    return status


def with_conditions(
    deployment: JsonObject,
    status: JsonObject,
    sets: list[JsonObject],
    new: JsonObject | None,
    now: float,
) -> None:
    """Set Progressing and ReplicaFailure of a Deployment that is rolled out."""
    progressing = get_condition(deployment, "Progressing")
    limit = deadline_s(deployment)
    if limit is None:
        drop_condition(status, "Progressing")
    else:
        done = status.get("replicas", 0) == status.get("updatedReplicas", 0)
        reason = progressing["reason"] if progressing else ""
        if not (done and reason == "NewReplicaSetAvailable"):
            _set_progressing(deployment, status, new, now)
    failures = (get_condition(one, "ReplicaFailure") for one in sets)
    failure = next((one for one in failures if one), None)
    if failure is None:
        drop_condition(status, "ReplicaFailure")
    else:
        set_condition(
            status,
            condition("ReplicaFailure", "True", failure["reason"], failure["message"], now),
        )


def set_available(deployment: JsonObject, status: JsonObject, now: float) -> None:
    """Set the condition Available."""
    least = replicas_of(deployment) - max_unavailable(deployment)
    if status.get("availableReplicas", 0) >= least:
        text = "Deployment has minimum availability."
        made = condition("Available", "True", "MinimumReplicasAvailable", text, now)
    else:
        text = "Deployment does not have minimum availability."
        made = condition("Available", "False", "MinimumReplicasUnavailable", text, now)
    set_condition(status, made)


def gives_up_at(deployment: JsonObject) -> float:
    """Return when a rollout that stands still is given up; infinity for never."""
    progressing, limit = get_condition(deployment, "Progressing"), deadline_s(deployment)
    if progressing is None or limit is None:
        return math.inf
    if progressing["reason"] in {"NewReplicaSetAvailable", "ProgressDeadlineExceeded"}:
        return math.inf
    # strictly after the deadline, in whole seconds
    return parse_time(progressing["lastUpdateTime"]) + limit + 1


def _set_progressing(
    deployment: JsonObject, status: JsonObject, new: JsonObject | None, now: float
) -> None:
    kind = "ReplicaSet" if new else "Deployment"
    about = f'{kind} "{(new or deployment)["metadata"]["name"]}"'
    current = get_condition(deployment, "Progressing")
    if is_complete(deployment, status):
        text = f"{about} has successfully progressed."
        made = condition("Progressing", "True", "NewReplicaSetAvailable", text, now)
    elif is_progressing(deployment.get("status") or {}, status):
        text = f"{about} is progressing."
        made = condition("Progressing", "True", "ReplicaSetUpdated", text, now)
        if current is not None and current["status"] == "True":
            made["lastTransitionTime"] = current["lastTransitionTime"]
        drop_condition(status, "Progressing")  # also its time is renewed
    elif gives_up_at(deployment) <= now:
        text = f"{about} has timed out progressing."
        made = condition("Progressing", "False", "ProgressDeadlineExceeded", text, now)
    else:
        return
    set_condition(status, made)
