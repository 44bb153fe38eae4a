"""The way of a client's write of a built-in kind: typed, defaulted, admitted, checked, allocated.

The simulator's own objects do not come this way: they are whole when they are made. Kinds in `_LIGHT`
are written so often, or say so little, that they are stored as they come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api import errors
from capim.api.canonical import MismatchError, canonical
from capim.api.defaults import set_defaults
from capim.runtime.kinds.services import ServiceRanges

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.api.resources import Resource
    from capim.runtime.objects import Change
    from capim.runtime.store import Store

SERVICES: Final = ("", "services")
_LIGHT: Final = frozenset(
    {
        ("", "nodes"),
        ("", "configmaps"),
        ("", "secrets"),
        ("", "namespaces"),
        ("apiextensions.k8s.io", "customresourcedefinitions"),
        ("coordination.k8s.io", "leases"),
    }
)


class BuiltinRules:
    """Holds a cluster's built-in kinds to a real server's rules. One loop, no lock."""

    def __init__(self, *, service_cidr: str) -> None:
        self._services = ServiceRanges(service_cidr)

    def bind(self, store: Store) -> None:
        """Take the store whose objects the rules look at."""
        self._store = store

    def on_create(self, resource: Resource, body: JsonObject) -> JsonObject:
        """Return a new object as it is to be stored. Raises APIError where it is refused."""
        if resource.custom or resource.group_resource in _LIGHT:
            return body
        body = complete(resource, body)
        if resource.group_resource == SERVICES:
            self._services.allocate(body, None)
        return body

    def on_update(
        self, resource: Resource, body: JsonObject, old: JsonObject, subresource: str
    ) -> JsonObject:
        """Return a changed object as it is to be stored. Raises APIError where it is refused."""
        if resource.custom or resource.group_resource in _LIGHT:
            return body
        body = complete(resource, body)
        if resource.group_resource == SERVICES and not subresource:
            self._services.allocate(body, old)
        return body

    def observe(self, change: Change) -> None:
        """Note what a change takes or frees."""
        if change.stored.resource.group_resource == SERVICES:
            self._services.observe(change)


def complete(resource: Resource, body: JsonObject) -> JsonObject:
    """Return an object as a typed server reads it, with the defaults of its kind.

    Raises:
        APIError: BadRequest, a value is not of its field's type.
    """
    try:
        made = canonical(resource.gvk, body)
    except MismatchError as error:
        text = f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}'
        raise errors.bad_request(f"{text}: {error}") from error
    set_defaults(resource.group_resource, made)
    return made
