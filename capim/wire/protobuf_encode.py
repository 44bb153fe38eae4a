"""JSON objects of built-in types to protobuf, by the same table as the other way.

The bytes are put together by hand: building a runtime message first would copy every value twice. Members
that the type does not have are left out, as Go's decoder leaves them out.
"""

from __future__ import annotations

import base64
import datetime
import functools
import re
import struct
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson

from capim.api import builtin_types

if TYPE_CHECKING:
    from collections.abc import Callable

    from capim.api.builtin_types import Field
    from capim.api.meta import JsonObject

#: a value to its bytes on the wire, without a tag but with a length where the type has one
Encode: TypeAlias = "Callable[[Any], bytes]"
Part: TypeAlias = "Callable[[JsonObject], bytes]"

_LENGTH_DELIMITED: Final = 2
_WIRE_TYPES: Final = {"b": 0, "i": 0, "l": 0, "d": 1}
_DURATION_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_UNIT_NS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def encode_message(name: str, obj: JsonObject) -> bytes:
    """Return the message of this type.

    Raises:
        ValueError, TypeError, AttributeError: a value does not fit its field.
    """
    return b"".join(part(obj) for part in _parts(name))


@functools.cache
def _parts(name: str) -> tuple[Part, ...]:
    return tuple(_part(field) for field in builtin_types.message(name).fields)


def _part(field: Field) -> Part:
    """Return what writes one field of an object, or nothing where the object has none."""
    tag = varint(field.number << 3 | _wire_type(field))
    encode, key = _encoder(field), field.name
    if field.inline:
        return lambda obj: tag + encode(obj)
    if field.shape == "{}":
        return lambda obj: b"".join(
            tag + _entry(field, name, encode(item)) for name, item in (obj.get(key) or {}).items()
        )
    if field.shape == "[]":
        return lambda obj: b"".join(tag + encode(item) for item in obj.get(key) or ())

    def single(obj: JsonObject) -> bytes:
        value = obj.get(key)
        return b"" if value is None else tag + encode(value)

    return single


def _wire_type(field: Field) -> int:
    return (
        _LENGTH_DELIMITED if field.shape == "{}" else _WIRE_TYPES.get(field.type, _LENGTH_DELIMITED)
    )


def _entry(field: Field, key: str, value: bytes) -> bytes:
    """Return a map's entry: a message of key and value."""
    value_tag = varint(2 << 3 | _WIRE_TYPES.get(field.type, _LENGTH_DELIMITED))
    return sized(b"\x0a" + _text(key) + value_tag + value)


def _encoder(field: Field) -> Encode:
    if not field.is_message:
        return _SCALARS[field.type]
    special = _SPECIAL.get(field.type)
    if special is not None:
        return lambda value: sized(b"" if value is None else special(value))
    if builtin_types.message(field.type).is_list:
        return lambda value: sized(encode_message(field.type, {"items": value}))
    return lambda value: sized(encode_message(field.type, value or {}))


def varint(value: int) -> bytes:
    """Return a whole number of 64 bits, negative ones as their complement."""
    value &= 0xFFFF_FFFF_FFFF_FFFF
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def sized(value: bytes) -> bytes:
    """Return bytes behind their length."""
    return varint(len(value)) + value


def _text(value: str) -> bytes:
    return sized(value.encode())


def _integer(value: float) -> bytes:
    number = int(value)
    if number != value or not -(1 << 63) <= number < 1 << 63:
        raise ValueError(f"{value!r} is not an integer of 64 bits")
    return varint(number)


_SCALARS: Final[dict[str, Encode]] = {
    "s": _text,
    "y": lambda value: sized(base64.b64decode(value, validate=True)),
    "b": lambda value: b"\x01" if value else b"\0",
    "i": _integer,
    "l": _integer,
    "d": lambda value: struct.pack("<d", value),
}


def _time(text: str) -> bytes:
    since = datetime.datetime.fromisoformat(text) - _EPOCH
    seconds = since.days * 86_400 + since.seconds
    return b"\x08" + varint(seconds) + b"\x10" + varint(since.microseconds * 1000)


def _duration(text: str) -> bytes:
    unsigned = text.removeprefix("-")
    parts = [Fraction(number) * _UNIT_NS[unit] for number, unit in _DURATION_PART.findall(unsigned)]
    if _DURATION_PART.sub("", unsigned) not in {"", "0"}:
        raise ValueError(f"{text!r} is not a duration")
    nanos = int(sum(parts))
    return b"\x08" + varint(-nanos if text.startswith("-") else nanos)


def _int_or_string(value: int | str) -> bytes:
    if isinstance(value, str):
        return b"\x08\x01\x1a" + _text(value)
    return b"\x08\0\x10" + _integer(value)


def _raw(value: Any) -> bytes:
    return b"\x0a" + sized(orjson.dumps(value))


def _schema(value: JsonObject, *, tag: bytes = b"\x0a") -> bytes:
    return tag + sized(encode_message("apiextensions/v1.JSONSchemaProps", value))


def _schema_or_list(value: Any) -> bytes:
    """JSONSchemaPropsOrArray and OrStringArray: field 1 the schema, field 2 the list of either."""
    if not isinstance(value, list):
        return _schema(value)
    return b"".join(
        b"\x12" + _text(item) if isinstance(item, str) else _schema(item, tag=b"\x12")
        for item in value
    )


def _schema_or_bool(value: JsonObject | bool) -> bytes:
    return (
        b"\x08\x01" + _schema(value, tag=b"\x12")
        if isinstance(value, dict)
        else b"\x08" + bytes([value])
    )


_SPECIAL: Final[dict[str, Encode]] = {
    "meta/v1.Time": _time,
    "meta/v1.MicroTime": _time,
    "meta/v1.Duration": _duration,
    "meta/v1.FieldsV1": _raw,
    "intstr.IntOrString": _int_or_string,
    "resource.Quantity": lambda text: b"\x0a" + _text(text),
    "runtime.RawExtension": _raw,
    "apiextensions/v1.JSON": _raw,
    "apiextensions/v1.JSONSchemaPropsOrArray": _schema_or_list,
    "apiextensions/v1.JSONSchemaPropsOrBool": _schema_or_bool,
    "apiextensions/v1.JSONSchemaPropsOrStringArray": _schema_or_list,
}
