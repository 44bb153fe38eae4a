"""Values that describe a kind's fields and turn into a structural OpenAPI v3 schema.

One description serves the CustomResourceDefinitions, defaulting and validation; nothing is written
twice. Only what our own kinds need is here; `capim.api.structural` reads any schema.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from capim.api.meta import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Node(abc.ABC):
    """A field's type and rules. `doc` is what `kubectl explain` shows."""

    type: ClassVar[str]
    doc: str = ""

    @abc.abstractmethod
    def rules(self) -> JsonObject:
        """Return the OpenAPI keywords beside type and description; None and () mean unset."""

    def openapi(self) -> JsonObject:
        """Return the schema as JSON, without unset keywords."""
        schema: JsonObject = {"type": self.type, "description": self.doc or None, **self.rules()}
        return {key: value for key, value in schema.items() if value is not None and value != []}


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Node):
    """A string."""

    type: ClassVar[str] = "string"
    default: str | None = None
    pattern: str | None = None  #: in the common part of RE2 and Python's `re`
    #: what a person reads when the pattern does not match; a bare pattern names no fix
    pattern_message: str = ""
    min_length: int | None = None
    max_length: int | None = None
    enum: tuple[str, ...] = ()
    format: str | None = None

    def rules(self) -> JsonObject:
        """Return the keywords of a string."""
        return {
            "default": self.default,
            "pattern": None if self.pattern_message else self.pattern,
            "x-kubernetes-validations": self._explained_pattern(),
            "minLength": self.min_length,
            "maxLength": self.max_length,
            "enum": list(self.enum),
            "format": self.format,
        }

    def _explained_pattern(self) -> list[JsonObject]:
        """The pattern as a CEL rule: only those have a message of their own."""
        if not self.pattern_message:
            return []
        return [{"rule": f"self.matches(r'{self.pattern}')", "message": self.pattern_message}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Integer(Node):
    """A whole number."""

    type: ClassVar[str] = "integer"
    default: int | None = None
    minimum: int | None = None
    maximum: int | None = None
    format: str | None = None

    def rules(self) -> JsonObject:
        """Return the keywords of a number."""
        return {
            "default": self.default,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "format": self.format,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Boolean(Node):
    """True or false."""

    type: ClassVar[str] = "boolean"

    def rules(self) -> JsonObject:
        """Return nothing: a boolean has no rules of its own."""
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class TextMap(Node):
    """An object of any keys with string values, as labels are."""

    type: ClassVar[str] = "object"

    def rules(self) -> JsonObject:
        """Return the keywords of a map."""
        return {"additionalProperties": {"type": "string"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence(Node):
    """A list; with `keys` an associative one, whose items server-side apply merges by these fields."""

    type: ClassVar[str] = "array"
    items: Node
    max_items: int | None = None
    keys: tuple[str, ...] = ()

    def rules(self) -> JsonObject:
        """Return the keywords of a list."""
        return {
            "items": self.items.openapi(),
            "maxItems": self.max_items,
            "x-kubernetes-list-type": "map" if self.keys else "atomic",
            "x-kubernetes-list-map-keys": list(self.keys),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Struct(Node):
    """An object of known fields; the server drops any other."""

    type: ClassVar[str] = "object"
    fields: Mapping[str, Node] = field(default_factory=dict)
    required: tuple[str, ...] = ()

    def rules(self) -> JsonObject:
        """Return the keywords of an object."""
        properties = {name: node.openapi() for name, node in self.fields.items()}
        return {"properties": properties or None, "required": list(self.required)}
