"""The built-in kinds: protobuf field numbers, JSON names and patch strategies, read from a generated table.

`builtin_types.txt` is written by tools/generate_builtin_types.py. A line `= PACKAGE GROUP_VERSION` opens
a package of k8s.io/api or its like (`core/v1`; `-` where it has no kinds); each other line is a message:
its name, then a word for each field. After the name, `*` marks a kind (it has apiVersion and kind) and `~`
a message that stands for a list in JSON. A field's word is `jsonName=number:type` and marks. Types: s string,
y bytes, b bool, i int32, l int64, d double, else a message of this package or, with a dot, of another; `[]`
before it repeats it, `{}` makes it a map from strings. Marks, in this order: `^` embedded in the JSON of its
parent, `*` may be absent (a Go pointer), `!` in JSON even when empty, `?` not in JSON when a zero struct,
`@strategies:mergeKey`, `%topology`: how field managers share it.

A list's topology is `atomic`, `set`, or the keys of its elements with their defaults, `containerPort,
protocol=TCP`; without one it follows the patch strategy. Structs and maps are granular unless they are
`atomic`, which `%` after a message's name says of the message wherever it is used.

The table is read when it is first asked for (1 ms) and a message parsed when it is first used.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from capim.api.gvk import GVK

_TABLE: Final = Path(__file__).with_name("builtin_types.txt")
_FIELD: Final = re.compile(
    r"(?P<name>[^=]+)=(?P<number>\d+):(?P<shape>\[\]|\{\}|)(?P<type>[\w./]+)"
    r"(?P<marks>[\^*!?]*)(?:@(?P<strategies>[\w,]+)(?::(?P<key>\w+))?)?"
    r"(?:%(?P<topology>[\w,=.]+))?"
)
_SCALARS: Final = frozenset("sybild")

# registered by apimachinery beside the kinds of every group and version, and beside core/v1's
_OPTIONS: Final = frozenset(
    f"{verb}Options" for verb in ("Create", "Delete", "Get", "List", "Patch", "Update")
)
_META: Final = "meta/v1"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a message."""

    name: str  #: in JSON
    number: int  #: in protobuf
    shape: str  #: "", "[]" repeated, "{}" a map from strings
    type: str  #: one letter for a scalar, else the full name of a message
    inline: bool  #: its members appear among its parent's in JSON
    pointer: bool  #: absent differs from empty
    always: bool  #: appears in JSON even when empty
    omit_zero: bool  #: a struct that does not appear in JSON when all of it is zero
    strategies: frozenset[str]  #: of patches: merge, replace, retainKeys
    merge_key: str  #: member that tells the elements of a merged list apart, or empty
    topology: str = ""  #: how field managers share it, where that is not the rule

    @property
    def is_message(self) -> bool:
        """Tell whether the type is a message rather than a scalar."""
        return self.type not in _SCALARS


@dataclass(frozen=True, slots=True)
class Message:
    """A message, which is a Go struct, with its fields by number."""

    name: str  #: `core/v1.Pod`
    fields: tuple[Field, ...]
    is_kind: bool  #: has apiVersion and kind of its own
    is_list: bool  #: stands for the list that is its only field
    is_atomic: bool = False  #: one field manager owns it whole


@functools.cache
def message(name: str) -> Message:
    """Return the message of this full name. Raises KeyError: there is none."""
    head, *words = _table().lines[name].split(" ")
    package = name.rpartition(".")[0]
    fields = tuple(_parse_field(word, package) for word in words)
    return Message(
        name, fields, is_kind="*" in head, is_list="~" in head, is_atomic=head.endswith("%")
    )


@functools.lru_cache(maxsize=1024)  # bounded: clients name kinds as they like
def kind(gvk: GVK) -> Message | None:
    """Return the message of a built-in kind, None for a custom resource or an unknown version."""
    table = _table()
    names = [f"{table.packages.get(gvk.api_version)}.{gvk.kind}"]
    if gvk.kind in _OPTIONS or gvk.api_version == "v1":
        names.append(f"{_META}.{gvk.kind}")
    found = (message(name) for name in names if name in table.lines)
    return next((candidate for candidate in found if candidate.is_kind), None)


@functools.cache
def json_fields(name: str) -> dict[str, Field]:
    """Return the fields of a message by JSON name, those of embedded messages included. Do not modify."""
    fields: dict[str, Field] = {}
    for field in message(name).fields:
        fields |= json_fields(field.type) if field.inline else {field.name: field}
    return fields


@functools.cache
def packages() -> dict[str, str]:
    """Return the apiVersion of every package that has kinds: `v1` for `core/v1`."""
    return {package: api_version for api_version, package in _table().packages.items()}


def names() -> list[str]:
    """Return the full names of all messages."""
    return list(_table().lines)


@dataclass(frozen=True, slots=True)
class _Table:
    packages: dict[str, str]  #: `apps/v1` as apiVersion has it -> package
    lines: dict[str, str]  #: full name -> its line, not parsed yet


@functools.cache
def _table() -> _Table:
    table, package = _Table({}, {}), ""
    for line in _TABLE.read_text(encoding="ascii").splitlines():
        head, _, rest = line.partition(" ")
        if head == "=":
            package, api_version = rest.split(" ")
            if api_version != "-":
                table.packages[api_version] = package
        elif head != "#":
            table.lines[f"{package}.{head.rstrip('*~%')}"] = line
    return table


def _parse_field(word: str, package: str) -> Field:
    found = _FIELD.fullmatch(word)
    if found is None:
        raise ValueError(f"{_TABLE.name}: {word!r} in {package} is not a field")
    kind_of = found["type"]
    if kind_of not in _SCALARS and "." not in kind_of:
        kind_of = f"{package}.{kind_of}"
    return Field(
        name=found["name"],
        number=int(found["number"]),
        shape=found["shape"],
        type=kind_of,
        inline="^" in found["marks"],
        pointer="*" in found["marks"],
        always="!" in found["marks"],
        omit_zero="?" in found["marks"],
        strategies=frozenset((found["strategies"] or "").split(",")) - {""},
        merge_key=found["key"] or "",
        topology=found["topology"] or "",
    )
