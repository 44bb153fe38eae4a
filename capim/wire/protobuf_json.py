"""Parsed protobuf messages of built-in types to JSON, exactly as Go's encoding/json writes their structs.

A `Codec` is compiled once a message: what to do with each field that is present, the constants that appear
even when absent, and makers for structs that do. Go's rules: a pointer, list or map that is nil is left out
with `omitempty` and null without; an empty string, number or false is left out with `omitempty`; a struct
that is no pointer always appears. Types that Go marshals by hand are in `_SPECIAL`.
"""

from __future__ import annotations

import base64
import datetime
import functools
import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson

from capim.api import builtin_types
from capim.wire.protobuf_schema import LATE, message_class

if TYPE_CHECKING:
    from collections.abc import Callable

    from capim.api.builtin_types import Field
    from capim.api.meta import JsonObject

ToJson: TypeAlias = "Callable[[Any], Any]"
Put: TypeAlias = "Callable[[JsonObject, Any], None]"

_ZERO_TIME_S: Final = -62_135_596_800  # 0001-01-01, Go's zero time, null in JSON
_ZERO: Final = {"s": "", "b": False, "i": 0, "l": 0, "d": 0}
_DURATION_UNITS: Final = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs"))
_QUANTITY: Final = re.compile(
    r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?"
)
_EXACT_INTEGERS: Final = 1e15


class Codec:
    """Turns parsed messages of one type into JSON."""

    __slots__ = ("_put", "constants", "makers")

    def __init__(self, name: str) -> None:
        self._put: dict[int, Put] = {}
        self.constants: JsonObject = {}  #: what absent fields leave, by JSON name
        self.makers: list[tuple[str, Callable[[], Any]]] = []  #: the same, but made anew each time
        for field in builtin_types.message(name).fields:
            self._put[field.number] = _putter(field)
            self._note_absence(field)

    def json(self, message: Any) -> JsonObject:
        """Return the message as a JSON object. Raises ValueError where Go would refuse to write it."""
        result = self.constants.copy()
        put = self._put
        for descriptor, value in message.ListFields():
            put[descriptor.number](result, value)
        for key, make in self.makers:
            if key not in result:
                result[key] = make()
        return result

    def _note_absence(self, field: Field) -> None:
        """Remember what an absent field leaves in JSON, if anything."""
        if field.inline:
            embedded = codec(field.type)
            self.constants |= embedded.constants
            self.makers += embedded.makers
        elif field.shape or field.pointer or field.type == "y":
            if field.always:
                self.constants[field.name] = None
        elif not field.is_message:
            if field.always:
                self.constants[field.name] = _ZERO[field.type]
        elif not field.omit_zero:
            self.makers.append((field.name, _maker(field.type)))


@functools.cache
def codec(name: str) -> Codec:
    """Return the codec of the message with this full name."""
    return Codec(name)


def to_json(name: str) -> ToJson:
    """Return the function that turns a parsed message of this type into JSON."""
    special = _SPECIAL.get(name)
    if special is not None:
        return special
    message = builtin_types.message(name)
    if message.is_list:
        return lambda value: list(value.f1) or None
    if any(field.type == name for field in message.fields):
        return lambda value: codec(name).json(value)  # its own codec is being made now
    return codec(name).json


def _maker(name: str) -> Callable[[], Any]:
    return lambda: to_json(name)(message_class(name)())


def _putter(field: Field) -> Put:
    """Return what to do with a field that is present."""
    key = field.name
    if field.inline:
        embedded = codec(field.type)
        return lambda result, value: result.update(embedded.json(value))
    if field.shape == "{}":
        return _map_putter(key, field)
    convert = _converter(field)
    if field.shape:
        return _list_putter(key, convert)
    if field.pointer or field.always or (field.is_message and not field.omit_zero):
        return _single_putter(key, convert)
    return _omitting_putter(key, convert)


def _omitting_putter(key: str, convert: ToJson | None) -> Put:
    """Leave out what is empty before conversion, or null after it (a time that is Go's zero time)."""

    def put(result: JsonObject, value: Any) -> None:
        converted = convert(value) if convert and value else value
        if converted:
            result[key] = converted

    return put


def _single_putter(key: str, convert: ToJson | None) -> Put:
    def put(result: JsonObject, value: Any) -> None:
        result[key] = value

    def put_converted(result: JsonObject, value: Any) -> None:
        result[key] = convert(value)  # type: ignore[misc]

    return put if convert is None else put_converted


def _list_putter(key: str, convert: ToJson | None) -> Put:
    def put(result: JsonObject, value: Any) -> None:
        result[key] = list(value)

    def put_converted(result: JsonObject, value: Any) -> None:
        result[key] = [convert(item) for item in value]  # type: ignore[misc]

    return put if convert is None else put_converted


def _map_putter(key: str, field: Field) -> Put:
    convert = _converter(field)

    def put(result: JsonObject, value: Any) -> None:
        result[key] = dict(value)

    def put_converted(result: JsonObject, value: Any) -> None:
        result[key] = {name: convert(item) for name, item in value.items()}  # type: ignore[misc]

    return put if convert is None else put_converted


def _converter(field: Field) -> ToJson | None:
    """Return how one value of the field becomes JSON; None: it is JSON already."""
    if not field.is_message:
        scalars: dict[str, ToJson] = {"y": _bytes, "d": _double}
        return scalars.get(field.type)
    if field.type in LATE:
        return _late(field.type)
    if field.shape == "{}" and builtin_types.message(field.type).is_list:
        return lambda message: list(
            message.f1
        )  # Go makes a map's value empty where others stay nil
    return to_json(field.type)


def _late(name: str) -> ToJson:
    return lambda value: to_json(name)(message_class(name).FromString(value))


def _bytes(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _double(value: float) -> float | int:
    """Write 1.0 as 1, as Go does; NaN and infinities have no JSON."""
    if value != value or value in {float("inf"), float("-inf")}:  # noqa: PLR0124
        raise ValueError(f"{value} has no JSON form")
    return int(value) if value.is_integer() and abs(value) < _EXACT_INTEGERS else value


@functools.lru_cache(maxsize=1024)
def _rfc3339(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat()[:19]


def _time(message: Any) -> str | None:
    seconds = message.f1
    if (seconds == 0 and not message.ListFields()) or seconds == _ZERO_TIME_S:
        return None
    return f"{_rfc3339(seconds)}Z"


def _micro_time(message: Any) -> str | None:
    if not message.ListFields():
        return None
    micros = message.f1 * 1_000_000 + int(message.f2 / 1000)
    if micros == _ZERO_TIME_S * 1_000_000:
        return None
    seconds, fraction = divmod(micros, 1_000_000)
    return f"{_rfc3339(seconds)}.{fraction:06d}Z"


def _duration(message: Any) -> str:
    """Write int64 nanoseconds as Go's time.Duration does: 1h2m3.5s, 1.5ms, 0s."""
    nanos = message.f1
    sign, nanos = ("-", -nanos) if nanos < 0 else ("", nanos)
    if nanos < _DURATION_UNITS[0][0]:
        for unit, name in _DURATION_UNITS[1:]:
            if nanos >= unit:
                return f"{sign}{_decimal(nanos, unit)}{name}"
        return f"{sign}{nanos}ns" if nanos else "0s"
    minutes, rest = divmod(nanos, 60_000_000_000)
    text = f"{_decimal(rest, 1_000_000_000)}s"
    if minutes:
        hours, minutes = divmod(minutes, 60)
        text = f"{hours}h{minutes}m{text}" if hours else f"{minutes}m{text}"
    return sign + text


def _decimal(value: int, unit: int) -> str:
    whole, fraction = divmod(value, unit)
    digits = f"{fraction:0{len(str(unit)) - 1}d}".rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)


def _quantity(message: Any) -> str:
    return _checked_quantity(message.f1)


@functools.lru_cache(maxsize=1024)
def _checked_quantity(text: str) -> str:
    """Return a quantity as it is: Go sends canonical ones. Absent is 0."""
    if text and not _QUANTITY.fullmatch(text):
        raise ValueError(f"{text!r} is not a quantity")
    return text or "0"


def _int_or_string(message: Any) -> int | str:
    if message.f1 not in {0, 1}:
        raise ValueError(f"{message.f1} is neither the int nor the string of an IntOrString")
    chosen: int | str = message.f3 if message.f1 else message.f2
    return chosen


def _raw(message: Any) -> Any:
    return orjson.loads(message.f1) if message.f1 else None


def _schema(message: Any) -> JsonObject | None:
    return (
        codec("apiextensions/v1.JSONSchemaProps").json(message.f1)
        if message.HasField("f1")
        else None
    )


def _schema_or_array(message: Any) -> Any:
    schemas = [codec("apiextensions/v1.JSONSchemaProps").json(item) for item in message.f2]
    return schemas or _schema(message)


def _schema_or_strings(message: Any) -> Any:
    return list(message.f2) or _schema(message)


def _schema_or_bool(message: Any) -> Any:
    if message.HasField("f2"):
        return codec("apiextensions/v1.JSONSchemaProps").json(message.f2)
    return bool(message.f1)


_SPECIAL: Final[dict[str, ToJson]] = {
    "meta/v1.Time": _time,
    "meta/v1.MicroTime": _micro_time,
    "meta/v1.Duration": _duration,
    "meta/v1.FieldsV1": _raw,
    "intstr.IntOrString": _int_or_string,
    "resource.Quantity": _quantity,
    "runtime.RawExtension": _raw,
    "apiextensions/v1.JSON": _raw,
    "apiextensions/v1.JSONSchemaPropsOrArray": _schema_or_array,
    "apiextensions/v1.JSONSchemaPropsOrBool": _schema_or_bool,
    "apiextensions/v1.JSONSchemaPropsOrStringArray": _schema_or_strings,
}
