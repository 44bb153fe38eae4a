"""The scheduler: binds pods to ready nodes that may run them, the emptiest first.

What cannot be bound says why in its condition PodScheduled and an event, and is looked at again when a
node changes. Pods that ask for another scheduler are left alone.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from capim.api.meta import format_time, get_condition, with_condition
from capim.runtime.controllers import events
from capim.runtime.controllers.base import Controller
from capim.runtime.controllers.kinds import CLAIMS, NODES, PODS
from capim.runtime.controllers.nodefit import is_selected, untolerated
from capim.runtime.controllers.podstate import claims_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject
    from capim.runtime.controllers.base import Context, Key
    from capim.runtime.controllers.nodefit import NodeInfo
    from capim.runtime.objects import Change, Stored

_NAME: Final = "default-scheduler"
_NODE_NAME: Final = PODS.field_labels.index("spec.nodeName")


def _reconcile(context: Context, namespace: str, name: str) -> None:
    stored = context.group.find(PODS, namespace, name)
    if stored is None or stored.deleting or stored.field_values[_NODE_NAME]:
        return
    pod = stored.json()
    spec = pod["spec"]
    if spec.get("schedulerName", _NAME) != _NAME or spec.get("schedulingGates"):
        return
    node, why = None, _lacks_volumes(context, pod)
    if not why:
        node, why = _choose(context, spec)
    if node is not None:
        _bind(context, pod, node)
    elif _set_scheduled(context, pod, "False", "Unschedulable", why):
        context.save(PODS, pod)
        events.record_scheduling(context, pod, "FailedScheduling", why)


def _lacks_volumes(context: Context, pod: JsonObject) -> str:
    """Return why a pod's claims keep it from being bound, empty where they do not."""
    for name in claims_of(pod):
        claim = context.get(CLAIMS, pod["metadata"]["namespace"], name)
        if claim is None:
            return _nowhere(context, f'persistentvolumeclaim "{name}" not found')
        if (claim.get("status") or {}).get("phase") != "Bound":
            return _nowhere(context, "pod has unbound immediate PersistentVolumeClaims")
    return ""


def _nowhere(context: Context, why: str) -> str:
    count = len(context.nodes.all(context))
    head = f"0/{count} nodes are available"
    return f"{head}: {why}. preemption: {head}: {count} Preemption is not helpful for scheduling."


def _choose(context: Context, spec: JsonObject) -> tuple[NodeInfo | None, str]:
    """Return the node a pod should run on, or None and why there is none."""
    reasons: Counter[str] = Counter()
    fitting = []
    nodes = context.nodes.all(context)
    for node in nodes:
        reason = _refuses(context, spec, node)
        if reason:
            reasons[reason] += 1
        else:
            fitting.append(node)
    if fitting:
        return min(fitting, key=lambda node: (context.nodes.pods_on(node.name), node.name)), ""
    if not nodes:
        return None, "no nodes available to schedule pods"
    listed = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
    return None, _nowhere(context, listed)


def _refuses(context: Context, spec: JsonObject, node: NodeInfo) -> str:
    tolerations: list[JsonObject] = spec.get("tolerations") or []
    if node.unschedulable and untolerated(tolerations, node):
        return "node(s) were unschedulable"
    if taint := untolerated(tolerations, node):
        return f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"
    if not node.ready:
        return "node(s) were not ready"
    if not is_selected(spec, node):
        return "node(s) didn't match Pod's node affinity/selector"
    return "Too many pods" if context.nodes.pods_on(node.name) >= node.room else ""


def _bind(context: Context, pod: JsonObject, node: NodeInfo) -> None:
    pod["spec"]["nodeName"] = node.name
    _set_scheduled(context, pod, "True", "", "")
    context.save(PODS, pod)
    metadata = pod["metadata"]
    text = f"Successfully assigned {metadata['namespace']}/{metadata['name']} to {node.name}"
    events.record_scheduling(context, pod, "Scheduled", text)


def _set_scheduled(
    context: Context, pod: JsonObject, value: str, reason: str, message: str
) -> bool:
    """Set the condition in place; tell whether it says something new."""
    current = get_condition(pod, "PodScheduled") or {}
    if (current.get("status"), current.get("message", "")) == (value, message):
        return False
    made = {"type": "PodScheduled", "status": value, "lastProbeTime": None}
    made["lastTransitionTime"] = format_time(context.now())
    made |= {"reason": reason, "message": message} if reason else {}
    pod["status"] = with_condition(pod.get("status") or {}, made)
    return True


def is_bound(stored: Stored) -> bool:
    """Tell whether a stored pod is bound to a node."""
    return bool(stored.field_values[_NODE_NAME])


def bound_to(stored: Stored) -> str:
    """Return the node a stored pod is bound to."""
    return stored.field_values[_NODE_NAME]


def _of_node(context: Context, change: Change) -> Iterator[Key]:
    """A node changed: what waits may fit now."""
    if context.nodes.note(context, change) and change.type != "DELETED":
        for stored in context.stored(PODS, None):
            if not is_bound(stored):
                yield stored.namespace, stored.name


def _of_pod(context: Context, change: Change) -> Iterator[Key]:
    context.nodes.count(bound_to(change.previous) if change.previous else "", -1)
    context.nodes.count(bound_to(change.stored) if change.type != "DELETED" else "", 1)
    if not is_bound(change.stored) and change.type != "DELETED":
        yield change.stored.namespace, change.stored.name


def _of_claim(context: Context, change: Change) -> Iterator[Key]:
    for stored in context.stored(PODS, change.stored.namespace):
        if not is_bound(stored):
            yield stored.namespace, stored.name


CONTROLLER: Final = Controller(
    "scheduler",
    None,
    _reconcile,
    watches=((PODS, _of_pod), (NODES, _of_node), (CLAIMS, _of_claim)),
)
