"""Messages to bytes and back: msgpack arrays `[version, session, number, type name, field, field, ...]`.

Fields go by position, so `envelope.VERSION` is raised with every change of them. What does not fit the
annotated types is a `CodecError`; nothing is guessed.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import types
import typing
from typing import TYPE_CHECKING, Any

import msgpack

from capim.messaging import envelope
from capim.messaging.order import Place

if TYPE_CHECKING:
    from collections.abc import Callable

    Decoder = Callable[[Any], Any]

Message = envelope.Command | envelope.Report

_TYPES = {kind.__name__: kind for kind in typing.get_args(Message)}


class CodecError(ValueError):
    """The bytes are not a message of this version."""


def encode(message: Message, place: Place) -> bytes:
    """Encode one message."""
    values = [envelope.VERSION, *place, type(message).__name__, *_fields(message)]
    return bytes(msgpack.packb(values, default=_plain))


def decode(data: bytes) -> tuple[Message, Place]:
    """Decode one message.

    Raises:
        CodecError: not msgpack, another version, an unknown type, or a field of the wrong shape.
    """
    try:
        version, session, number, name, *values = msgpack.unpackb(data, strict_map_key=False)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise CodecError(f"not a message: {error}") from error
    if version != envelope.VERSION:
        raise CodecError(f"message version {version}, this process speaks {envelope.VERSION}")
    if type(session) is not int or type(number) is not int:
        raise CodecError("session and number are no integers")
    if name not in _TYPES:
        raise CodecError(f"unknown message type {name!r}")
    try:
        message = typing.cast("Message", _decoder(_TYPES[name])(values))
    except (TypeError, ValueError, AttributeError) as error:
        raise CodecError(f"bad {name}: {error}") from error
    return message, Place(session, number)


def _fields(value: Any) -> list[Any]:
    return [getattr(value, field.name) for field in dataclasses.fields(value)]


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return _fields(value)
    raise TypeError(f"{type(value).__name__} cannot travel in a message")


@functools.cache
def _decoder(hint: Any) -> Decoder:
    """Build the function that turns a msgpack value into a value of this annotation."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return _tuple_decoder(args)
    if origin is dict:
        key, value = (_decoder(arg) for arg in args)
        return lambda raw: {key(k): value(v) for k, v in raw.items()}
    if origin in {types.UnionType, typing.Union}:
        (inner,) = (_decoder(arg) for arg in args if arg is not types.NoneType)
        return lambda raw: None if raw is None else inner(raw)
    return _class_decoder(hint)


def _class_decoder(hint: Any) -> Decoder:
    if issubclass(hint, enum.Enum):
        return typing.cast("Decoder", hint)
    if dataclasses.is_dataclass(hint):
        return _record_decoder(hint)
    if issubclass(hint, tuple):  # a NamedTuple
        return _named_tuple_decoder(hint)
    return _scalar_decoder(hint)


def _tuple_decoder(args: tuple[Any, ...]) -> Decoder:
    if args[-1] is Ellipsis:
        item = _decoder(args[0])
        return lambda raw: tuple(item(value) for value in raw)
    items = [_decoder(arg) for arg in args]
    return lambda raw: tuple(item(value) for item, value in zip(items, raw, strict=True))


def _record_decoder(kind: Any) -> Decoder:
    hints = typing.get_type_hints(kind)
    items = [_decoder(hints[field.name]) for field in dataclasses.fields(kind)]
    return lambda raw: kind(*[item(value) for item, value in zip(items, raw, strict=True)])


def _named_tuple_decoder(kind: Any) -> Decoder:
    hints = typing.get_type_hints(kind)
    items = [_decoder(hints[name]) for name in kind._fields]
    return lambda raw: kind(*[item(value) for item, value in zip(items, raw, strict=True)])


def _scalar_decoder(hint: type) -> Decoder:
    def decode_scalar(raw: Any) -> Any:
        if hint is float and isinstance(raw, int) and not isinstance(raw, bool):
            return float(raw)
        if type(raw) is not hint:
            raise TypeError(f"expected {hint.__name__}, got {type(raw).__name__}")
        return raw

    return decode_scalar
