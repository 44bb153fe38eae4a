"""PodDisruptionBudgets: how many of the pods they cover may be evicted now.

Source: kube-controller-manager's disruption controller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api.gvk import GVK, split_api_version
from capim.api.meta import format_time, get_condition, parse_time
from capim.runtime.controllers.base import Controller, controller_of
from capim.runtime.controllers.kinds import BUDGETS, PODS
from capim.runtime.controllers.podstate import (
    is_active,
    is_ready,
    label_selector,
    share_of,
)
from capim.runtime.controllers.replicasets import replicas_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject
    from capim.runtime.controllers.base import Context, Key
    from capim.runtime.objects import Change

#: an eviction whose pod is still there by then did not happen
_DISRUPTED_S: Final = 120.0
_ALLOWED: Final = "DisruptionAllowed"


def _reconcile(context: Context, namespace: str, name: str) -> float | None:
    body = context.get(BUDGETS, namespace, name)
    if body is None:
        return None
    chosen = body["spec"].get("selector")
    selector = label_selector(chosen)
    stored = context.stored(PODS, namespace) if chosen is not None else ()
    found = (one.json() for one in stored if selector.matches(one.labels))
    pods = [pod for pod in found if is_active(pod)]
    status = _status(context, body, pods)
    context.save_status(BUDGETS, body, status)
    times = (parse_time(text) for text in (status.get("disruptedPods") or {}).values())
    return min((at + _DISRUPTED_S for at in times), default=None)


def _status(context: Context, body: JsonObject, pods: list[JsonObject]) -> JsonObject:
    expected, desired = _expected(context, body, pods)
    disrupted = _still_disrupted(context, body, pods)
    healthy = sum(is_ready(pod) and pod["metadata"]["name"] not in disrupted for pod in pods)
    allowed = max(healthy - desired, 0) if expected else 0
    generation = body["metadata"].get("generation", 1)
    status: JsonObject = {
        "disruptionsAllowed": allowed,
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "expectedPods": expected,
        "observedGeneration": generation,
        "conditions": _conditions(context, body, generation, enough=allowed > 0),
    }
    return status | ({"disruptedPods": disrupted} if disrupted else {})


def _conditions(
    context: Context, body: JsonObject, generation: int, *, enough: bool
) -> list[JsonObject]:
    old = get_condition(body, _ALLOWED)
    value = "True" if enough else "False"
    since = format_time(context.now())
    if old is not None and old["status"] == value:
        since = old["lastTransitionTime"]
    made = {
        "type": _ALLOWED,
        "status": value,
        "reason": "SufficientPods" if enough else "InsufficientPods",
        "message": "",
        "lastTransitionTime": since,
        "observedGeneration": generation,
    }
    conditions = list((body.get("status") or {}).get("conditions") or ())
    if old is None:
        return [*conditions, made]
    return [made if condition is old else condition for condition in conditions]


def _expected(context: Context, body: JsonObject, pods: list[JsonObject]) -> tuple[int, int]:
    """Return how many pods there should be, and how many of them must be healthy."""
    spec: JsonObject = body["spec"]
    least = spec.get("minAvailable")
    if spec.get("maxUnavailable") is not None:
        expected = _scale(context, pods)
        missing = share_of(spec["maxUnavailable"], expected, up=True)
        return expected, max(expected - missing, 0)
    if isinstance(least, str):
        expected = _scale(context, pods)
        return expected, share_of(least, expected, up=True)
    return len(pods), int(least or 0)


def _scale(context: Context, pods: list[JsonObject]) -> int:
    """Return the sum of what the pods' controllers are scaled to."""
    scales: dict[str, int] = {}
    for pod in pods:
        reference, namespace = controller_of(pod), pod["metadata"]["namespace"]
        found: JsonObject | None = None
        while reference is not None:  # a pod's set, the set's deployment
            gvk = GVK(*split_api_version(reference["apiVersion"]), reference["kind"])
            resource = context.group.resources.by_gvk(gvk)
            owner = context.get(resource, namespace, reference["name"]) if resource else None
            if owner is None or owner["metadata"]["uid"] != reference["uid"]:
                break
            found, reference = owner, controller_of(owner)
        if found is not None:
            scales[found["metadata"]["uid"]] = replicas_of(found)
    return sum(scales.values())


def _still_disrupted(context: Context, body: JsonObject, pods: list[JsonObject]) -> dict[str, str]:
    """Return the pods whose eviction was allowed and that are not gone yet."""
    noted: dict[str, str] = (body.get("status") or {}).get("disruptedPods") or {}
    names = {pod["metadata"]["name"] for pod in pods}
    now = context.now()
    return {
        name: at
        for name, at in noted.items()
        if name in names and parse_time(at) + _DISRUPTED_S > now
    }


def _of_budget(context: Context, change: Change) -> Iterator[Key]:
    yield context.budgets.note(change)


def _of_pod(context: Context, change: Change) -> Iterator[Key]:
    return context.budgets.of_pod(change)


CONTROLLER: Final = Controller(
    "disruption", None, _reconcile, watches=((BUDGETS, _of_budget), (PODS, _of_pod))
)
