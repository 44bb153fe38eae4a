"""OpenAPI v3 documents as protobuf, in the form of gnostic's messages.

Only what a kube-apiserver's documents have is known. Source: github.com/google/gnostic-models,
openapiv3/OpenAPIv3.proto.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from capim.wire.gnostic import (
    EXTERNAL_DOCS,
    TEXTS,
    any_,
    boolean,
    delimited,
    demands,
    double,
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
    """Return a document as protobuf. Raises KeyError: it has an unknown field."""
    return message(_FIELDS, "Document", document)


def _one(name: str, number: int, value: JsonObject) -> bytes:
    return nested(_FIELDS, name, number, value)


def _or_reference(name: str, number: int, value: JsonObject) -> bytes:
    """Write a message, or the reference that stands for it."""
    if "$ref" in value:
        return delimited(number, delimited(2, text(1, value["$ref"])))
    return delimited(number, _one(name, 1, value))


def _additional(number: int, value: JsonObject | bool) -> bytes:
    if isinstance(value, bool):
        return delimited(number, boolean(2, value, always=True))
    return delimited(number, _SCHEMA(1, value))


def _default(number: int, value: Any) -> bytes:
    """Write a default: of an object or a list there are no words."""
    if isinstance(value, bool):
        return delimited(number, boolean(2, value, always=True))
    if isinstance(value, (int, float)):
        return delimited(number, double(1, value, always=True))
    return delimited(number, text(3, value) if isinstance(value, str) else b"")


def _responses(number: int, value: JsonObject) -> bytes:
    pairs = (delimited(2, text(1, code) + _RESPONSE(2, it)) for code, it in value.items())
    return delimited(number, b"".join(pairs))


_SCHEMA: Final = partial(_or_reference, "Schema")
_SCHEMAS: Final = partial(repeated, _SCHEMA)
_RESPONSE: Final = partial(_or_reference, "Response")
_PARAMETERS: Final = partial(repeated, partial(_or_reference, "Parameter"))
_CONTENT: Final = partial(named, partial(_one, "MediaType"))
_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

#: message -> JSON name -> number and writer; and the number of its extensions
_FIELDS: Final[Messages] = {
    "Document": (
        {
            "openapi": (1, text),
            "info": (2, partial(_one, "Info")),
            "paths": (4, partial(named, partial(_one, "PathItem"))),
            "components": (5, partial(_one, "Components")),
        },
        9,
    ),
    "Info": ({"title": (1, text), "version": (6, text)}, 7),
    "Components": (
        {
            "schemas": (1, partial(named, _SCHEMA)),
            "securitySchemes": (7, partial(named, partial(_or_reference, "SecurityScheme"))),
        },
        10,
    ),
    "SecurityScheme": (
        {"type": (1, text), "description": (2, text), "name": (3, text), "in": (4, text)},
        9,
    ),
    "PathItem": (
        {
            **{
                name: (number, partial(_one, "Operation"))
                for number, name in enumerate(_METHODS, 4)
            },
            "parameters": (13, _PARAMETERS),
        },
        14,
    ),
    "Operation": (
        {
            "tags": (1, TEXTS),
            "description": (3, text),
            "operationId": (5, text),
            "parameters": (6, _PARAMETERS),
            "requestBody": (7, partial(_or_reference, "RequestBody")),
            "responses": (8, _responses),
            "deprecated": (10, boolean),
        },
        13,
    ),
    "RequestBody": (
        {"description": (1, text), "content": (2, _CONTENT), "required": (3, boolean)},
        4,
    ),
    "Response": ({"description": (1, text), "content": (3, _CONTENT)}, 5),
    "MediaType": ({"schema": (1, _SCHEMA)}, 5),
    "Parameter": (
        {
            "name": (1, text),
            "in": (2, text),
            "description": (3, text),
            "required": (4, boolean),
            "schema": (10, _SCHEMA),
        },
        14,
    ),
    "ExternalDocs": EXTERNAL_DOCS,
    "Schema": (
        {
            "nullable": (1, boolean),
            "externalDocs": (6, partial(_one, "ExternalDocs")),
            "example": (7, any_),
            "title": (9, text),
            **demands(10),
            "type": (25, text),
            "allOf": (26, _SCHEMAS),
            "oneOf": (27, _SCHEMAS),
            "anyOf": (28, _SCHEMAS),
            "not": (29, partial(_one, "Schema")),
            "items": (30, partial(wrapped, _SCHEMA)),
            "properties": (31, partial(named, _SCHEMA)),
            "additionalProperties": (32, _additional),
            "default": (33, _default),
            "description": (34, text),
            "format": (35, text),
        },
        36,
    ),
}
