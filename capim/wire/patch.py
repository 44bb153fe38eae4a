"""The three patches of the Kubernetes API as pure functions on JSON; none mutates its arguments.

Results may share parts with the object and the patch: treat all of them as values.
"""

from capim.wire.patch_json import json_patch
from capim.wire.patch_merge import merge_patch
from capim.wire.patch_strategic import has_merge_keys, strategic_merge_patch
from capim.wire.patch_values import PatchError

__all__ = ["PatchError", "has_merge_keys", "json_patch", "merge_patch", "strategic_merge_patch"]
