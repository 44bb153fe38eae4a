"""Tables: answers in rows and columns, as kubectl asks for them. Pure.

A Table is made of the answer that a client without a taste for tables would get: one object, a list or
a line of a watch. What is no object of the kind (a Status, an empty log) stays what it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import orjson

from capim.api.columns import cells_of, columns_of, conditions_of
from capim.api.errors import bad_request
from capim.runtime.subresources import view_resource

if TYPE_CHECKING:
    from collections.abc import Callable

    from capim.api.meta import JsonObject
    from capim.server.http import Response
    from capim.server.routes import RequestInfo

_INCLUDES: Final = ("", "Metadata", "Object", "None")
_JSON: Final = b"application/json"
_GROUP_VERSION: Final = "meta.k8s.io/v1"
#: of the metadata of a list; of an object only the first
_KEPT: Final[tuple[str, ...]] = ("resourceVersion", "continue", "remainingItemCount")
#: a client waits for this annotation, so rows of bookmarks keep their metadata whatever it includes
_INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"


class TableWriter:
    """Writes the Tables of one request."""

    def __init__(self, info: RequestInfo, clock: Callable[[], float]) -> None:
        """Learn what is asked for.

        Raises:
            APIError: 400 for an `includeObject` that is none.
        """
        self._include = info.query.get("includeObject", "")
        if self._include not in _INCLUDES:
            why = f"Invalid value: \"{self._include}\": must be 'Metadata', 'Object', 'None', or empty"
            raise bad_request(f"Unable to convert to Table as requested: includeObject: {why}")
        self._resource = view_resource(info.resource, info.subresource)
        self._columns = columns_of(self._resource)
        self._headed = False  #: the columns were described
        self._clock = clock

    def response(self, response: Response) -> Response:
        """Return the answer as a Table."""
        if response.content_type != _JSON:
            return response
        body = orjson.loads(response.body)
        table = self._table(body)
        if table is body:
            return response
        return replace(response, body=orjson.dumps(table, option=orjson.OPT_APPEND_NEWLINE))

    def line(self, line: bytes) -> bytes:
        """Return a watch event whose object is a Table of one row; the first describes the columns."""
        event = orjson.loads(line)
        event["object"] = self._table(event["object"])
        return orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)

    def _table(self, shown: JsonObject) -> JsonObject:
        """Make the Table of an object or list; return what is neither as it is."""
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
            "apiVersion": _GROUP_VERSION,
            "metadata": {key: metadata[key] for key in kept if key in metadata},
            "columnDefinitions": self._head(),
            "rows": [self._row(obj, now) for obj in objects],
        }

    def _head(self) -> list[JsonObject] | None:
        if self._headed:
            return None
        self._headed = True
        return [column.definition() for column in self._columns]

    def _row(self, obj: JsonObject, now: float) -> JsonObject:
        row: JsonObject = {"cells": cells_of(self._columns, obj, now)}
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
            "apiVersion": _GROUP_VERSION,
            "metadata": metadata,
        }
