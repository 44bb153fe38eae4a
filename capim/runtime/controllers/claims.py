"""Which objects a controller's object has: its own that it selects, and orphans that it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capim.api.meta import owner_reference
from capim.runtime.controllers.base import controller_of
from capim.runtime.controllers.podstate import is_deleting

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.api.resources import Resource
    from capim.runtime.controllers.base import Context
    from capim.wire.selectors import LabelSelector


def claim(
    context: Context, owner: JsonObject, resource: Resource, selector: LabelSelector
) -> list[JsonObject]:
    """Return the objects of a kind that belong to `owner`, in the order of their names.

    What it owns and no longer selects is released; what it selects and nobody controls becomes its own.
    An owner that is being deleted takes and releases nothing.
    """
    lives = not is_deleting(owner)
    claimed = []
    for body in context.controlled(owner, resource):
        if selector.matches(body["metadata"].get("labels") or {}):
            claimed.append(body)
        elif lives:
            _release(context, resource, body, owner)
    if lives:
        claimed += _adopt(context, owner, resource, selector)
    return sorted(claimed, key=lambda body: str(body["metadata"]["name"]))


def _adopt(
    context: Context, owner: JsonObject, resource: Resource, selector: LabelSelector
) -> list[JsonObject]:
    uid = owner["metadata"]["uid"]
    adopted = []
    for stored in context.stored(resource, owner["metadata"]["namespace"]):
        if uid in stored.owners or stored.deleting or not selector.matches(stored.labels):
            continue
        body = stored.json()
        if controller_of(body) is None:
            references = body["metadata"].get("ownerReferences") or []
            body["metadata"]["ownerReferences"] = [*references, owner_reference(owner)]
            adopted.append(context.save(resource, body))
    return adopted


def _release(context: Context, resource: Resource, body: JsonObject, owner: JsonObject) -> None:
    uid = owner["metadata"]["uid"]
    references = [r for r in body["metadata"]["ownerReferences"] if r["uid"] != uid]
    body["metadata"]["ownerReferences"] = references
    context.save(resource, body)
