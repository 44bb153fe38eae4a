"""How a real API server shows parts of a definition in refusals: as the Go structs it works with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from capim.api.fielderrors import Struct

if TYPE_CHECKING:
    from collections.abc import Container

    from capim.api.meta import JsonObject

_WORDS: Final = (
    "id $schema $ref description type nullable format title default maximum exclusiveMaximum minimum"
    " exclusiveMinimum maxLength minLength pattern maxItems minItems uniqueItems multipleOf enum"
    " maxProperties minProperties required items allOf oneOf anyOf not properties additionalProperties"
    " patternProperties dependencies additionalItems definitions externalDocs example"
    " x-kubernetes-preserve-unknown-fields x-kubernetes-embedded-resource x-kubernetes-int-or-string"
    " x-kubernetes-list-map-keys x-kubernetes-list-type x-kubernetes-map-type x-kubernetes-validations"
)
_TEXTS: Final = frozenset(["id", "$schema", "description", "type", "format", "title", "pattern"])
_FLAGS: Final = frozenset(
    [
        "nullable",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "uniqueItems",
        "x-kubernetes-embedded-resource",
        "x-kubernetes-int-or-string",
    ]
)
_LISTS: Final = frozenset({"allOf", "oneOf", "anyOf"})
_MAPS: Final = frozenset({"properties", "patternProperties", "definitions"})


def go_name(word: str) -> str:
    """Return a schema keyword's name as a Go field."""
    if word == "id":
        return "ID"
    word = word.removeprefix("$")
    if word.startswith("x-kubernetes-"):
        return "".join(part.capitalize() for part in ("x", *word.split("-")[2:]))
    return word[0].upper() + word[1:]


def inner_schema(schema: JsonObject) -> Struct:
    """Return a schema as the Go struct that it is decoded into."""
    return Struct({go_name(word): _value(word, schema.get(word)) for word in _WORDS.split()})


def inner_version(version: JsonObject, shared: Container[str]) -> Struct:
    """Return a version as a Go struct, without what all versions share."""

    def own(key: str) -> Any:
        return None if key in shared else version.get(key)

    schema = (own("schema") or {}).get("openAPIV3Schema")
    return Struct(
        {
            "Name": version.get("name", ""),
            "Served": bool(version.get("served")),
            "Storage": bool(version.get("storage")),
            "Deprecated": bool(version.get("deprecated")),
            "DeprecationWarning": version.get("deprecationWarning"),
            "Schema": Struct(OpenAPIV3Schema=inner_schema(schema)) if schema else None,
            "Subresources": own("subresources"),
            "AdditionalPrinterColumns": own("additionalPrinterColumns"),
            "SelectableFields": own("selectableFields"),
        }
    )


def _value(word: str, value: Any) -> Any:
    if value is None:
        return "" if word in _TEXTS else (False if word in _FLAGS else None)
    return value if not isinstance(value, (dict, list)) else _inside(word, value)


def _inside(word: str, value: Any) -> Any:
    if word in _LISTS:
        return [inner_schema(branch) for branch in value]
    if word in _MAPS:
        return {name: inner_schema(node) for name, node in sorted(value.items())}
    if word == "not":
        return inner_schema(value)
    if word == "items" and isinstance(value, dict):
        return Struct(Schema=inner_schema(value), JSONSchemas=None)
    if word in {"additionalProperties", "additionalItems"}:
        return Struct(Allows=True, Schema=inner_schema(value))
    return value
