"""Minimal merge patches: what differs, and nothing when nothing does. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from capim.api.meta import JsonObject


def difference(before: JsonObject, after: JsonObject) -> JsonObject:
    """Return the merge patch that adds and changes what `after` has; it removes nothing."""
    patch: JsonObject = {}
    for name, value in after.items():
        held = before.get(name)
        if isinstance(value, dict) and isinstance(held, dict):
            if nested := difference(held, value):
                patch[name] = nested
        elif value != held:
            patch[name] = value
    return patch


def status_difference(obj: JsonObject, after: JsonObject) -> JsonObject:
    """Return the patch on the object's status; empty when it says all this already."""
    changed = difference(obj.get("status") or {}, after)
    return {"status": changed} if changed else {}


def at_version(patch: JsonObject, obj: JsonObject) -> JsonObject:
    """Return the patch so that it applies to this version of the object only.

    A leader that lost its Lease without knowing must not undo what its successor wrote.
    """
    metadata = {
        **patch.get("metadata", {}),
        "resourceVersion": obj["metadata"]["resourceVersion"],
    }
    return {**patch, "metadata": metadata}


def with_finalizer(obj: JsonObject, finalizer: str) -> list[str]:
    """Return the object's finalizers and this one."""
    finalizers: list[str] = obj["metadata"].get("finalizers") or []
    return finalizers if finalizer in finalizers else [*finalizers, finalizer]


def without_finalizer(obj: JsonObject, finalizer: str) -> JsonObject:
    """Return the patch that takes a finalizer off; empty when it is not there."""
    finalizers = obj["metadata"].get("finalizers") or []
    if finalizer not in finalizers:
        return {}
    return {"metadata": {"finalizers": [name for name in finalizers if name != finalizer]}}
