"""Kinds that are another group's or version's view of what is stored, and what becomes of an object there.

A real server stores an object once and converts it for every group and version that shows it: an Event of
events.k8s.io is the core group's, an autoscaler of autoscaling/v1 is v2's. So it is here: rows of the table
of served kinds that name another built-in kind as their `storage` are views, this finds their conversion,
and nothing but the stored form is ever kept. To add one: a row in the table of kinds, a module here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from capim.api.canonical import canonical
from capim.api.meta import JsonObject

if TYPE_CHECKING:
    from capim.api.resources import Resource
    from capim.api.validation.field import Cause

Convert: TypeAlias = Callable[[JsonObject], JsonObject]


def _no_causes(_: JsonObject, __: JsonObject | None) -> Iterator[Cause]:
    return iter(())


class View(NamedTuple):
    """How one view and its storage become each other. Conversions leave apiVersion and kind alone."""

    of_stored: Convert
    to_stored: Convert
    #: field selectors of the view -> of the storage
    fields: Mapping[str, str] = MappingProxyType({})
    #: what is refused of a write through this view alone: (stored form, as it was) -> causes
    causes: Callable[[JsonObject, JsonObject | None], Iterator[Cause]] = _no_causes


def is_view(resource: Resource) -> bool:
    """Tell whether a kind is stored as another one."""
    return resource.storage is not None and not resource.custom


@functools.cache
def view_of(resource: Resource) -> View:
    """Return a view's conversions. Raises KeyError for a kind that is none."""
    from capim.api.views import autoscaling, events  # noqa: PLC0415 - when first needed

    return {"events.k8s.io": events.VIEW, "autoscaling": autoscaling.VIEW}[resource.group]


def shown_object(resource: Resource, stored: JsonObject) -> JsonObject:
    """Return a stored object as a view shows it; the given one may lose parts to it."""
    made = view_of(resource).of_stored(stored)
    head = {"apiVersion": resource.api_version, "kind": resource.kind}
    return canonical(resource.gvk, head | {k: v for k, v in made.items() if k not in head})


def stored_object(resource: Resource, seen: JsonObject) -> JsonObject:
    """Return an object that a client wrote through a view as it is stored.

    Raises:
        MismatchError: a value has another type than its field.
    """
    storage = resource.storage
    if storage is None:
        raise LookupError(f"{resource.kind} of {resource.api_version} is no view")
    made = view_of(resource).to_stored(canonical(resource.gvk, seen))
    return canonical(storage, made | {"apiVersion": storage.api_version, "kind": storage.kind})
