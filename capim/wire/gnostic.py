"""What gnostic's messages of OpenAPI documents are written with, whichever version they are of.

A message is a table: JSON name -> number and writer. A field whose name begins with `x-` is an extension.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

import orjson

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


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def delimited(number: int, data: bytes) -> bytes:
    """Write bytes with their length."""
    return _varint(number << 3 | _BYTES) + _varint(len(data)) + data


def text(number: int, value: str) -> bytes:
    """Write a text."""
    return delimited(number, value.encode())


def boolean(number: int, value: bool, *, always: bool = False) -> bytes:
    """Write a truth; none is written for false, unless it is one of several choices."""
    return _varint(number << 3) + _varint(value) if value or always else b""


def integer(number: int, value: int) -> bytes:
    """Write a whole number; none is written for zero."""
    return _varint(number << 3) + _varint(value & (1 << 64) - 1) if value else b""


def double(number: int, value: float, *, always: bool = False) -> bytes:
    """Write a number; none is written for zero, unless it is one of several choices."""
    written = _varint(number << 3 | _DOUBLE) + struct.pack("<d", value)
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
