"""Writes through a view: what a client sent there becomes the stored form before anything is decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from capim.api.meta import JsonObject
from capim.api.resources import Resource
from capim.api.views import is_view, stored_object, view_of
from capim.runtime.subresources import merge_view
from capim.runtime.validation import invalid

if TYPE_CHECKING:
    from capim.runtime.objects import Stored
    from capim.runtime.store import Store

#: the kind as which an object is kept, what is to be kept, what was
Forms: TypeAlias = tuple[Resource, JsonObject, JsonObject]


def new_form(store: Store, resource: Resource, made: JsonObject) -> tuple[Resource, JsonObject]:
    """Return the kind as which a new object is stored, and what is stored. Raises APIError: Invalid."""
    if not is_view(resource):
        return resource, made
    kept, stored, _ = _forms(store, resource, made, {})
    return kept, stored


def changed_form(
    store: Store,
    resource: Resource,
    made: JsonObject,
    old: JsonObject,
    current: Stored,
    subresource: str,
) -> tuple[Resource, JsonObject, JsonObject, Stored]:
    """Return kind, object, the object as it was and what held it, all as they are stored.

    Raises:
        APIError: Invalid, for what is refused of writes through this view alone.
    """
    if not is_view(resource):
        return resource, made, old, current
    current = store.find(resource, current.namespace, current.name) or current
    was = current.content()
    kept, stored, _ = _forms(store, resource, made, was)
    if subresource:  # the rest stays as it is, which a conversion there and back may order anew
        stored = merge_view(kept, stored, was, subresource)
    return kept, stored, was, current


def _forms(store: Store, resource: Resource, made: JsonObject, was: JsonObject) -> Forms:
    kept = store.resources.by_gvk(resource.storage) if resource.storage else None
    if kept is None:
        raise LookupError(f"what {resource.api_version} {resource.kind} is stored as is not served")
    stored = stored_object(resource, made)
    if causes := list(view_of(resource).causes(stored, was or None)):
        raise invalid(kept, made["metadata"]["name"], causes)
    return kept, stored, was
