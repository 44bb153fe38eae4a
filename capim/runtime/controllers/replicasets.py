"""ReplicaSets and ReplicationControllers: as many pods as their specs say.

Source: kube-controller-manager's replicaset controller (which runs both kinds): who is deleted first, the
texts of its events, the fields of the status.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Final

from capim.api.errors import APIError
from capim.api.meta import format_time, get_condition
from capim.runtime.controllers import events
from capim.runtime.controllers.base import Controller
from capim.runtime.controllers.claims import claim
from capim.runtime.controllers.kinds import PODS, REPLICA_SETS, REPLICATION_CONTROLLERS
from capim.runtime.controllers.podstate import (
    available_at,
    is_active,
    is_deleting,
    is_ready,
    label_selector,
    node_of,
    phase,
    pod_from,
)
from capim.runtime.graceful import has_ended

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.api.resources import Resource
    from capim.runtime.controllers.base import Context

#: so many pods are made or deleted in one go (the real one's burst)
_BURST: Final = 500
_COMPONENTS: Final = {
    REPLICA_SETS: "replicaset-controller",
    REPLICATION_CONTROLLERS: "replication-controller",
}
_PHASES: Final = {"Pending": 0, "Unknown": 1, "Running": 2}


def _reconcile(resource: Resource, context: Context, namespace: str, name: str) -> float | None:
    body = context.get(resource, namespace, name)
    if body is None:
        return None
    if not context.makes_pods:
        context.save_status(resource, body, status_without_pods(body))
        return None
    pods = claim(context, body, PODS, label_selector(body["spec"].get("selector")))
    failure = None
    if not is_deleting(body):
        failure = _scale(context, resource, body, [pod for pod in pods if is_active(pod)])
    pods = [pod for pod in context.controlled(body, PODS) if not has_ended(pod)]
    status, again_at = _status(context, resource, body, pods)
    _set_failure(context, body, status, failure)
    context.save_status(resource, body, status)
    if failure is not None:
        raise failure  # tried again, each time later
    return again_at


def replicas_of(body: JsonObject) -> int:
    """Return how many replicas a spec asks for."""
    replicas = (body.get("spec") or {}).get("replicas")
    return 1 if replicas is None else int(replicas)


def _scale(
    context: Context, resource: Resource, body: JsonObject, active: list[JsonObject]
) -> APIError | None:
    """Make or delete pods; return why none could be made."""
    missing = replicas_of(body) - len(active)
    component = _COMPONENTS[resource]
    try:
        for _ in range(min(missing, _BURST)):
            made = context.make(PODS, pod_from(body, body["spec"]["template"]))
            text = f"Created pod: {made['metadata']['name']}"
            events.record(context, body, component, "SuccessfulCreate", text)
    except APIError as error:
        if "NamespaceTerminating" not in str(error.details):
            text = f"Error creating: {error.message}"
            events.record(context, body, component, "FailedCreate", text, kind="Warning")
        return error
    for pod in first_to_go(active)[: min(-missing, _BURST)] if missing < 0 else ():
        name = pod["metadata"]["name"]
        context.delete(PODS, pod["metadata"]["namespace"], name)
        events.record(context, body, component, "SuccessfulDelete", f"Deleted pod: {name}")
    return None


def first_to_go(pods: list[JsonObject]) -> list[JsonObject]:
    """Return pods in the order in which a scale-down deletes them.

    Unbound before bound, not running before running, not ready before ready, the cheaper by annotation,
    the one with more siblings on its node, the one ready for less time, the younger.
    """
    siblings: dict[str, int] = {}
    for pod in pods:
        siblings[node_of(pod)] = siblings.get(node_of(pod), 0) + 1

    def rank(pod: JsonObject) -> tuple[object, ...]:
        ready = get_condition(pod, "Ready") or {}
        return (
            bool(node_of(pod)),
            _PHASES.get(phase(pod), 0),
            is_ready(pod),
            _deletion_cost(pod),
            -siblings[node_of(pod)],
            _later_first(ready.get("lastTransitionTime")),
            _later_first(pod["metadata"].get("creationTimestamp")),
        )

    return sorted(pods, key=rank)


def _deletion_cost(pod: JsonObject) -> int:
    annotations = pod["metadata"].get("annotations") or {}
    try:
        return int(annotations.get("controller.kubernetes.io/pod-deletion-cost", 0))
    except ValueError:
        return 0


def _later_first(time: str | None) -> tuple[int, ...]:
    return tuple(-ord(letter) for letter in time or "")


def status_without_pods(body: JsonObject) -> JsonObject:
    """Return the status of a set that has all it asks for."""
    replicas = replicas_of(body)
    status: JsonObject = {
        "replicas": replicas,
        "observedGeneration": body["metadata"].get("generation", 1),
    }
    counts = ("fullyLabeledReplicas", "readyReplicas", "availableReplicas")
    return status | (dict.fromkeys(counts, replicas) if replicas else {})


def _status(
    context: Context, resource: Resource, body: JsonObject, pods: list[JsonObject]
) -> tuple[JsonObject, float | None]:
    """Return the status, and when a pod becomes available by being ready long enough."""
    active = [pod for pod in pods if is_active(pod)]
    labels = (body["spec"]["template"].get("metadata") or {}).get("labels") or {}
    times = [available_at(pod, body["spec"].get("minReadySeconds") or 0) for pod in active]
    counts = {
        "fullyLabeledReplicas": sum(
            labels.items() <= (pod["metadata"].get("labels") or {}).items() for pod in active
        ),
        "readyReplicas": sum(map(is_ready, active)),
        "availableReplicas": sum(at <= context.now() for at in times),
    }
    status: JsonObject = {"replicas": len(active)}
    status |= {field: count for field, count in counts.items() if count}
    if resource is REPLICA_SETS:
        status["terminatingReplicas"] = sum(map(is_deleting, pods))
    status["observedGeneration"] = body["metadata"]["generation"]
    pending = [at for at in times if context.now() < at < math.inf]
    return status, min(pending, default=None)


def _set_failure(
    context: Context, body: JsonObject, status: JsonObject, failure: APIError | None
) -> None:
    """Keep the first failure's words: each one names another pod."""
    old = get_condition(body, "ReplicaFailure")
    conditions = [c for c in (body.get("status") or {}).get("conditions") or () if c is not old]
    if failure is not None:
        made = {
            "type": "ReplicaFailure",
            "status": "True",
            "lastTransitionTime": format_time(context.now()),
            "reason": "FailedCreate",
            "message": failure.message,
        }
        conditions.append(old or made)
    if conditions:
        status["conditions"] = conditions


def _controller(resource: Resource) -> Controller:
    return Controller(resource.plural, resource, partial(_reconcile, resource), owns=(PODS,))


CONTROLLERS: Final = (_controller(REPLICA_SETS), _controller(REPLICATION_CONTROLLERS))
