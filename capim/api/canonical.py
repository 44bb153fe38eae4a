"""Objects of built-in kinds as a typed server holds them: unknown and empty fields gone, types checked.

What a client sends is read into a struct and written again by a real server; this does the same with
the generated table: a field that is not the kind's is left out, so is an empty one, a struct is there
even when nobody sent it, a quantity has its shortest form. A function for each message is made when it
is first asked for. Metadata of the object itself is not looked at: `capim.runtime.writes` owns it.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from capim.api import builtin_types
from capim.api.quantities import canonical_quantity

if TYPE_CHECKING:
    from collections.abc import Callable

    from capim.api.builtin_types import Field
    from capim.api.gvk import GVK
    from capim.api.meta import JsonObject

    Convert = Callable[[Any], Any]

#: letter of a scalar -> Go's name of it
_GO_SCALARS: Final = {
    "s": "string",
    "b": "bool",
    "i": "int32",
    "l": "int64",
    "d": "float64",
    "y": "[]uint8",
}
_PYTHON_SCALARS: Final[dict[str, type]] = {"s": str, "b": bool, "i": int, "l": int, "y": str}
_ZEROS: Final[dict[str, Any]] = {"s": "", "b": False, "i": 0, "l": 0, "d": 0, "y": None}
#: what Go's decoder calls a type -> what its converter calls it
_GO_KINDS: Final = {
    "string": "string",
    "bool": "bool",
    "number": "int64",
    "array": "slice",
    "object": "map",
}
_FORMS: Final = {"map": "map", "[]": "slice"}
_TIMES: Final = frozenset({"meta/v1.Time", "meta/v1.MicroTime"})
_TOP_LEVEL: Final = ("apiVersion", "kind", "metadata")


class MismatchError(ValueError):
    """A value is not of its field's type; the text is what Go's JSON decoder says."""

    def __init__(self, got: str, wanted: str, owner: str = "", *steps: str) -> None:
        super().__init__(got, wanted)
        self.got, self.wanted, self.owner, self.steps = got, wanted, owner, list(steps)
        self.is_fraction = False

    def __str__(self) -> str:
        """Say it as Go does; a text without a type stands for itself."""
        if not self.wanted:
            return self.got
        field = ".".join((self.owner, *reversed(self.steps)))
        return (
            f"json: cannot unmarshal {self.got} into Go struct field {field} of type {self.wanted}"
        )

    @property
    def converted(self) -> str:
        """What Go says where it does not decode a text but converts what a patch has made."""
        if not self.wanted:
            return self.got
        kind = "float64" if self.is_fraction else _GO_KINDS[self.got]
        if self.wanted.startswith("v1."):
            return f"cannot restore struct from: {kind}"
        for form in ("map", "[]"):
            if self.wanted.startswith(form):
                return f"cannot restore {_FORMS[form]} from {kind}"
        known = (kind, self.wanted) == ("int64", "string") or (
            kind == "float64" and self.wanted.startswith("int")
        )
        return (
            f"cannot convert {kind} to {self.wanted}"
            if known
            else f"unrecognized type: {self.wanted}"
        )


def canonical(gvk: GVK, body: JsonObject) -> JsonObject:
    """Return a new object as the kind's struct would be written; metadata is the given one.

    An object of a kind that is not built in is returned as it is.

    Raises:
        MismatchError: a value has another type than its field.
    """
    convert = _converter(gvk)
    if convert is None:
        return body
    made: JsonObject = {key: body[key] for key in _TOP_LEVEL if key in body}
    made |= convert({key: body[key] for key in body if key not in _TOP_LEVEL})
    return made


@functools.lru_cache(maxsize=1024)  # bounded: clients name kinds as they like
def _converter(gvk: GVK) -> _Struct | None:
    message = builtin_types.kind(gvk)
    return _struct(message.name, skipped=_TOP_LEVEL) if message else None


@functools.cache
def _struct(name: str, skipped: tuple[str, ...] = ()) -> _Struct:
    return _Struct(name, skipped)


class _Struct:
    """Reads and writes one struct. Its fields are looked up on first use: structs contain themselves."""

    __slots__ = ("_always", "_fields", "_name", "_owner", "_skipped")

    def __init__(self, name: str, skipped: tuple[str, ...]) -> None:
        self._name, self._owner, self._skipped = name, name.rpartition(".")[2], skipped
        #: JSON name -> what reads it, and whether it is left out when empty
        self._fields: dict[str, tuple[Convert, bool]] = {}
        self._always: dict[str, Any] = {}  #: JSON name -> what stands there when nobody sent it

    def __call__(self, value: Any) -> JsonObject:
        if type(value) is not dict:
            raise MismatchError(go_kind(value), f"v1.{self._owner}")
        if not self._fields:
            self._prepare()
        made = self._read(value)
        for key, empty in self._always.items():
            if key not in made:
                made[key] = empty({}) if callable(empty) else empty
        return made

    def _read(self, value: JsonObject) -> JsonObject:
        made, always = {}, self._always
        for key, item in value.items():
            known = self._fields.get(key)
            if known is None or item is None:
                continue
            convert, omitted = known
            try:
                item = convert(item)  # noqa: PLW2901 - the same value, checked
            except MismatchError as error:
                error.owner = error.owner or self._owner
                error.steps.append(key)
                raise
            if item or not omitted or key in always:
                made[key] = item if item != [] else always.get(key)
        return made

    def _prepare(self) -> None:
        for key, field in builtin_types.json_fields(self._name).items():
            if key in self._skipped:
                continue
            self._fields[key] = (_of_field(field), not (field.pointer or field.always))
            if field.always:
                self._always[key] = None if field.pointer or field.shape else _zero(field)
            elif _is_plain_time(field):
                self._always[key] = None
            elif _is_plain_struct(field):
                self._always[key] = _struct(field.type)


def _is_plain_time(field: Field) -> bool:
    """Tell whether Go writes null where nobody gave a time."""
    return field.type in _TIMES and not (field.pointer or field.shape or field.omit_zero)


def _is_plain_struct(field: Field) -> bool:
    """Tell whether Go writes the field even when empty: it leaves out no struct but by omitzero."""
    return (
        field.is_message
        and field.type not in _SPECIAL
        and not (field.pointer or field.shape or field.omit_zero)
        and not builtin_types.message(field.type).is_list
    )


def _zero(field: Field) -> Any:
    if not field.is_message:
        return _ZEROS[field.type]
    if field.type in _SPECIAL:
        return _SPECIAL_ZEROS.get(field.type)
    return _struct(field.type)


def _of_field(field: Field) -> Convert:
    """Return what reads one field: a value, a list or a map of them."""
    convert = _of_type(field.type)
    name = _go_name(field.type)
    if field.shape == "[]":
        return functools.partial(_list, convert, f"[]{name}")
    if field.shape == "{}":
        return functools.partial(_map, convert, f"map[string]{name}")
    return convert


def _of_type(type_name: str) -> Convert:
    if type_name in _SPECIAL:
        return _SPECIAL[type_name]
    if type_name in _GO_SCALARS:
        return functools.partial(_scalar, type_name)
    message = builtin_types.message(type_name)
    if message.is_list:
        only = message.fields[0]
        return functools.partial(_list, _of_type(only.type), f"v1.{type_name.rpartition('.')[2]}")
    return _struct(type_name)


def _go_name(type_name: str) -> str:
    return _GO_SCALARS.get(type_name) or f"v1.{type_name.rpartition('.')[2]}"


def _list(convert: Convert, wanted: str, value: Any) -> list[Any]:
    if type(value) is not list:
        raise MismatchError(go_kind(value), wanted)
    return [convert(item) for item in value]


def _map(convert: Convert, wanted: str, value: Any) -> JsonObject:
    if type(value) is not dict:
        raise MismatchError(go_kind(value), wanted)
    return {key: convert(item) for key, item in value.items() if item is not None}


def _scalar(letter: str, value: Any) -> Any:
    wanted = _PYTHON_SCALARS.get(letter)
    if wanted is None:
        if type(value) in {int, float}:
            return value
    elif type(value) is wanted:
        return value
    got = go_kind(value)
    if type(value) is float and letter in "il":
        if value.is_integer():
            return int(value)
        got = f"number {value}"
    error = MismatchError(got, _GO_SCALARS[letter])
    error.is_fraction = type(value) is float
    raise error


def go_kind(value: Any) -> str:
    """Return what Go's decoder calls the type of a JSON value."""
    kinds = {bool: "bool", int: "number", float: "number", str: "string", list: "array"}
    return kinds.get(type(value), "object")


def _any(value: Any) -> Any:
    return value


def _quantity(value: Any) -> str:
    if type(value) not in {str, int, float}:
        raise MismatchError(f"json: cannot unmarshal {go_kind(value)} into a quantity", "")
    try:
        return canonical_quantity(str(value))
    except ValueError as error:
        raise MismatchError(str(error), "") from error


def _int_or_string(value: Any) -> int | str:
    if type(value) is str or type(value) is int:
        return value
    raise MismatchError(go_kind(value), "int32")


def _time(value: Any) -> str:
    if type(value) is not str:
        raise MismatchError(go_kind(value), "string")
    return value


_SPECIAL: Final[dict[str, Convert]] = {
    "meta/v1.Time": _time,
    "meta/v1.MicroTime": _time,
    "meta/v1.Duration": _time,
    "meta/v1.FieldsV1": _any,
    "intstr.IntOrString": _int_or_string,
    "resource.Quantity": _quantity,
    "runtime.RawExtension": _any,
    "apiextensions/v1.JSON": _any,
    "apiextensions/v1.JSONSchemaPropsOrArray": _any,
    "apiextensions/v1.JSONSchemaPropsOrBool": _any,
    "apiextensions/v1.JSONSchemaPropsOrStringArray": _any,
}
_SPECIAL_ZEROS: Final[dict[str, Any]] = {"resource.Quantity": "0", "intstr.IntOrString": 0}
