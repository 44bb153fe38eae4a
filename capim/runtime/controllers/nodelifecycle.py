"""Nodes that fall silent, and the taints that a node's conditions ask for.

A simulated machine's kubelet is never silent, unless somebody takes its lease: then, as for nodes that
clients made, a lease that is no longer renewed and a status that is no longer posted make a node unknown.
Conditions that a client writes stay. Source: kube-controller-manager's node lifecycle controller:
times, conditions, taints, events. Departure: zones in which many nodes fall silent are not spared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api.meta import format_time, get_condition, parse_time
from capim.runtime.controllers import events
from capim.runtime.controllers.base import Controller
from capim.runtime.controllers.kinds import LEASES, NODES, PODS
from capim.runtime.controllers.podstate import is_ready
from capim.runtime.controllers.scheduler import bound_to
from capim.runtime.controllers.taints import corrected
from capim.runtime.manifests.defaults import NODE_LEASE
from capim.runtime.manifests.nodes import conditions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject
    from capim.runtime.controllers.base import Context, Key
    from capim.runtime.objects import Change

_COMPONENT: Final = "node-controller"
_GRACE_S: Final = 50.0
_STARTUP_GRACE_S: Final = 60.0
_KUBELETS: Final = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
_STOPPED: Final = "NodeStatusUnknown"


def _reconcile(context: Context, _: str, name: str) -> float | None:
    node, info = context.get(NODES, "", name), context.nodes.get(context, name)
    if node is None or info is None:
        context.heard.pop(name, None)
        context.taken_over.discard(name)
        context.given_up.discard(name)
        return None
    due = None
    if not info.simulated or name in context.taken_over:
        due = _silent_at(context, node)
        if due <= context.now():
            node, due = _give_up(context, node), None
            context.given_up.add(name)
    elif name in context.given_up:
        context.given_up.discard(name)
        node = _revive(context, node)
    spec: JsonObject = node.get("spec") or {}
    taints = corrected(node, context.now())
    if taints != (spec.get("taints") or []):
        context.write(NODES, node | {"spec": spec | {"taints": taints}})
    return due


def _silent_at(context: Context, node: JsonObject) -> float:
    """Return when a node counts as silent, if nothing is heard of it until then."""
    metadata = node["metadata"]
    born = parse_time(metadata["creationTimestamp"])
    if get_condition(node, "Ready") is None:
        return born + _STARTUP_GRACE_S
    return context.heard.get(metadata["name"], ("", born))[1] + _GRACE_S


def _give_up(context: Context, node: JsonObject) -> JsonObject:
    """Say of a silent node that nothing is known of it."""
    time, status = format_time(context.now()), node.get("status") or {}
    was_ready = (get_condition(node, "Ready") or {}).get("status") == "True"
    made = [_unknown(condition, time) for condition in status.get("conditions") or ()]
    there = {condition["type"] for condition in made}
    never = {
        "status": "Unknown",
        "reason": "NodeStatusNeverUpdated",
        "message": "Kubelet never posted node status.",
        "lastHeartbeatTime": node["metadata"]["creationTimestamp"],
        "lastTransitionTime": time,
    }
    made += [{"type": kind} | never for kind in _KUBELETS if kind not in there]
    if made == status.get("conditions"):
        return node
    node = context.save(NODES, node | {"status": status | {"conditions": made}})
    if was_ready:
        name = node["metadata"]["name"]
        text = f"Node {name} status is now: NodeNotReady"
        events.record(context, node, _COMPONENT, "NodeNotReady", text)
        _tell_pods(context, name, time)
    return node


def _unknown(condition: JsonObject, time: str) -> JsonObject:
    if condition["type"] not in _KUBELETS or condition["status"] == "Unknown":
        return condition
    return condition | {
        "status": "Unknown",
        "reason": _STOPPED,
        "message": "Kubelet stopped posting node status.",
        "lastTransitionTime": time,
    }


def _tell_pods(context: Context, name: str, time: str) -> None:
    """Let the pods of a node that is not ready be not ready."""
    for stored in context.stored(PODS, None):
        pod = stored.json() if bound_to(stored) == name else None
        if pod is None or not is_ready(pod):
            continue
        changed = [
            c | {"status": "False", "lastTransitionTime": time} if c["type"] == "Ready" else c
            for c in pod["status"]["conditions"]
        ]
        pod = context.save(PODS, pod | {"status": pod["status"] | {"conditions": changed}})
        events.record(context, pod, _COMPONENT, "NodeNotReady", "Node is not ready", kind="Warning")


def _hear_of_pods(context: Context, name: str) -> None:
    """Let a kubelet that is heard again say which of its pods have been ready all the time."""
    time = format_time(context.now())
    for stored in context.stored(PODS, None):
        pod = stored.json() if bound_to(stored) == name else None
        if pod is None or is_ready(pod) or pod["spec"].get("readinessGates"):
            continue
        status = pod.get("status") or {}
        containers = status.get("containerStatuses") or [{}]
        if status.get("phase") == "Running" and all(one.get("ready") for one in containers):
            changed = [
                c | {"status": "True", "lastTransitionTime": time} if c["type"] == "Ready" else c
                for c in status["conditions"]
            ]
            context.save(PODS, pod | {"status": status | {"conditions": changed}})


def _revive(context: Context, node: JsonObject) -> JsonObject:
    """Let a kubelet that has its lease back post its status, and that of its pods."""
    _hear_of_pods(context, node["metadata"]["name"])
    posted = {c["type"]: c for c in conditions(context.now())}
    old = node["status"]["conditions"]
    renewed = [posted.get(c["type"], c) if c["type"] in _KUBELETS else c for c in old]
    return context.save(NODES, node | {"status": node["status"] | {"conditions": renewed}})


def _of_node(context: Context, change: Change) -> Iterator[Key]:
    name = change.stored.name
    matters = context.nodes.note(context, change)
    info = context.nodes.get(context, name) if change.type != "DELETED" else None
    if info is not None and not info.simulated:
        heartbeat = context.heard.get(name, (None, 0.0))[0]
        if heartbeat != info.heartbeat:
            context.heard[name] = (info.heartbeat, context.now())
    if matters:
        yield "", name


def _of_lease(context: Context, change: Change) -> Iterator[Key]:
    """A lease of another holder than its node is a heartbeat of somebody else's."""
    stored = change.stored
    if stored.namespace != NODE_LEASE:
        return
    name = stored.name
    info = context.nodes.get(context, name)
    if info is None:
        return
    own = change.type == "DELETED" or b'"holderIdentity":"%b"' % name.encode() in stored.rest
    if info.simulated and own:
        if name in context.taken_over:
            context.taken_over.discard(name)
            yield "", name
        return
    context.heard[name] = (info.heartbeat, context.now())
    if info.simulated and name not in context.taken_over:
        context.taken_over.add(name)
        yield "", name


CONTROLLER: Final = Controller(
    "node lifecycle", None, _reconcile, watches=((NODES, _of_node), (LEASES, _of_lease))
)
