"""DaemonSets: a pod on every node that may run it.

Source: kube-controller-manager's daemon controller: which nodes count, what a pod tolerates and how it is
bound to its node, the order of an update, the fields of the status.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from capim.runtime.controllers import events, revisions
from capim.runtime.controllers.base import Controller
from capim.runtime.controllers.claims import claim
from capim.runtime.controllers.kinds import DAEMON_SETS, NODES, PODS, REVISIONS
from capim.runtime.controllers.nodefit import is_selected, untolerated
from capim.runtime.controllers.podstate import (
    available_at,
    is_active,
    is_deleting,
    is_ready,
    label_selector,
    node_of,
    pod_from,
    share_of,
)
from capim.runtime.graceful import has_ended

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject
    from capim.runtime.controllers.base import Context, Key
    from capim.runtime.controllers.nodefit import NodeInfo
    from capim.runtime.objects import Change

_HASH: Final = "controller-revision-hash"
_GENERATION: Final = "pod-template-generation"
_OWN_GENERATION: Final = "deprecated.daemonset.template.generation"
_COMPONENT: Final = "daemonset-controller"
#: key and effect of what every daemon's pod tolerates
_TOLERATED: Final = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)
#: how long nodes that come and go are gathered before they are counted again: where nodes are made one
#: after the other, a third of what each costs
_GATHERED_S: Final = 0.1
_HOST_NETWORK: Final = ("node.kubernetes.io/network-unavailable", "NoSchedule")


def _reconcile(context: Context, namespace: str, name: str) -> float | None:
    if not context.makes_pods:
        return _count(context, namespace, name)
    body = context.get(DAEMON_SETS, namespace, name)
    if body is None:
        return None
    wanted = _nodes_for(context, body)
    work = _Daemons(context, body, wanted)
    if not is_deleting(body):
        work.revise()
        work.place()
        work.update()
    return work.save_status()


def _count(context: Context, namespace: str, name: str) -> float | None:
    """Say of a DaemonSet that makes no pods that it runs where it should; not again and again at once."""
    key, now = (namespace, name), context.now()
    again_at = context.counted.get(key, -math.inf) + _GATHERED_S
    if now < again_at <= now + _GATHERED_S:
        return again_at
    body = context.get(DAEMON_SETS, namespace, name)
    if body is None:
        context.counted.pop(key, None)
        return None
    status = _status_without_pods(body, len(_nodes_for(context, body)))
    if status != body.get("status"):
        context.save_status(DAEMON_SETS, body, status)
        context.counted[key] = now
    return None


def _nodes_for(context: Context, body: JsonObject) -> set[str]:
    spec = body["spec"]["template"]["spec"]
    tolerations = _tolerations(spec)
    nodes = context.nodes.all(context)
    return {node.name for node in nodes if _should_run(spec, tolerations, node)}


class _Daemons:
    """One look at a DaemonSet and its pods."""

    def __init__(self, context: Context, body: JsonObject, wanted: set[str]) -> None:
        self._context = context
        self._body = body
        self._wanted = wanted
        self._selector = label_selector(body["spec"].get("selector"))
        self._digest = ""
        claim(context, body, PODS, self._selector)

    def revise(self) -> None:
        """Let the template's revision exist."""
        annotations = self._body["metadata"].get("annotations") or {}
        current, old = revisions.current(self._context, self._body, _HASH, annotations)
        self._digest = current["metadata"]["labels"][_HASH]
        used = {(pod["metadata"].get("labels") or {}).get(_HASH, "") for pod in self._pods()}
        names = {f"{self._body['metadata']['name']}-{digest}" for digest in used}
        revisions.clean_up(self._context, self._body, old, names)

    def place(self) -> None:
        """Make pods where they are missing, delete those that have no place or have failed."""
        by_node: dict[str, list[JsonObject]] = {}
        for pod in self._pods():
            by_node.setdefault(target_of(pod), []).append(pod)
        for node, pods in by_node.items():
            failed = [pod for pod in pods if has_ended(pod)]
            surplus = pods if node not in self._wanted else failed + self._doubles(pods)
            for pod in surplus:
                if not is_deleting(pod):
                    self._delete(pod)
        for node in sorted(self._wanted - by_node.keys()):
            self._make(node)

    def update(self) -> None:
        """Replace pods of an older template, as many at once as may be missing."""
        strategy = self._body["spec"].get("updateStrategy") or {}
        if strategy.get("type", "RollingUpdate") != "RollingUpdate":
            return
        limit = (strategy.get("rollingUpdate") or {}).get("maxUnavailable", 1)
        allowed = max(share_of(limit, len(self._wanted), up=True), 1)
        pods = [pod for pod in self._pods() if is_active(pod)]
        old = [pod for pod in pods if self._is_old(pod)]
        missing = [pod for pod in pods if not self._is_available(pod)]
        room = allowed - len(missing) - (len(self._wanted) - len(pods))
        for pod in old:
            if not self._is_available(pod):
                self._delete(pod)
            elif room > 0:
                room -= 1
                self._delete(pod)
        if old:
            self.place()

    def save_status(self) -> float | None:
        """Write the status; return when a pod becomes available by being ready long enough."""
        pods = [pod for pod in self._pods() if not is_deleting(pod)]
        placed = {target_of(pod): pod for pod in pods if target_of(pod) in self._wanted}
        on_nodes = list(placed.values())
        available = sum(map(self._is_available, on_nodes))
        missing = len(self._wanted) - available
        status: JsonObject = {
            "currentNumberScheduled": len(placed),
            "desiredNumberScheduled": len(self._wanted),
            "numberMisscheduled": len({target_of(pod) for pod in pods} - self._wanted),
            "numberReady": sum(map(is_ready, on_nodes)),
            "observedGeneration": self._body["metadata"]["generation"],
        }
        counts = {
            "updatedNumberScheduled": sum(not self._is_old(pod) for pod in on_nodes),
            "numberAvailable": available,
            "numberUnavailable": missing,
        }
        status |= {field: count for field, count in counts.items() if count}
        self._context.save_status(DAEMON_SETS, self._body, status)
        times = [available_at(pod, self._min_ready_s()) for pod in on_nodes]
        now = self._context.now()
        return min((at for at in times if now < at < math.inf), default=None)

    def _pods(self) -> list[JsonObject]:
        pods = self._context.controlled(self._body, PODS)
        return sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))

    def _doubles(self, pods: list[JsonObject]) -> list[JsonObject]:
        active = sorted((pod for pod in pods if is_active(pod)), key=lambda pod: not node_of(pod))
        return active[1:]

    def _make(self, node: str) -> None:
        pod = pod_from(self._body, self._body["spec"]["template"])
        labels = pod["metadata"].get("labels") or {}
        generation = (self._body["metadata"].get("annotations") or {}).get(_OWN_GENERATION, "1")
        pod["metadata"]["labels"] = labels | {_HASH: self._digest, _GENERATION: generation}
        pod["spec"]["tolerations"] = _tolerations(pod["spec"])
        field = {"key": "metadata.name", "operator": "In", "values": [node]}
        affinity = pod["spec"].get("affinity") or {}
        pod["spec"]["affinity"] = affinity | {
            "nodeAffinity": (affinity.get("nodeAffinity") or {})
            | {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchFields": [field]}]
                }
            }
        }
        made = self._context.make(PODS, pod)
        self._tell("SuccessfulCreate", f"Created pod: {made['metadata']['name']}")

    def _delete(self, pod: JsonObject) -> None:
        name = pod["metadata"]["name"]
        if self._context.delete(PODS, pod["metadata"]["namespace"], name):
            self._tell("SuccessfulDelete", f"Deleted pod: {name}")

    def _tell(self, reason: str, text: str) -> None:
        events.record(self._context, self._body, _COMPONENT, reason, text)

    def _is_old(self, pod: JsonObject) -> bool:
        return bool((pod["metadata"].get("labels") or {}).get(_HASH) != self._digest)

    def _is_available(self, pod: JsonObject) -> bool:
        return available_at(pod, self._min_ready_s()) <= self._context.now()

    def _min_ready_s(self) -> int:
        return int(self._body["spec"].get("minReadySeconds") or 0)


def target_of(pod: JsonObject) -> str:
    """Return the node a daemon's pod is for: where it is bound, or what its affinity names."""
    if node_of(pod):
        return node_of(pod)
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            if field["key"] == "metadata.name" and field["operator"] == "In":
                return str(field["values"][0])
    return ""


def _tolerations(spec: JsonObject) -> list[JsonObject]:
    held: list[JsonObject] = list(spec.get("tolerations") or ())
    wanted = (*_TOLERATED, _HOST_NETWORK) if spec.get("hostNetwork") else _TOLERATED
    for key, effect in wanted:
        made = {"key": key, "operator": "Exists", "effect": effect}
        if made not in held:
            held.append(made)
    return held


def _should_run(spec: JsonObject, tolerations: list[JsonObject], node: NodeInfo) -> bool:
    if spec.get("nodeName") and spec["nodeName"] != node.name:
        return False
    return is_selected(spec, node) and untolerated(tolerations, node) is None


def _status_without_pods(body: JsonObject, nodes: int) -> JsonObject:
    status: JsonObject = {
        "currentNumberScheduled": nodes,
        "desiredNumberScheduled": nodes,
        "numberMisscheduled": 0,
        "numberReady": nodes,
        "observedGeneration": body["metadata"]["generation"],
    }
    counts = ("updatedNumberScheduled", "numberAvailable")
    return status | (dict.fromkeys(counts, nodes) if nodes else {})


def _of_node(context: Context, change: Change) -> Iterator[Key]:
    if context.nodes.note(context, change):
        for stored in context.stored(DAEMON_SETS, None):
            yield stored.namespace, stored.name


CONTROLLER: Final = Controller(
    "daemon set", DAEMON_SETS, _reconcile, owns=(PODS, REVISIONS), watches=((NODES, _of_node),)
)
