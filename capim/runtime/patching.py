"""Applies a patch to a stored object and says in the API's words what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capim.api import errors
from capim.runtime.objects import PatchType
from capim.runtime.subresources import view
from capim.runtime.writes import check_same_uid
from capim.wire.patch import PatchError, json_patch, merge_patch, strategic_merge_patch

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.api.resources import Resource
    from capim.runtime.objects import Stored


def apply_patch(
    resource: Resource, obj: JsonObject, patch: object, patch_type: PatchType
) -> JsonObject:
    """Return the patched object; the given one is not changed.

    Raises:
        APIError: UnsupportedMediaType for a strategic patch of a custom resource, BadRequest for a
            malformed patch, Invalid for one that does not fit the object.
    """
    if patch_type is PatchType.STRATEGIC and resource.custom:
        accepted = f"{PatchType.JSON}, {PatchType.MERGE}, application/apply-patch+yaml"
        raise errors.unsupported_media_type(accepted)
    try:
        return _apply(resource, obj, patch, patch_type)
    except PatchError as error:
        if error.code == 422:
            # a real server tells nobody what it was
            text = "the server rejected our request due to an error in our request"
            raise errors.APIError("Invalid", 422, text, details={}) from error
        raise errors.bad_request(str(error)) from error


def patched(
    resource: Resource,
    current: Stored,
    old: JsonObject,
    patch: object,
    patch_type: PatchType,
    subresource: str,
) -> JsonObject:
    """Return what a patch makes of a stored object, whose content is `old`, or of a part of it.

    Raises:
        APIError: as `apply_patch`; NotFound, where the kind has no such subresource; Invalid for one
            that changes the uid.
    """
    whole = current.json() if current.managed and _names_managers(patch) else old
    body = apply_patch(resource, view(resource, whole, subresource), patch, patch_type)
    check_same_uid(resource, body, old)
    return body


def _names_managers(patch: object) -> bool:
    """Tell whether a patch may look at or change who manages an object's fields."""
    if not isinstance(patch, dict):
        return True
    metadata = patch.get("metadata")
    return isinstance(metadata, dict) and "managedFields" in metadata


def _apply(resource: Resource, obj: JsonObject, patch: object, patch_type: PatchType) -> JsonObject:
    if patch_type is PatchType.JSON:
        if not isinstance(patch, list):
            raise PatchError("a JSON patch is a list of operations", code=400)
        return json_patch(obj, patch)
    if not isinstance(patch, dict):
        raise PatchError(f"a patch of type {patch_type} is an object", code=400)
    if patch_type is PatchType.MERGE:
        return merge_patch(obj, patch)
    return strategic_merge_patch(obj, patch, resource.gvk)
