"""Which controllers run, and for each kind what a change of it concerns. Made once a process."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from capim.runtime.controllers import namespaces
from capim.runtime.controllers.base import Concerns, Controller

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.runtime.controllers.base import Context, Key
    from capim.runtime.objects import Change


@dataclass(slots=True)
class Handler:
    """What a change of one kind brings into the queue."""

    primaries: list[Controller] = field(default_factory=list)
    owners: set[Controller] = field(default_factory=set)
    watchers: list[tuple[Controller, Concerns]] = field(default_factory=list)

    def concerned(self, context: Context, change: Change) -> Iterator[tuple[Controller, Key]]:
        """Yield the keys that a change concerns, and keep book of who owns what."""
        stored = change.stored
        key = (stored.namespace, stored.name)
        for controller in self.primaries:
            if controller.owns:
                if change.type == "DELETED":
                    context.owners.pop(stored.uid, None)
                else:
                    context.owners[stored.uid] = (controller, key)
            yield controller, key
        if self.owners:
            before = change.previous.owners if change.previous else ()
            for uid in {*stored.owners, *before}:
                owner = context.owners.get(uid)
                if owner is not None and owner[0] in self.owners:
                    yield owner
        for controller, concerns in self.watchers:
            for concerned in concerns(context, change):
                yield controller, concerned


_CONTROLLERS: Final = (namespaces.CONTROLLER,)


@lru_cache
def handlers() -> dict[tuple[str, str], Handler]:
    """Return what every kind's changes bring into the queue."""
    table: dict[tuple[str, str], Handler] = {}
    for controller in _CONTROLLERS:
        table.setdefault(controller.primary.group_resource, Handler()).primaries.append(controller)
        for owned in controller.owns:
            table.setdefault(owned.group_resource, Handler()).owners.add(controller)
        for watched, concerns in controller.watches:
            table.setdefault(watched.group_resource, Handler()).watchers.append(
                (controller, concerns)
            )
    return table
