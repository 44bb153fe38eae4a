"""What field managers may own of a value: shapes of built-in kinds and of structural schemas. Pure.

A shape says how a value is divided: a leaf (a scalar, or anything atomic) has one owner; a map is
divided by its fields, a list by its elements, which are told apart by their value (a set) or by some of
their fields (a map of keys). Where no schema is, a value shows its shape itself: maps are divided, lists
are not.

Shapes are made when they are first looked into: some contain themselves.
Semantics: kube-openapi's `schemaconv` and structured-merge-diff's `schema`.
"""

from __future__ import annotations

import enum
import functools
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from capim.api import builtin_types

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from capim.api.builtin_types import Field
    from capim.api.gvk import GVK
    from capim.api.meta import JsonObject


class Form(enum.Enum):
    """How a value is divided among its owners."""

    LEAF = "leaf"
    MAP = "map"
    LIST = "list"
    DEDUCED = "deduced"  #: a map is divided, anything else is a leaf


class Holds(enum.Enum):
    """What a value of a shape must be."""

    SCALAR = "scalar"
    MAP = "map"
    LIST = "list"
    ANYTHING = "anything"


class Shape:
    """The shape of one value. `fields` have names of their own, `element` is every other member."""

    __slots__ = (
        "_fields",
        "_make",
        "defaults",
        "element",
        "form",
        "holds",
        "keys",
        "keys_of",
        "scalar",
    )

    def __init__(
        self,
        form: Form,
        holds: Holds,
        *,
        scalar: str = "",
        fields: Callable[[], Mapping[str, Shape]] | None = None,
        element: Shape | None = None,
        keys: tuple[str, ...] = (),
        defaults: Mapping[str, Any] | None = None,
    ) -> None:
        self.form = form
        self.holds = holds
        self.scalar = scalar  #: string, numeric, boolean, or empty for any
        self.element = element
        self.keys = keys  #: of a list's elements, in order; none: it is a set
        self.keys_of = itemgetter(*keys) if keys else None  #: of an element that has them all
        self.defaults = defaults or {}  #: of keys that an element may leave out
        self._make = fields
        self._fields: Mapping[str, Shape] = {}

    @property
    def fields(self) -> Mapping[str, Shape]:
        """The named fields; of an atomic value too, for those who check it."""
        if self._make is not None:
            self._fields, self._make = self._make(), None
        return self._fields

    def of(self, name: str) -> Shape | None:
        """Return the shape of a member, None where the schema knows no such member."""
        return self.fields.get(name) or self.element

    def below(self, path_element: str) -> Shape | None:
        """Return the shape of what an element of a path leads to."""
        return self.of(path_element[2:]) if path_element[0] == "f" else self.element


@functools.lru_cache(maxsize=2048)
def members(shape: Shape, names: tuple[str, ...]) -> tuple[tuple[str, str, Shape], ...]:
    """Return name, path element and shape of an object's members, in order; `names` in any order.

    Objects of a kind have the same few sets of names again and again.
    """
    fields, other = shape.fields, shape.element or ANY
    return tuple((name, f"f:{name}", fields.get(name, other)) for name in sorted(names))


ANY: Final = Shape(Form.LEAF, Holds.ANYTHING)
DEDUCED: Final = Shape(Form.DEDUCED, Holds.ANYTHING)
DEDUCED.element = DEDUCED
_TEXT: Final = Shape(Form.LEAF, Holds.SCALAR, scalar="string")
_NUMBER: Final = Shape(Form.LEAF, Holds.SCALAR, scalar="numeric")
_TRUTH: Final = Shape(Form.LEAF, Holds.SCALAR, scalar="boolean")
_SCALAR: Final = Shape(Form.LEAF, Holds.SCALAR)
_SCALARS: Final = {
    "s": _TEXT,
    "y": _TEXT,
    "b": _TRUTH,
    "i": _NUMBER,
    "l": _NUMBER,
    "d": _NUMBER,
}
_SCHEMA_SCALARS: Final = {
    "string": _TEXT,
    "boolean": _TRUTH,
    "integer": _NUMBER,
    "number": _NUMBER,
}
#: messages that are scalars in JSON, whose form no schema describes
_SCALAR_MESSAGES: Final = frozenset(
    {
        "meta/v1.Time",
        "meta/v1.MicroTime",
        "meta/v1.Duration",
        "intstr.IntOrString",
        "resource.Quantity",
    }
)
#: messages that may be anything
_OPAQUE: Final = _SCALAR_MESSAGES | {
    "meta/v1.FieldsV1",
    "runtime.RawExtension",
    "apiextensions/v1.JSON",
    "apiextensions/v1.JSONSchemaPropsOrArray",
    "apiextensions/v1.JSONSchemaPropsOrBool",
    "apiextensions/v1.JSONSchemaPropsOrStringArray",
}
#: what an absent value of such a type is in Go
_ZEROES: Final[dict[str, Any]] = {
    "s": "",
    "b": False,
    "i": 0,
    "l": 0,
    "d": 0,
    "intstr.IntOrString": 0,
    "resource.Quantity": "0",
}
_METADATA: Final = "meta/v1.ObjectMeta"


def kind_shape(gvk: GVK) -> Shape | None:
    """Return the shape of a built-in kind, None for another."""
    message = builtin_types.kind(gvk)
    return None if message is None else _kind_shape(message.name)


@functools.cache
def _kind_shape(name: str) -> Shape:
    own = {"apiVersion": _TEXT, "kind": _TEXT}
    return Shape(Form.MAP, Holds.MAP, fields=lambda: own | dict(_message_shape(name).fields))


@functools.cache
def _message_shape(name: str, *, granular: bool = False) -> Shape:
    if name in _OPAQUE:
        return _SCALAR if name in _SCALAR_MESSAGES else ANY
    message = builtin_types.message(name)
    if message.is_list:
        return Shape(Form.LEAF, Holds.LIST, element=_element_shape(message.fields[0]))
    form = Form.LEAF if message.is_atomic and not granular else Form.MAP
    return Shape(form, Holds.MAP, fields=lambda: _field_shapes(name))


def _field_shapes(name: str) -> dict[str, Shape]:
    fields = builtin_types.json_fields(name)
    return {label: _field_shape(field) for label, field in fields.items()}


def _field_shape(field: Field) -> Shape:
    element = _element_shape(field)
    if field.shape == "[]":
        return _list_shape(field, element)
    if field.shape == "{}":
        form = Form.LEAF if field.topology == "atomic" else Form.MAP
        return Shape(form, Holds.MAP, element=element)
    if not field.is_message or not field.topology:
        return element
    if field.topology == "granular":
        return _message_shape(field.type, granular=True)
    return Shape(Form.LEAF, Holds.MAP, fields=lambda: _field_shapes(field.type))


def _element_shape(field: Field) -> Shape:
    return _message_shape(field.type) if field.is_message else _SCALARS[field.type]


def _list_shape(field: Field, element: Shape) -> Shape:
    topology = field.topology
    if not topology and "merge" in field.strategies:
        topology = field.merge_key or "set"
    if topology in {"", "atomic"}:
        return Shape(Form.LEAF, Holds.LIST, element=element)
    words = [] if topology == "set" else topology.split(",")
    keys = tuple(sorted(word.partition("=")[0] for word in words))
    defaults = _zero_keys(field, keys)
    defaults |= {word.partition("=")[0]: word.partition("=")[2] for word in words if "=" in word}
    return Shape(Form.LIST, Holds.LIST, element=element, keys=keys, defaults=defaults)


def _zero_keys(field: Field, keys: tuple[str, ...]) -> dict[str, Any]:
    """Return the keys that JSON never leaves out: an element without them has their zero values."""
    if not keys:
        return {}
    fields = builtin_types.json_fields(field.type)
    return {
        key: _ZEROES[fields[key].type]
        for key in keys
        if fields[key].always and not fields[key].pointer and fields[key].type in _ZEROES
    }


@functools.cache
def zero_object(gvk: GVK) -> JsonObject:
    """Return what a new object of a kind is before anything is set: structs that Go cannot leave out."""
    message = builtin_types.kind(gvk)
    return {} if message is None else _zero(message.name)


def _zero(name: str) -> JsonObject:
    fields = builtin_types.json_fields(name).values()
    return {
        field.name: _zero_field(field)
        for field in fields
        if field.always or (_is_struct(field) and not field.omit_zero)
    }


def _is_struct(field: Field) -> bool:
    if not field.is_message or field.shape or field.pointer:
        return False
    return field.type not in _OPAQUE and not builtin_types.message(field.type).is_list


def _zero_field(field: Field) -> Any:
    if field.shape or field.pointer:
        return None
    return _zero(field.type) if _is_struct(field) else _ZEROES.get(field.type)


# --- custom resources --------------------------------------------------------------------------------


def schema_shape(schema: JsonObject) -> Shape:
    """Return the shape of a custom resource with this structural schema; it has object metadata."""
    return _object_shape(schema, preserves=False, resource=True)


def _schema_shape(schema: JsonObject, *, preserves: bool) -> Shape:
    preserves = preserves or bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    kind = schema.get("type")
    if kind == "object":
        resource = bool(schema.get("x-kubernetes-embedded-resource"))
        return _object_shape(schema, preserves=preserves, resource=resource)
    if kind == "array":
        return _array_shape(schema, preserves=preserves)
    if schema.get("x-kubernetes-int-or-string"):
        return _SCALAR
    if kind is None:
        return DEDUCED
    plain = kind != "string" or schema.get("format") in {None, "", "byte"}
    return _SCHEMA_SCALARS.get(kind, _SCALAR) if plain else _SCALAR


def _object_shape(schema: JsonObject, *, preserves: bool, resource: bool) -> Shape:
    preserves = preserves or bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    properties: JsonObject = schema.get("properties") or {}
    others = schema.get("additionalProperties")

    def fields() -> dict[str, Shape]:
        made = {name: _schema_shape(node, preserves=preserves) for name, node in properties.items()}
        if resource:
            made |= {"apiVersion": _TEXT, "kind": _TEXT}
            made["metadata"] = _message_shape(_METADATA)
        return made

    element: Shape | None = None
    if isinstance(others, dict):
        element = _schema_shape(others, preserves=preserves)
    elif others is True or (others is None and (preserves or not properties)):
        element = DEDUCED
    atomic = schema.get("x-kubernetes-map-type") == "atomic"
    form = Form.LEAF if atomic else Form.MAP
    return Shape(form, Holds.MAP, fields=fields, element=element)


def _array_shape(schema: JsonObject, *, preserves: bool) -> Shape:
    items: JsonObject = schema.get("items") or {}
    element = _schema_shape(items, preserves=preserves)
    kind = schema.get("x-kubernetes-list-type")
    if kind == "set":
        return Shape(Form.LIST, Holds.LIST, element=element)
    if kind != "map":
        return Shape(Form.LEAF, Holds.LIST, element=element)
    keys = tuple(sorted(schema.get("x-kubernetes-list-map-keys") or ()))
    properties: JsonObject = items.get("properties") or {}
    defaults = {
        key: properties[key]["default"] for key in keys if "default" in properties.get(key, {})
    }
    return Shape(Form.LIST, Holds.LIST, element=element, keys=keys, defaults=defaults)
