"""What controllers ask of a pod, and how they make one from a template."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING
from zlib import crc32

import orjson

from capim.api.meta import get_condition, owner_reference, parse_time
from capim.runtime.graceful import has_ended
from capim.runtime.subresources import selector_text
from capim.runtime.writes import NAME_LETTERS
from capim.wire.selectors import LabelSelector

if TYPE_CHECKING:
    from capim.api.meta import JsonObject


def phase(pod: JsonObject) -> str:
    """Return a pod's phase."""
    return str((pod.get("status") or {}).get("phase") or "Pending")


def is_deleting(body: JsonObject) -> bool:
    """Tell whether an object is being deleted."""
    return bool(body["metadata"].get("deletionTimestamp"))


def is_active(pod: JsonObject) -> bool:
    """Tell whether a pod has neither ended nor is being deleted."""
    return not has_ended(pod) and not is_deleting(pod)


def is_ready(pod: JsonObject) -> bool:
    """Tell whether a pod is ready."""
    ready = get_condition(pod, "Ready")
    return ready is not None and ready.get("status") == "True"


def available_at(pod: JsonObject, min_ready_s: int) -> float:
    """Return since when, or from when on, a pod counts as available; infinity for one not ready."""
    ready = get_condition(pod, "Ready")
    if ready is None or ready.get("status") != "True":
        return math.inf
    if not min_ready_s or not ready.get("lastTransitionTime"):
        return 0.0
    return parse_time(ready["lastTransitionTime"]) + min_ready_s


def claims_of(pod: JsonObject) -> list[str]:
    """Return the names of the claims a pod uses."""
    volumes = pod["spec"].get("volumes") or ()
    found = (volume.get("persistentVolumeClaim") or {} for volume in volumes)
    return [one["claimName"] for one in found if "claimName" in one]


def node_of(pod: JsonObject) -> str:
    """Return the node a pod is bound to, or an empty text."""
    return str((pod.get("spec") or {}).get("nodeName") or "")


def label_selector(selector: JsonObject | None) -> LabelSelector:
    """Return the selector that an object has in its spec: a LabelSelector or a map of labels."""
    return LabelSelector.parse(selector_text(selector))


def template_hash(template: JsonObject, salt: int = 0) -> str:
    """Return the name of a template's state, as it stands in names and labels."""
    data = orjson.dumps([template, salt], option=orjson.OPT_SORT_KEYS)
    return "".join(NAME_LETTERS[ord(digit) % len(NAME_LETTERS)] for digit in str(crc32(data)))


def pod_from(owner: JsonObject, template: JsonObject) -> JsonObject:
    """Return the pod that a template asks for, of this controller; it has no name yet."""
    template = copy.deepcopy(template)
    wanted: JsonObject = template.get("metadata") or {}
    metadata: JsonObject = {
        key: wanted[key] for key in ("labels", "annotations", "finalizers") if wanted.get(key)
    }
    metadata["namespace"] = owner["metadata"]["namespace"]
    metadata["generateName"] = f"{owner['metadata']['name']}-"
    metadata["ownerReferences"] = [owner_reference(owner)]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": template.get("spec") or {},
    }


def share_of(value: int | str | None, total: int, *, up: bool) -> int:
    """Return a number that is stated as such or as a percentage of `total`."""
    if isinstance(value, str) and value.endswith("%"):
        part = int(value.removesuffix("%")) * total / 100
        return math.ceil(part) if up else math.floor(part)
    return int(value or 0)
