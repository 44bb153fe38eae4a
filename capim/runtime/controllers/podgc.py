"""The pod garbage collector: pods of nodes that are gone go, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.runtime.controllers.base import Controller
from capim.runtime.controllers.kinds import NODES, PODS
from capim.runtime.controllers.scheduler import bound_to

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.runtime.controllers.base import Context, Key
    from capim.runtime.objects import Change


def _reconcile(context: Context, _: str, name: str) -> None:
    if context.group.find(NODES, "", name) is not None:
        return
    for stored in context.stored(PODS, None):
        if bound_to(stored) == name:
            context.delete(PODS, stored.namespace, stored.name)


def _of_node(_: Context, change: Change) -> Iterator[Key]:
    if change.type == "DELETED":
        yield "", change.stored.name


CONTROLLER: Final = Controller("pod gc", None, _reconcile, watches=((NODES, _of_node),))
