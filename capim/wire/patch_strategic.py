"""Strategic merge patch: a merge patch whose lists merge by the keys the built-in kinds declare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from capim.wire.patch_merge import merge_patch

if TYPE_CHECKING:
    from capim.api.gvk import GVK
    from capim.api.meta import JsonObject


def has_merge_keys(gvk: GVK) -> bool:
    """Tell whether the kind is built in: custom resources refuse strategic merge patches (415)."""
    return gvk.group == "" or "." not in gvk.group or gvk.group.endswith(".k8s.io")


def strategic_merge_patch(obj: JsonObject, patch: Any, gvk: GVK) -> JsonObject:
    """Return `obj` with the patch merged in by the rules of its kind."""
    return merge_patch(obj, patch)
