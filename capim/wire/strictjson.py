"""What a strict decoder reports: fields that a built-in kind does not have, and fields that are given twice.

`has_unknown` and `has_duplicates` are on the way of every write (60 ns a key, 1 us a kB); the others tell
in a real server's words what is wrong, in the order in which it finds it, once something is.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson

from capim.api import builtin_types

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.builtin_types import Field
    from capim.api.gvk import GVK

#: tells whether a value has an unknown field somewhere inside
_Search: TypeAlias = Callable[[Any], bool]

#: in place of a message's name: any JSON, where only a field given twice is wrong
ANYTHING: Final = ""
#: in place of a message's name: an operation of a JSON patch
OPERATION: Final = "jsonPatchOp"
_OPERATION: Final = ("op", "path", "from", "value")
#: messages that read themselves: nobody looks inside
_OPAQUE: Final = frozenset(
    {
        "meta/v1.Time",
        "meta/v1.MicroTime",
        "meta/v1.Duration",
        "meta/v1.FieldsV1",
        "intstr.IntOrString",
        "resource.Quantity",
        "runtime.RawExtension",
        "apiextensions/v1.JSON",
        "apiextensions/v1.JSONSchemaPropsOrArray",
        "apiextensions/v1.JSONSchemaPropsOrBool",
        "apiextensions/v1.JSONSchemaPropsOrStringArray",
    }
)
_TYPE_META: Final = ("apiVersion", "kind")
#: how many faults a real server names
_LIMIT: Final = 100


class _Pairs(list[tuple[str, Any]]):
    """An object with every field that it was given, in order."""


def message_of(gvk: GVK) -> str:
    """Return the name of a kind's message; ANYTHING where it is not built in."""
    message = builtin_types.kind(gvk)
    return message.name if message else ANYTHING


def has_unknown(message: str, value: Any) -> bool:
    """Tell whether there is a field that a message and what it is made of do not have."""
    return bool(message) and _struct(message)(value)


def has_duplicates(text: bytes, value: object) -> bool:
    """Tell whether a JSON text, decoded to this value, may give a field twice.

    Each field has a colon, and so has each colon in a text, unless it is escaped: the rest need not be
    looked at again. True is only a suspicion.
    """
    try:
        return text.count(b":") != orjson.dumps(value).count(b":")
    except TypeError:
        return True


def text_faults(text: bytes, message: str, shape: str = "") -> list[str]:
    """Return what is wrong with a JSON text, each fault once: `unknown field "spec.a"`.

    Args:
        text: the JSON.
        message: what it is.
        shape: `[]`, it is a list of them.

    Raises:
        ValueError, RecursionError: the text is no JSON, or is nested too deeply.
    """
    value = json.loads(text.decode(errors="replace"), object_pairs_hook=_Pairs)
    return _first(_faults(value, message, shape, ""))


def value_faults(value: object, message: str) -> list[str]:
    """Return the unknown fields of a value, sorted as a real server sorts the fields of what it made.

    Raises:
        RecursionError: it is nested too deeply.
    """
    return text_faults(encoded(value, option=orjson.OPT_SORT_KEYS), message)


def encoded(value: object, option: int = 0) -> bytes:
    """Return a value as JSON. Raises RecursionError: it is nested too deeply."""
    try:
        return orjson.dumps(value, option=option)
    except TypeError as error:
        raise RecursionError(str(error)) from error


def paths_of(faults: list[str]) -> list[str]:
    """Return the paths that faults speak of."""
    return [fault.split('"', 1)[1][:-1] for fault in faults]


def _first(faults: Iterator[str]) -> list[str]:
    return [_whole(fault) for fault in dict.fromkeys(faults)][:_LIMIT]


def _whole(text: str) -> str:
    """Return a text without halves of characters, which no answer can have."""
    return text.encode(errors="surrogatepass").decode(errors="replace")


# --- is there anything? ------------------------------------------------------------------------------


class _Struct:
    """Searches one struct. Its fields are looked up on first use: structs contain themselves."""

    __slots__ = ("_inside", "_name")

    def __init__(self, name: str) -> None:
        self._name = name
        #: JSON name -> what searches the value; None where nothing can be wrong
        self._inside: dict[str, _Search | None] = {}

    def __call__(self, value: Any) -> bool:
        if type(value) is not dict:
            return False
        inside = self._inside or self._prepare()
        for key, item in value.items():
            search = inside.get(key, _unknown)
            if search is not None and search(item):
                return True
        return False

    def _prepare(self) -> dict[str, _Search | None]:
        self._inside = {key: _of_field(field) for key, field in _fields(self._name).items()}
        return self._inside


def _unknown(_: Any) -> bool:
    return True


def _in_list(search: _Search, value: Any) -> bool:
    return type(value) is list and any(map(search, value))


def _in_map(search: _Search, value: Any) -> bool:
    return type(value) is dict and any(map(search, value.values()))


@functools.cache
def _struct(name: str) -> _Struct:
    return _Struct(name)


def _of_field(field: Field | None) -> _Search | None:
    if field is None or not field.is_message or field.type in _OPAQUE:
        return None
    name, shape = _element(field)
    if name == ANYTHING:
        return None
    if not shape:
        return _struct(name)
    return functools.partial(_in_list if shape == "[]" else _in_map, _struct(name))


@functools.cache
def _fields(name: str) -> dict[str, Field | None]:
    """Return the fields of a struct by their JSON names; None for one that is text."""
    if name == OPERATION:
        return dict.fromkeys(_OPERATION)
    fields: dict[str, Field | None] = dict(builtin_types.json_fields(name))
    if builtin_types.message(name).is_kind:
        fields |= dict.fromkeys(_TYPE_META)
    return fields


def _element(field: Field) -> tuple[str, str]:
    """Return the message that a field holds, ANYTHING for a scalar, and whether it is a list or a map."""
    if not field.is_message:
        return ANYTHING, field.shape
    if field.type not in _OPAQUE and builtin_types.message(field.type).is_list:
        return _element(builtin_types.message(field.type).fields[0])[0], field.shape or "[]"
    return field.type, field.shape


# --- what is it? -------------------------------------------------------------------------------------


def _faults(value: Any, message: str, shape: str, path: str) -> Iterator[str]:
    """Go through a value that should be a message, or a list or map of messages."""
    if isinstance(value, _Pairs):
        if shape != "[]":
            yield from _object_faults(value, message, shape, path)
    elif isinstance(value, list) and (shape == "[]" or message == ANYTHING):
        for index, item in enumerate(value):
            yield from _faults(item, message, "", f"{path}[{index}]")


def _object_faults(value: _Pairs, message: str, shape: str, path: str) -> Iterator[str]:
    if not shape and message in _OPAQUE:
        return
    is_struct = message != ANYTHING and not shape
    fields = _fields(message) if is_struct else {}
    seen = set()
    for key, item in value:
        here = f"{path}.{key}" if path else key
        if is_struct and key not in fields:
            yield f'unknown field "{here}"'
            continue
        if key in seen:
            yield f'duplicate field "{here}"'
        seen.add(key)
        if is_struct:
            field = fields[key]
            yield from _faults(item, *_element(field), here) if field else ()
        else:
            yield from _faults(item, message, "", here)
