"""OpenAPI v2 documents as protobuf: the form of gnostic's messages that client-go's discovery asks for.

Only what a kube-apiserver's documents have is known. A document is written piece by piece: the bytes of
two documents joined are the document of both.
Source: github.com/google/gnostic-models, openapiv2/OpenAPIv2.proto.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from capim.wire.gnostic import (
    EXTERNAL_DOCS,
    TEXTS,
    any_,
    boolean,
    delimited,
    demands,
    message,
    named,
    nested,
    repeated,
    text,
    wrapped,
)

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.wire.gnostic import Messages


def encode_document(document: JsonObject) -> bytes:
    """Return a document, or a part of one, as protobuf. Raises KeyError: it has an unknown field."""
    return message(_FIELDS, "Document", document)


def _one(name: str, number: int, value: JsonObject) -> bytes:
    return nested(_FIELDS, name, number, value)


def _type(number: int, value: str | list[str]) -> bytes:
    names = [value] if isinstance(value, str) else value
    return delimited(number, repeated(text, 1, names))


def _additional(number: int, value: JsonObject | bool) -> bytes:
    if isinstance(value, bool):
        return delimited(number, boolean(2, value))
    return delimited(number, _one("Schema", 1, value))


def _parameter(number: int, value: JsonObject) -> bytes:
    """Write a parameter, by where it is, in the messages that it is wrapped in."""
    if value["in"] == "body":
        written = _one("BodyParameter", 1, value)
    else:
        kind, at = _PLACES[value["in"]]
        written = delimited(2, _one(kind, at, value))
    return delimited(number, delimited(1, written))


_PLACES: Final = {"query": ("QueryParameter", 3), "path": ("PathParameter", 4)}
_PARAMETERS: Final = partial(repeated, _parameter)
_SCHEMA: Final = partial(_one, "Schema")
_OPERATION: Final = partial(_one, "Operation")
_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch")
_RESPONSE: Final = partial(wrapped, partial(_one, "Response"))

#: message -> JSON name -> number and writer; and the number of its extensions
_FIELDS: Final[Messages] = {
    "Document": (
        {
            "swagger": (1, text),
            "info": (2, partial(_one, "Info")),
            "paths": (8, partial(named, partial(_one, "PathItem"), inner=2)),
            "definitions": (9, partial(named, _SCHEMA)),
            "security": (12, partial(repeated, partial(named, partial(wrapped, TEXTS)))),
            "securityDefinitions": (
                13,
                partial(named, lambda number, it: delimited(number, _one("ApiKey", 2, it))),
            ),
        },
        16,
    ),
    "Info": ({"title": (1, text), "version": (2, text)}, 7),
    "ApiKey": (
        {"type": (1, text), "name": (2, text), "in": (3, text), "description": (4, text)},
        5,
    ),
    "PathItem": (
        {
            **{name: (number, _OPERATION) for number, name in enumerate(_METHODS, 2)},
            "parameters": (9, _PARAMETERS),
        },
        10,
    ),
    "Operation": (
        {
            "tags": (1, TEXTS),
            "description": (3, text),
            "operationId": (5, text),
            "produces": (6, TEXTS),
            "consumes": (7, TEXTS),
            "parameters": (8, _PARAMETERS),
            "responses": (9, partial(named, _RESPONSE)),
            "schemes": (10, TEXTS),
            "deprecated": (11, boolean),
        },
        13,
    ),
    "Response": ({"description": (1, text), "schema": (2, partial(wrapped, _SCHEMA))}, 5),
    "BodyParameter": (
        {
            "description": (1, text),
            "name": (2, text),
            "in": (3, text),
            "required": (4, boolean),
            "schema": (5, _SCHEMA),
        },
        6,
    ),
    "QueryParameter": (
        {
            "required": (1, boolean),
            "in": (2, text),
            "description": (3, text),
            "name": (4, text),
            "type": (6, text),
            "uniqueItems": (20, boolean),
        },
        23,
    ),
    "PathParameter": (
        {
            "required": (1, boolean),
            "in": (2, text),
            "description": (3, text),
            "name": (4, text),
            "type": (5, text),
            "uniqueItems": (19, boolean),
        },
        22,
    ),
    "ExternalDocs": EXTERNAL_DOCS,
    "Schema": (
        {
            "$ref": (1, text),
            "format": (2, text),
            "title": (3, text),
            "description": (4, text),
            **demands(6),
            "additionalProperties": (21, _additional),
            "type": (22, _type),
            "items": (23, partial(wrapped, _SCHEMA)),
            "properties": (25, partial(named, _SCHEMA)),
            "externalDocs": (29, partial(_one, "ExternalDocs")),
            "example": (30, any_),
        },
        31,
    ),
}
