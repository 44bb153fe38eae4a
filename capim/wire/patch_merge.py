"""RFC 7386, JSON merge patch: null deletes, objects merge, everything else replaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from capim.wire.patch_values import BAD_REQUEST, PatchError

if TYPE_CHECKING:
    from capim.api.meta import JsonObject


def merge_patch(obj: JsonObject, patch: Any) -> JsonObject:
    """Return `obj` with the patch merged in; shares unchanged parts with both, mutates neither.

    Raises:
        PatchError: the patch is no JSON object, so the result would not be one, or is nested too deeply.
    """
    if not isinstance(patch, dict):
        raise PatchError("Invalid JSON Patch", code=BAD_REQUEST)
    try:
        return _merged(obj, patch)
    except RecursionError:
        raise PatchError("the patch is nested too deeply", code=BAD_REQUEST) from None


def _merged(target: Any, patch: JsonObject) -> JsonObject:
    result: JsonObject = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = _merged(result.get(key), value)
        else:
            result[key] = value
    return result
