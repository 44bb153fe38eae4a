"""Events of events.k8s.io/v1: the core group's with other names, and stricter when they are written.

Source: k8s.io/kubernetes pkg/apis/events/v1 (conversion) and pkg/apis/core/validation (events).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api.validation import events
from capim.api.views import View

if TYPE_CHECKING:
    from collections.abc import Mapping

    from capim.api.meta import JsonObject

#: field of events.k8s.io -> field of the core group
_NAMES: Final = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_CORE_NAMES: Final = {core: name for name, core in _NAMES.items()}
_REFERENCE: Final = (
    "kind",
    "namespace",
    "name",
    "uid",
    "apiVersion",
    "resourceVersion",
    "fieldPath",
)


def _renamed(event: JsonObject, names: Mapping[str, str]) -> JsonObject:
    return {names.get(key, key): value for key, value in event.items()}


VIEW: Final = View(
    of_stored=lambda event: _renamed(event, _CORE_NAMES),
    to_stored=lambda event: _renamed(event, _NAMES),
    fields={f"regarding.{key}": f"involvedObject.{key}" for key in _REFERENCE}
    | {"reason": "reason", "reportingController": "reportingComponent", "type": "type"},
    causes=events.strict,
)
