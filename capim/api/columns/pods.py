"""A pod in one line: how many of its containers are ready, what state it is in, how often they restarted.

Init containers run first and one after the other; the first that is not through decides the state. One
that restarts always (a sidecar) is through once it has started, and counts as a container.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from capim.api.columns.definitions import AGE, NAME, NONE, Column, at, items_at, since, text
from capim.api.meta import get_condition

if TYPE_CHECKING:
    from collections.abc import Iterable

    from capim.api.meta import JsonObject

_STATUSES: Final = "status.containerStatuses"
_INIT_STATUSES: Final = "status.initContainerStatuses"
#: what the status reason of a pod is when its node cannot be reached
_NODE_LOST: Final = "NodeLost"


def completion(pod: JsonObject) -> list[JsonObject]:
    """Return the conditions of the row: kubectl can leave out pods that have ended."""
    message = _ENDED.get(at(pod, "status.phase") or "")
    if message is None:
        return []
    reason = pod["status"]["phase"]
    return [{"type": "Completed", "status": "True", "reason": reason, "message": message}]


_ENDED: Final = {
    "Succeeded": "The pod has completed successfully.",
    "Failed": "The pod failed.",
}


def _ready(pod: JsonObject, _: float) -> str:
    sidecars = _sidecars(pod)
    total = len(items_at(pod, "spec.containers")) + len(sidecars)
    waiting = _first_waiting(pod)
    ready = sum(
        1
        for status in items_at(pod, _INIT_STATUSES)[:waiting]
        if status["name"] in sidecars and not _exited_well(status) and status.get("ready")
    )
    if _initialized(pod, waiting):
        ready += sum(1 for status in items_at(pod, _STATUSES) if _runs(status))
    return f"{ready}/{total}"


def _restarts(pod: JsonObject, now: float) -> str:
    waiting = _first_waiting(pod)
    init = items_at(pod, _INIT_STATUSES)
    counted: list[JsonObject] = init if waiting is None else init[: waiting + 1]
    if _initialized(pod, waiting):
        sidecars = _sidecars(pod)
        counted = [status for status in counted if status["name"] in sidecars]
        counted += items_at(pod, _STATUSES)
    total = sum(status.get("restartCount", 0) for status in counted)
    ends = (at(status, "lastState.terminated.finishedAt") for status in counted)
    last = max(filter(None, ends), default=None)
    return f"{total} ({since(last, now)} ago)" if total and last else str(total)


def _status(pod: JsonObject, _: float) -> str:
    if at(pod, "metadata.deletionTimestamp"):
        if at(pod, "status.reason") == _NODE_LOST:
            return "Unknown"
        if at(pod, "status.phase") not in _ENDED:
            return "Terminating"
    waiting = _first_waiting(pod)
    reason = _phase(pod)
    if waiting is not None:
        reason = _init_reason(pod, waiting)
    return _containers_reason(pod, reason) if _initialized(pod, waiting) else reason


def _phase(pod: JsonObject) -> str:
    gated = (get_condition(pod, "PodScheduled") or {}).get("reason") == "SchedulingGated"
    if gated:
        return "SchedulingGated"
    return str(at(pod, "status.reason") or at(pod, "status.phase") or "")


def _init_reason(pod: JsonObject, waiting: int) -> str:
    """Say what the init container at this index is at."""
    status = items_at(pod, _INIT_STATUSES)[waiting]
    if at(status, "state.terminated") is not None:
        return f"Init:{_exit_reason(status)}"
    reason = at(status, "state.waiting.reason")
    if reason and reason != "PodInitializing":
        return f"Init:{reason}"
    return f"Init:{waiting}/{len(items_at(pod, 'spec.initContainers'))}"


def _containers_reason(pod: JsonObject, reason: str) -> str:
    """Say what the containers are at; the first that has something to say wins."""
    statuses = items_at(pod, _STATUSES)
    failed = ""
    for status in reversed(statuses):
        if waits_for := at(status, "state.waiting.reason"):
            reason = waits_for
        elif (ended := at(status, "state.terminated")) is not None:
            reason = _exit_reason(status)
            if ended.get("exitCode"):
                failed = reason
    if reason != "Completed":
        return reason
    running = any(_runs(status) for status in statuses)
    if running and (get_condition(pod, "Ready") or {}).get("status") == "True":
        return "Running"
    return failed or ("NotReady" if running else reason)


def _exit_reason(status: JsonObject) -> str:
    ended = status["state"]["terminated"]
    if reason := ended.get("reason"):
        return str(reason)
    if signal := ended.get("signal"):
        return f"Signal:{signal}"
    return f"ExitCode:{ended.get('exitCode', 0)}"


def _sidecars(pod: JsonObject) -> set[str]:
    """Return the names of the init containers that run on."""
    containers = items_at(pod, "spec.initContainers")
    return {one["name"] for one in containers if one.get("restartPolicy") == "Always"}


def _first_waiting(pod: JsonObject) -> int | None:
    """Return the index of the first init container that is not through, None when all are."""
    sidecars = _sidecars(pod)
    for index, status in enumerate(items_at(pod, _INIT_STATUSES)):
        started = status["name"] in sidecars and status.get("started")
        if not started and not _exited_well(status):
            return index
    return None


def _initialized(pod: JsonObject, waiting: int | None) -> bool:
    return waiting is None or (get_condition(pod, "Initialized") or {}).get("status") == "True"


def _exited_well(status: JsonObject) -> bool:
    ended = at(status, "state.terminated")
    return ended is not None and not ended.get("exitCode")


def _runs(status: JsonObject) -> bool:
    """Tell whether a container is ready and running, and nothing else is said of it."""
    state: JsonObject = status.get("state") or {}
    quiet = not at(state, "waiting.reason") and state.get("terminated") is None
    return bool(quiet and status.get("ready") and state.get("running") is not None)


def _ip(pod: JsonObject, _: float) -> str:
    addresses = items_at(pod, "status.podIPs")
    return str(addresses[0].get("ip") or NONE) if addresses else NONE


def _gates(pod: JsonObject, _: float) -> str:
    gates: Iterable[Any] = items_at(pod, "spec.readinessGates")
    held = [(get_condition(pod, gate["conditionType"]) or {}).get("status") for gate in gates]
    return f"{held.count('True')}/{len(held)}" if held else NONE


PODS: Final = (
    NAME,
    Column("Ready", _ready, "Containers that are ready, of all"),
    Column("Status", _status, "What the containers are at"),
    Column("Restarts", _restarts, "How often containers restarted, and when the last did"),
    AGE,
    Column("IP", _ip, "Address of the pod", priority=1),
    Column("Node", text("spec.nodeName", NONE), "Where it is scheduled", priority=1),
    Column(
        "Nominated Node",
        text("status.nominatedNodeName", NONE),
        "Where preemption makes room for it",
        priority=1,
    ),
    Column("Readiness Gates", _gates, "Further conditions of readiness, of all", priority=1),
)
