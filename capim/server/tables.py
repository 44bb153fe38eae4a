"""Tables: answers in rows and columns, as kubectl asks for them. Pure.

A Table is made of the answer that a client without a taste for tables would get: one object or a list.
What is no object of the kind (a Status) stays what it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from capim.api.columns import cells_of, columns_of, conditions_of
from capim.api.errors import bad_request
from capim.api.views import is_view, stored_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from capim.api.meta import JsonObject
    from capim.api.resources import Resource
    from capim.server.routes import Query

_INCLUDES: Final = ("", "Metadata", "Object", "None")
#: of the metadata of a list; of an object only the first
_KEPT: Final[tuple[str, ...]] = ("resourceVersion", "continue", "remainingItemCount")
#: a client waits for this annotation, so rows of bookmarks keep their metadata whatever it includes
_INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"


class Tables:
    """Makes the Tables of one request."""

    def __init__(
        self, resource: Resource, query: Query, clock: Callable[[], float], version: str
    ) -> None:
        """Learn what is asked for.

        Raises:
            APIError: 400 for an `includeObject` that is none.
        """
        self._include = query.get("includeObject", "")
        if self._include not in _INCLUDES:
            why = f"Invalid value: \"{self._include}\": must be 'Metadata', 'Object', 'None', or empty"
            raise bad_request(f"Unable to convert to Table as requested: includeObject: {why}")
        self._resource = resource
        self._columns = columns_of(resource)
        self._is_view = is_view(resource)  #: its columns are of what is stored
        self._headed = False  #: the columns were described
        self._clock = clock
        self._api_version = f"meta.k8s.io/{version}"

    def of(self, shown: JsonObject) -> JsonObject:
        """Return the Table of an object or list; in a watch only the first describes the columns."""
        kind, metadata = shown.get("kind"), dict(shown.get("metadata") or {})
        if kind == self._resource.kind:
            objects, kept = [shown], _KEPT[:1]
        elif kind == self._resource.list_kind:
            objects, kept = shown["items"], _KEPT
        else:
            return shown
        now = self._clock()
        return {
            "kind": "Table",
            "apiVersion": self._api_version,
            "metadata": {key: metadata[key] for key in kept if metadata.get(key)},
            "columnDefinitions": self._head(),
            "rows": [self._row(obj, now) for obj in objects],
        }

    def _head(self) -> list[JsonObject] | None:
        if self._headed:
            return None
        self._headed = True
        return [column.definition() for column in self._columns]

    def _row(self, obj: JsonObject, now: float) -> JsonObject:
        stored = stored_object(self._resource, obj) if self._is_view else obj
        row: JsonObject = {"cells": cells_of(self._columns, stored, now)}
        obj = obj if self._include == "Object" else stored
        if conditions := conditions_of(self._resource, obj):
            row["conditions"] = conditions
        row["object"] = self._included(obj)
        return row

    def _included(self, obj: JsonObject) -> Any:
        """Return what of an object goes with its row."""
        if self._include == "Object":
            return obj
        metadata: JsonObject = obj.get("metadata") or {}
        marks_end = _INITIAL_EVENTS_END in (metadata.get("annotations") or {})
        if self._include == "None" and not marks_end:
            return None
        return {
            "kind": "PartialObjectMetadata",
            "apiVersion": self._api_version,
            "metadata": metadata,
        }
