"""What gnostic's messages of OpenAPI documents are written with, whichever version they are of.

A message is a table: JSON name -> number and writer. A field whose name begins with `x-` is an extension.
"""

from __future__ import annotations

import struct
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import orjson

from capim.wire.protobuf_encode import sized, varint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from capim.api.meta import JsonObject

    #: writes a value of a field with this number
    Write = Callable[[int, Any], bytes]
    #: message -> JSON name -> number and writer; and the number of its extensions
    Messages = Mapping[str, tuple[Mapping[str, tuple[int, Write]], int]]

_BYTES: Final = 2  #: wire type: length and so many bytes
_DOUBLE: Final = 1


def message(messages: Messages, name: str, value: JsonObject) -> bytes:
    """Write a message. Raises KeyError: it has an unknown field."""
    fields, extensions = messages[name]
    parts = []
    for key, item in value.items():
        if key.startswith("x-"):
            parts.append(delimited(extensions, text(1, key) + any_(2, item)))
        else:
            number, write = fields[key]
            parts.append(write(number, item))
    return b"".join(parts)


def nested(messages: Messages, name: str, number: int, value: JsonObject) -> bytes:
    """Write a message as a field of another."""
    return delimited(number, message(messages, name, value))


def delimited(number: int, data: bytes) -> bytes:
    """Write bytes with their length."""
    return varint(number << 3 | _BYTES) + sized(data)


def text(number: int, value: str) -> bytes:
    """Write a text."""
    return delimited(number, value.encode())


def boolean(number: int, value: bool, *, always: bool = False) -> bytes:
    """Write a truth; none is written for false, unless it is one of several choices."""
    return varint(number << 3) + varint(value) if value or always else b""


def integer(number: int, value: int) -> bytes:
    """Write a whole number; none is written for zero."""
    return varint(number << 3) + varint(value) if value else b""


def double(number: int, value: float, *, always: bool = False) -> bytes:
    """Write a number; none is written for zero, unless it is one of several choices."""
    written = varint(number << 3 | _DOUBLE) + struct.pack("<d", value)
    return written if value or always else b""


def any_(number: int, value: object) -> bytes:
    """Write any value, as YAML."""
    return delimited(number, text(2, orjson.dumps(value).decode() + "\n"))  # JSON is YAML


def repeated(write: Write, number: int, values: list[Any]) -> bytes:
    """Write a field for each value."""
    return b"".join(write(number, value) for value in values)


def named(write: Write, number: int, value: dict[str, Any], *, inner: int = 1) -> bytes:
    """Write a map: a message of pairs, each of a name and a value."""
    pairs = (delimited(inner, text(1, key) + write(2, it)) for key, it in value.items())
    return delimited(number, b"".join(pairs))


def wrapped(write: Write, number: int, value: Any) -> bytes:
    """Write a value as the first field of a message of its own."""
    return delimited(number, write(1, value))


TEXTS: Final = partial(repeated, text)

#: of an ExternalDocs, in either version
EXTERNAL_DOCS: Final[tuple[dict[str, tuple[int, Write]], int]] = (
    {"description": (1, text), "url": (2, text)},
    3,
)
#: what a schema demands of values, in the order of its numbers in either version
_DEMANDS: Final[dict[str, Write]] = {
    "multipleOf": double,
    "maximum": double,
    "exclusiveMaximum": boolean,
    "minimum": double,
    "exclusiveMinimum": boolean,
    "maxLength": integer,
    "minLength": integer,
    "pattern": text,
    "maxItems": integer,
    "minItems": integer,
    "uniqueItems": boolean,
    "maxProperties": integer,
    "minProperties": integer,
    "required": TEXTS,
    "enum": partial(repeated, any_),
}


def demands(first: int) -> dict[str, tuple[int, Write]]:
    """Return the fields of a schema that demand something of values; their numbers begin at `first`."""
    return {name: (number, write) for number, (name, write) in enumerate(_DEMANDS.items(), first)}
