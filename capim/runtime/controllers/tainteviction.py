"""Pods leave a node whose taints they do not tolerate, or not for ever.

Source: kube-controller-manager's taint-eviction controller: which toleration counts, texts.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from capim.runtime.controllers import events
from capim.runtime.controllers.base import Controller
from capim.runtime.controllers.kinds import NODES, PODS
from capim.runtime.controllers.nodefit import tolerates
from capim.runtime.controllers.podstate import is_deleting, node_of
from capim.runtime.controllers.scheduler import bound_to
from capim.runtime.controllers.taints import NO_EXECUTE
from capim.runtime.graceful import with_reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject
    from capim.runtime.controllers.base import Context, Key
    from capim.runtime.objects import Change


def _reconcile(context: Context, namespace: str, name: str) -> float | None:
    pod = context.get(PODS, namespace, name)
    node = context.nodes.get(context, node_of(pod)) if pod is not None else None
    taints = [taint for taint in node.taints if taint.get("effect") == NO_EXECUTE] if node else []
    if pod is None or not taints or is_deleting(pod):
        context.tainted.pop((namespace, name), None)
        return None
    since = context.tainted.setdefault((namespace, name), context.now())
    end = since + tolerated_s(pod["spec"].get("tolerations") or [], taints)
    if end > context.now():
        return end if end < math.inf else None
    _evict(context, pod)
    return None


def tolerated_s(tolerations: list[JsonObject], taints: list[JsonObject]) -> float:
    """Return for how many seconds all the taints are tolerated: the shortest time counts."""
    shortest = math.inf
    for taint in taints:
        used = [one for one in tolerations if tolerates(one, taint)]
        if not used:
            return 0.0
        times = (one.get("tolerationSeconds") for one in used)
        shortest = min(shortest, *(math.inf if t is None else max(0.0, float(t)) for t in times))
    return shortest


def _evict(context: Context, pod: JsonObject) -> None:
    metadata = pod["metadata"]
    why = ("DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint")
    context.save(PODS, with_reason(pod, *why, context.now()))
    text = f"Marking for deletion Pod {metadata['namespace']}/{metadata['name']}"
    events.record(context, pod, "taint-eviction-controller", "TaintManagerEviction", text)
    context.delete(PODS, metadata["namespace"], metadata["name"])


def _is_tainted(context: Context, node: str) -> bool:
    info = context.nodes.get(context, node)
    return info is not None and any(taint.get("effect") == NO_EXECUTE for taint in info.taints)


def _of_node(context: Context, change: Change) -> Iterator[Key]:
    if not context.nodes.note(context, change):
        return
    if context.tainted or _is_tainted(context, change.stored.name):
        for stored in context.stored(PODS, None):
            if bound_to(stored) == change.stored.name:
                yield stored.namespace, stored.name


def _of_pod(context: Context, change: Change) -> Iterator[Key]:
    stored = change.stored
    key = (stored.namespace, stored.name)
    if bound_to(stored) and (key in context.tainted or _is_tainted(context, bound_to(stored))):
        yield key


CONTROLLER: Final = Controller(
    "taint eviction", None, _reconcile, watches=((NODES, _of_node), (PODS, _of_pod))
)
