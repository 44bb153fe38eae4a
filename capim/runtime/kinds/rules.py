"""The way of a client's write of a built-in kind: typed, defaulted, admitted, checked, allocated.

The simulator's own objects do not come this way: they are whole when they are made. Kinds in `_LIGHT`
are written so often, or say so little, that they are stored as they come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api.defaults import set_defaults
from capim.api.validation import causes
from capim.api.views import is_view
from capim.runtime.kinds.admission import admit
from capim.runtime.kinds.quotas import Quotas
from capim.runtime.kinds.services import ServiceRanges
from capim.runtime.typed import typed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from capim.api.meta import JsonObject
    from capim.api.resources import Resource
    from capim.api.validation.field import Cause
    from capim.runtime.lifecycle import Lifecycle
    from capim.runtime.objects import Change
    from capim.runtime.store import Store

SERVICES: Final = ("", "services")
_LIGHT: Final = frozenset(
    {
        ("", "configmaps"),
        ("", "secrets"),
        ("", "namespaces"),
        ("apiextensions.k8s.io", "customresourcedefinitions"),
    }
)
#: kinds whose maps are not there when they are empty
_MAPS: Final = frozenset({("", "configmaps"), ("", "secrets")})
#: written much more often than made
_LIGHT_UPDATES: Final = frozenset({("", "nodes"), ("coordination.k8s.io", "leases")})


class BuiltinRules:
    """Holds a cluster's built-in kinds to a real server's rules. One loop, no lock."""

    def __init__(self, *, service_cidr: str) -> None:
        self._services = ServiceRanges(service_cidr)
        self._quotas = Quotas()

    def bind(self, store: Store) -> None:
        """Take the store whose objects the rules look at."""
        self._store = store

    def complete(self, resource: Resource, body: JsonObject, old: JsonObject | None) -> JsonObject:
        """Return an object as a typed server reads it, with the defaults of its kind.

        Raises:
            APIError: BadRequest, a value of the wrong type.
        """
        if not _is_light(resource, old):
            return complete(resource, body)
        if {} in body.values() and resource.group_resource in _MAPS:
            return {key: value for key, value in body.items() if value != {}}
        return body

    def admit(self, resource: Resource, body: JsonObject, old: JsonObject | None) -> None:
        """Admit a completed object, and give an update what its kind keeps; in place.

        Raises:
            APIError: Forbidden, what an admission refuses.
        """
        if _is_light(resource, old):
            return
        kind = resource.group_resource
        admit(self._store, kind, body, old)
        if kind == SERVICES and old is not None:
            self._services.carry_over(body, old)

    def causes(
        self, resource: Resource, body: JsonObject, old: JsonObject | None
    ) -> Iterable[Cause]:
        """Return what is wrong with an object for its kind."""
        if resource.custom:
            return ()
        if old is not None and resource.group_resource not in _LIGHT | _LIGHT_UPDATES:
            old = complete(resource, old)  # the simulator's own are stored as they were made
        return causes(resource.group_resource, body, old)

    def allocate(self, resource: Resource, body: JsonObject, old: JsonObject | None) -> None:
        """Give a valid object what the server gives it, in place. Raises APIError: Invalid, Forbidden."""
        if resource.group_resource == SERVICES:
            self._services.allocate(body, old)
        if old is None:
            self._quotas.enforce(self._store, resource, body)

    def observe(self, change: Change) -> None:
        """Note what a change takes or frees."""
        if change.stored.resource.group_resource == SERVICES:
            self._services.observe(change)
        self._quotas.observe(self._store, change)

    def settle(self, lifecycle: Lifecycle) -> None:
        """Do what follows from changes."""
        self._quotas.settle(self._store, lifecycle)


def _is_light(resource: Resource, old: JsonObject | None) -> bool:
    kind = resource.group_resource
    return resource.custom or kind in _LIGHT or (old is not None and kind in _LIGHT_UPDATES)


def complete(resource: Resource, body: JsonObject) -> JsonObject:
    """Return an object as a typed server reads it, with the defaults of its kind.

    Raises:
        APIError: BadRequest, a value is not of its field's type.
    """
    made = typed(resource, body)
    if not is_view(resource):  # those of what is stored come with its conversion
        set_defaults(resource.group_resource, made)
    return made
