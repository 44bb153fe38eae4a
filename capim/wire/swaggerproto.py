"""OpenAPI v2 documents as protobuf: the form of gnostic's messages that client-go's discovery asks for.

Only what a kube-apiserver's documents have is known. A document is written piece by piece: the bytes of
two documents joined are the document of both.
Source: github.com/google/gnostic-models, openapiv2/OpenAPIv2.proto.
"""

from __future__ import annotations

import struct
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable

    from capim.api.meta import JsonObject

    #: writes a value of a field with this number
    Write = Callable[[int, Any], bytes]

_BYTES: Final = 2  #: wire type: length and so many bytes
_DOUBLE: Final = 1


def encode_document(document: JsonObject) -> bytes:
    """Return a document, or a part of one, as protobuf. Raises KeyError: it has an unknown field."""
    return _message("Document", document)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _bytes(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(data)) + data


def _text(number: int, value: str) -> bytes:
    return _bytes(number, value.encode())


def _bool(number: int, value: bool) -> bytes:
    return _varint(number << 3) + _varint(value) if value else b""


def _integer(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value & (1 << 64) - 1) if value else b""


def _double(number: int, value: float) -> bytes:
    return _varint(number << 3 | _DOUBLE) + struct.pack("<d", value) if value else b""


def _any(number: int, value: object) -> bytes:
    return _bytes(number, _text(2, orjson.dumps(value).decode() + "\n"))  # JSON is YAML


def _repeated(write: Write, number: int, values: list[Any]) -> bytes:
    return b"".join(write(number, value) for value in values)


def _one(name: str, number: int, value: JsonObject) -> bytes:
    return _bytes(number, _message(name, value))


def _named(write: Write, number: int, value: dict[str, Any], *, inner: int = 1) -> bytes:
    """Write a map: a message of pairs, each of a name and a value."""
    pairs = (_bytes(inner, _text(1, key) + write(2, it)) for key, it in value.items())
    return _bytes(number, b"".join(pairs))


def _wrapped(write: Write, number: int, value: Any) -> bytes:
    """Write a value as the first field of a message of its own."""
    return _bytes(number, write(1, value))


def _type(number: int, value: str | list[str]) -> bytes:
    names = [value] if isinstance(value, str) else value
    return _bytes(number, _repeated(_text, 1, names))


def _additional(number: int, value: JsonObject | bool) -> bytes:
    if isinstance(value, bool):
        return _bytes(number, _bool(2, value))
    return _bytes(number, _one("Schema", 1, value))


def _parameter(number: int, value: JsonObject) -> bytes:
    """Write a parameter, by where it is, in the messages that it is wrapped in."""
    if value["in"] == "body":
        written = _one("BodyParameter", 1, value)
    else:
        kind, at = _PLACES[value["in"]]
        written = _bytes(2, _one(kind, at, value))
    return _bytes(number, _bytes(1, written))


def _message(name: str, value: JsonObject) -> bytes:
    fields, extensions = _FIELDS[name]
    parts = []
    for key, item in value.items():
        if key.startswith("x-"):
            parts.append(_bytes(extensions, _text(1, key) + _any(2, item)))
        else:
            number, write = fields[key]
            parts.append(write(number, item))
    return b"".join(parts)


_PLACES: Final = {"query": ("QueryParameter", 3), "path": ("PathParameter", 4)}
_TEXTS: Final = partial(_repeated, _text)
_PARAMETERS: Final = partial(_repeated, _parameter)
_SCHEMA: Final = partial(_one, "Schema")
_OPERATION: Final = partial(_one, "Operation")
_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch")
_RESPONSE: Final = partial(_wrapped, partial(_one, "Response"))

#: message -> JSON name -> number and writer; and the number of its extensions
_FIELDS: Final[dict[str, tuple[dict[str, tuple[int, Write]], int]]] = {
    "Document": (
        {
            "swagger": (1, _text),
            "info": (2, partial(_one, "Info")),
            "paths": (8, partial(_named, partial(_one, "PathItem"), inner=2)),
            "definitions": (9, partial(_named, _SCHEMA)),
            "security": (12, partial(_repeated, partial(_named, partial(_wrapped, _TEXTS)))),
            "securityDefinitions": (
                13,
                partial(_named, lambda number, it: _bytes(number, _one("ApiKey", 2, it))),
            ),
        },
        16,
    ),
    "Info": ({"title": (1, _text), "version": (2, _text)}, 7),
    "ApiKey": (
        {"type": (1, _text), "name": (2, _text), "in": (3, _text), "description": (4, _text)},
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
            "tags": (1, _TEXTS),
            "description": (3, _text),
            "operationId": (5, _text),
            "produces": (6, _TEXTS),
            "consumes": (7, _TEXTS),
            "parameters": (8, _PARAMETERS),
            "responses": (9, partial(_named, _RESPONSE)),
            "schemes": (10, _TEXTS),
            "deprecated": (11, _bool),
        },
        13,
    ),
    "Response": ({"description": (1, _text), "schema": (2, partial(_wrapped, _SCHEMA))}, 5),
    "BodyParameter": (
        {
            "description": (1, _text),
            "name": (2, _text),
            "in": (3, _text),
            "required": (4, _bool),
            "schema": (5, _SCHEMA),
        },
        6,
    ),
    "QueryParameter": (
        {
            "required": (1, _bool),
            "in": (2, _text),
            "description": (3, _text),
            "name": (4, _text),
            "type": (6, _text),
            "uniqueItems": (20, _bool),
        },
        23,
    ),
    "PathParameter": (
        {
            "required": (1, _bool),
            "in": (2, _text),
            "description": (3, _text),
            "name": (4, _text),
            "type": (5, _text),
            "uniqueItems": (19, _bool),
        },
        22,
    ),
    "Schema": (
        {
            "$ref": (1, _text),
            "format": (2, _text),
            "title": (3, _text),
            "description": (4, _text),
            "multipleOf": (6, _double),
            "maximum": (7, _double),
            "exclusiveMaximum": (8, _bool),
            "minimum": (9, _double),
            "exclusiveMinimum": (10, _bool),
            "maxLength": (11, _integer),
            "minLength": (12, _integer),
            "pattern": (13, _text),
            "maxItems": (14, _integer),
            "minItems": (15, _integer),
            "uniqueItems": (16, _bool),
            "maxProperties": (17, _integer),
            "minProperties": (18, _integer),
            "required": (19, _TEXTS),
            "enum": (20, partial(_repeated, _any)),
            "additionalProperties": (21, _additional),
            "type": (22, _type),
            "items": (23, partial(_wrapped, _SCHEMA)),
            "properties": (25, partial(_named, _SCHEMA)),
            "example": (30, _any),
        },
        31,
    ),
}
