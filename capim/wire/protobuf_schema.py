"""Message classes of the `protobuf` runtime for the built-in types, built when they are first used.

Every message is a file of its own in a private descriptor pool, so a process pays only for the kinds it
sees (a Pod is 131 messages, 10 ms once; a Secret 6, 0.7 ms). Field `number` is named `f<number>`: JSON names
such as `$ref` are no protobuf identifiers, and nobody else reads these names. Protobuf files cannot import
each other in a circle, as CustomResourceDefinition schemas would: see LATE.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from capim.api import builtin_types

if TYPE_CHECKING:
    from google.protobuf.message import Message as ProtobufMessage

    from capim.api.builtin_types import Field

_Proto: Final = descriptor_pb2.FieldDescriptorProto
_SCALARS: Final = {
    "s": _Proto.TYPE_STRING,
    "y": _Proto.TYPE_BYTES,
    "b": _Proto.TYPE_BOOL,
    "i": _Proto.TYPE_INT32,
    "l": _Proto.TYPE_INT64,
    "d": _Proto.TYPE_DOUBLE,
}
#: fields of these types are read as bytes first, which look the same on the wire: it breaks the circle
LATE: Final = frozenset(
    f"apiextensions/v1.JSONSchemaPropsOr{other}" for other in ("Array", "Bool", "StringArray")
)


@functools.cache
def message_class(name: str) -> type[ProtobufMessage]:
    """Return the class for a message of the table. Raises KeyError: there is none of this name."""
    _add_file(name)
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(_dotted(name)))


@functools.cache
def _pool() -> descriptor_pool.DescriptorPool:
    return descriptor_pool.DescriptorPool()


@functools.cache
def _add_file(name: str) -> str:
    """Add a message and all it refers to to the pool; return the name of its file."""
    package, _, short = name.replace("/", "_").rpartition(".")
    # edition 2023: like proto2 every field knows whether it is present, and strings must be UTF-8
    file = descriptor_pb2.FileDescriptorProto(name=name, package=package, syntax="editions")
    file.edition = descriptor_pb2.EDITION_2023
    descriptor = file.message_type.add(name=short)
    for field in builtin_types.message(name).fields:
        _add_field(descriptor, field, _dotted(name))
        if field.type != name and _refers(field):
            dependency = _add_file(field.type)
            if dependency not in file.dependency:
                file.dependency.append(dependency)
    _pool().AddSerializedFile(file.SerializeToString())
    return name


def _add_field(descriptor: descriptor_pb2.DescriptorProto, field: Field, parent: str) -> None:
    declared = descriptor.field.add(name=f"f{field.number}", number=field.number)
    declared.label = _Proto.LABEL_REPEATED if field.shape else _Proto.LABEL_OPTIONAL
    if field.shape != "{}":
        _set_type(declared, field)
        return
    entry = descriptor.nested_type.add(name=f"F{field.number}Entry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=_Proto.TYPE_STRING, label=_Proto.LABEL_OPTIONAL)
    _set_type(entry.field.add(name="value", number=2, label=_Proto.LABEL_OPTIONAL), field)
    declared.type = _Proto.TYPE_MESSAGE
    declared.type_name = f".{parent}.{entry.name}"


def _set_type(declared: descriptor_pb2.FieldDescriptorProto, field: Field) -> None:
    if _refers(field):
        declared.type = _Proto.TYPE_MESSAGE
        declared.type_name = f".{_dotted(field.type)}"
    else:
        declared.type = _SCALARS.get(field.type, _Proto.TYPE_BYTES)


def _refers(field: Field) -> bool:
    return field.is_message and field.type not in LATE


def _dotted(name: str) -> str:
    return name.replace("/", "_")
