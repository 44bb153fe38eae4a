"""What CEL sees of a schema: its types, for checking expressions, and values as its library takes them.

A schema's object becomes a protobuf message that exists only to be checked against: undefined fields and
wrong types are found when a definition is written. Values are maps; fields that a schema does not know
are not seen. Lists of lists, which protobuf lacks, are of any type. Source: k8s.io/apiserver, `pkg/cel`.
"""

from __future__ import annotations

import base64
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from cel_expr_python import cel
from google.protobuf import (
    descriptor_pool,
    duration_pb2,
    struct_pb2,
    timestamp_pb2,
)
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

from capim.api.meta import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from capim.api.meta import JsonObject

_PACKAGE: Final = "self"
_ANY: Final = ".google.protobuf.Value"
#: words that no field can be named by
_RESERVED: Final = re.compile(
    "true|false|null|in|as|break|const|continue|else|for|function|if|import|let|loop|package|namespace"
    "|return|var|void|while"
)
_ESCAPES: Final = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_TO_ESCAPE: Final = re.compile(r"__|[-./]")
_IDENTIFIER: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_TEXT: Final = {"type": "string"}
_META: Final[JsonObject] = {
    "apiVersion": _TEXT,
    "kind": _TEXT,
    "metadata": {"type": "object", "properties": {"name": _TEXT, "generateName": _TEXT}},
}
_FORMATS: Final = {
    "byte": (cel.Type.BYTES, FieldDescriptorProto.TYPE_BYTES, ""),
    "duration": (cel.Type.DURATION, FieldDescriptorProto.TYPE_MESSAGE, ".google.protobuf.Duration"),
    "date": (cel.Type.TIMESTAMP, FieldDescriptorProto.TYPE_MESSAGE, ".google.protobuf.Timestamp"),
    "date-time": (
        cel.Type.TIMESTAMP,
        FieldDescriptorProto.TYPE_MESSAGE,
        ".google.protobuf.Timestamp",
    ),
}
_SCALARS: Final = {
    "string": (cel.Type.STRING, FieldDescriptorProto.TYPE_STRING, ""),
    "boolean": (cel.Type.BOOL, FieldDescriptorProto.TYPE_BOOL, ""),
    "number": (cel.Type.DOUBLE, FieldDescriptorProto.TYPE_DOUBLE, ""),
    "integer": (cel.Type.INT, FieldDescriptorProto.TYPE_INT64, ""),
}


def escaped(name: str) -> str | None:
    """Return a field's name as expressions write it; None for one they cannot name."""
    if _RESERVED.fullmatch(name):
        return f"__{name}__"
    made = _TO_ESCAPE.sub(lambda found: _ESCAPES[found[0]], name)
    return made if _IDENTIFIER.fullmatch(made) else None


def fields_of(schema: JsonObject, *, is_object: bool) -> JsonObject:
    """Return the fields that CEL sees of an object; a whole object has its own."""
    known = {name: node for name, node in (schema.get("properties") or {}).items() if exposed(node)}
    if not is_object:
        return known
    return known | _META


def exposed(schema: Any) -> bool:
    """Tell whether CEL sees a value of this schema: its type must be known."""
    if not isinstance(schema, dict):
        return False
    if schema.get("x-kubernetes-int-or-string"):
        return True
    kind = schema.get("type")
    if kind == "array":
        return exposed(schema.get("items"))
    others = schema.get("additionalProperties")
    if kind == "object" and isinstance(others, dict):
        return exposed(others)
    return kind == "object" or kind in _SCALARS


# --- types ------------------------------------------------------------------------------------------


class Declarations:
    """The messages that a schema's objects become."""

    def __init__(self, named: Callable[[str], str | None] = escaped) -> None:
        """`named` tells how expressions call a field, None: they cannot."""
        self._named = named
        self._file = FileDescriptorProto(name="self.proto", package=_PACKAGE, syntax="proto3")
        for module in (struct_pb2, timestamp_pb2, duration_pb2):
            self._file.dependency.append(module.DESCRIPTOR.name)

    def type_of(self, schema: JsonObject, *, is_object: bool) -> cel.Type:
        """Return a schema's type, with all that it is made of declared."""
        if schema.get("x-kubernetes-int-or-string"):
            return cel.Type.DYN
        kind, others = schema.get("type", ""), schema.get("additionalProperties")
        if kind == "array":
            return cel.Type.List(
                self.type_of(schema["items"], is_object=_is_object(schema["items"]))
            )
        if kind == "object" and isinstance(others, dict):
            return cel.Type.Map(cel.Type.STRING, self.type_of(others, is_object=_is_object(others)))
        if kind == "object":
            return cel.Type(f"{_PACKAGE}.{self._message(schema, is_object=is_object)}")
        return _scalar(schema)[0]

    def pool(self) -> descriptor_pool.DescriptorPool:
        """Return the messages that were declared."""
        pool = descriptor_pool.DescriptorPool()
        for module in (struct_pb2, timestamp_pb2, duration_pb2):
            pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
        pool.AddSerializedFile(self._file.SerializeToString())
        return pool

    def _message(self, schema: JsonObject, *, is_object: bool) -> str:
        name = f"Type{len(self._file.message_type)}"
        message = self._file.message_type.add(name=name)
        known = fields_of(schema, is_object=is_object)
        for number, (field, node) in enumerate(known.items(), start=1):
            if identifier := self._named(field):
                # the JSON name is never used, but two must not be alike
                made = message.field.add(name=identifier, number=number, json_name=identifier)
                self._fill(made, node, message)
        return name

    def _fill(
        self, field: FieldDescriptorProto, schema: JsonObject, message: DescriptorProto
    ) -> None:
        others, repeated = schema.get("additionalProperties"), False
        if schema.get("type") == "array":
            repeated, schema = True, schema["items"]
        elif schema.get("type") == "object" and isinstance(others, dict):
            repeated, schema = True, self._entry(field.name, others, message)
        field.label = (
            FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL
        )
        if "entry" in schema:
            field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, schema["entry"]
        else:
            self._set_type(field, schema)

    def _entry(self, field: str, schema: JsonObject, message: DescriptorProto) -> JsonObject:
        """Declare an entry of a map; returns what stands for it in place of a schema."""
        # protobuf wants this name
        name = "".join(part[:1].upper() + part[1:] for part in field.split("_")) + "Entry"
        entry = message.nested_type.add(name=name)
        entry.options.map_entry = True
        optional = FieldDescriptorProto.LABEL_OPTIONAL
        text = FieldDescriptorProto.TYPE_STRING
        entry.field.add(name="key", number=1, label=optional, type=text)
        self._set_type(entry.field.add(name="value", number=2, label=optional), schema)
        return {"entry": f".{_PACKAGE}.{message.name}.{name}"}

    def _set_type(self, field: FieldDescriptorProto, schema: JsonObject) -> None:
        kind = schema.get("type", "")
        is_map = isinstance(schema.get("additionalProperties"), dict)
        if schema.get("x-kubernetes-int-or-string") or kind == "array" or is_map:
            field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, _ANY
        elif kind == "object":
            name = self._message(schema, is_object=_is_object(schema))
            field.type = FieldDescriptorProto.TYPE_MESSAGE
            field.type_name = f".{_PACKAGE}.{name}"
        else:
            _, field.type, name = _scalar(schema)
            if name:
                field.type_name = name


def _scalar(schema: JsonObject) -> tuple[cel.Type, Any, str]:
    if schema["type"] == "string" and schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    return _SCALARS[schema["type"]]


def _is_object(schema: JsonObject) -> bool:
    return bool(schema.get("x-kubernetes-embedded-resource"))


# --- values -----------------------------------------------------------------------------------------


def value_of(schema: JsonObject, value: Any, *, is_object: bool) -> Any:
    """Return a value that keeps its schema as CEL takes it."""
    if value is None or schema.get("x-kubernetes-int-or-string"):
        return value
    if isinstance(value, list):
        items = schema["items"]
        return [value_of(items, item, is_object=_is_object(items)) for item in value]
    if isinstance(value, dict):
        return _map_of(schema, value, is_object=is_object)
    if schema.get("type") == "number":
        return float(value)
    if isinstance(value, str) and schema.get("format") in _FORMATS:
        return _formatted(schema["format"], value)
    return value


def _map_of(schema: JsonObject, value: JsonObject, *, is_object: bool) -> JsonObject:
    others = schema.get("additionalProperties")
    if isinstance(others, dict):
        whole = _is_object(others)
        return {name: value_of(others, member, is_object=whole) for name, member in value.items()}
    known, made = fields_of(schema, is_object=is_object), {}
    for name, member in value.items():
        identifier = escaped(name) if name in known else None
        if identifier is not None:
            node = known[name]
            made[identifier] = value_of(node, member, is_object=_is_object(node))
    return made


def _formatted(name: str, text: str) -> Any:
    """Read a string of a format that CEL has a type for; one that is not of it stays as it is."""
    try:
        if name == "byte":
            return base64.b64decode(text)
        if name == "duration":
            made = duration_pb2.Duration()
            made.FromNanoseconds(round(parse_duration(text) * 1e9))
            return made
        moment = timestamp_pb2.Timestamp()
        moment.FromDatetime(datetime.fromisoformat(text))
    except ValueError:
        return text
    return moment
