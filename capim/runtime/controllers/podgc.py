"""The pod garbage collector: pods of nodes that are gone, or never were, go too.

Source: kube-controller-manager's podgc controller. Departure: a pod has the time to wait for its node from
its own birth on, so that one that ran goes with its node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api.meta import parse_time
from capim.runtime.controllers.base import Controller
from capim.runtime.controllers.kinds import NODES, PODS
from capim.runtime.controllers.scheduler import bound_to
from capim.runtime.graceful import has_ended, with_reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject
    from capim.runtime.controllers.base import Context, Key
    from capim.runtime.objects import Change


#: how long a pod waits for a node that may yet come
_QUARANTINE_S: Final = 40.0


def _reconcile(context: Context, _: str, name: str) -> float | None:
    if context.group.find(NODES, "", name) is not None:
        return None
    waiting = []
    for stored in context.stored(PODS, None):
        if bound_to(stored) != name:
            continue
        pod = stored.json()
        end = parse_time(pod["metadata"]["creationTimestamp"]) + _QUARANTINE_S
        if end > context.now():
            waiting.append(end)
            continue
        _note_failure(context, pod)
        context.delete(PODS, stored.namespace, stored.name, at_once=True)
    return min(waiting, default=None)


def _note_failure(context: Context, pod: JsonObject) -> None:
    """Say why a pod has gone, to those who watch."""
    if has_ended(pod):
        return
    told = with_reason(pod, "DeletionByPodGC", "PodGC: node no longer exists", context.now())
    context.save(PODS, told | {"status": told["status"] | {"phase": "Failed"}})


def _of_node(_: Context, change: Change) -> Iterator[Key]:
    if change.type == "DELETED":
        yield "", change.stored.name


def _of_pod(context: Context, change: Change) -> Iterator[Key]:
    node = bound_to(change.stored)
    if node and change.type != "DELETED" and context.group.find(NODES, "", node) is None:
        yield "", node


CONTROLLER: Final = Controller(
    "pod gc", None, _reconcile, watches=((NODES, _of_node), (PODS, _of_pod))
)
