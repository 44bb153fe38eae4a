"""OpenAPI schemas of the built-in kinds, without prose: the table of types, and what it does not say.

A schema follows from the fields of a message by a few rules. What does not (values of an enumeration,
defaults, lists shared by field managers, fields required against the rule) stands in
`builtin_schemas.txt`, written by tools/generate_builtin_schemas.py: a line is a message's full name and
a JSON object that is merged over the schema, null meaning absent. The line `*` says which kinds belong
to every group, and to which.

Schemas are OpenAPI 3.0; references are full names of messages behind `#/components/schemas/`.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import orjson

from capim.api.builtin_types import Field, json_fields, kind, message, names, packages
from capim.api.gvk import split_api_version

if TYPE_CHECKING:
    from capim.api.gvk import GVK
    from capim.api.meta import JsonObject

FACTS: Final = Path(__file__).with_name("builtin_schemas.txt")
REFERENCE: Final = "#/components/schemas/"
_META: Final = "meta/v1"
_MACHINERY: Final = "io.k8s.apimachinery.pkg"
_PACKAGES: Final = {
    "meta/v1": f"{_MACHINERY}.apis.meta.v1",
    "runtime": f"{_MACHINERY}.runtime",
    "intstr": f"{_MACHINERY}.util.intstr",
    "resource": f"{_MACHINERY}.api.resource",
    "apiextensions/v1": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1",
    "apiregistration/v1": "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1",
}
_SCALARS: Final[dict[str, JsonObject]] = {
    "s": {"type": "string"},
    "y": {"type": "string", "format": "byte"},
    "b": {"type": "boolean"},
    "i": {"type": "integer", "format": "int32"},
    "l": {"type": "integer", "format": "int64"},
    "d": {"type": "number", "format": "double"},
}
_ZEROS: Final[dict[str, object]] = {"s": "", "b": False, "i": 0, "l": 0, "d": 0}
#: messages whose JSON is written by hand in Go
_SPECIAL: Final[dict[str, JsonObject]] = {
    "meta/v1.Time": {"type": "string", "format": "date-time"},
    "meta/v1.MicroTime": {"type": "string", "format": "date-time"},
    "meta/v1.Duration": {"type": "string"},
    "meta/v1.FieldsV1": {"type": "object"},
    "intstr.IntOrString": {
        "format": "int-or-string",
        "oneOf": [{"type": "integer"}, {"type": "string"}],
    },
    "resource.Quantity": {"oneOf": [{"type": "string"}, {"type": "number"}]},
    "runtime.RawExtension": {"type": "object"},
    "apiextensions/v1.JSON": {},
    "apiextensions/v1.JSONSchemaPropsOrArray": {},
    "apiextensions/v1.JSONSchemaPropsOrBool": {},
    "apiextensions/v1.JSONSchemaPropsOrStringArray": {},
}


def definition_name(name: str) -> str:
    """Return what OpenAPI calls a message: `io.k8s.api.core.v1.Pod` for `core/v1.Pod`."""
    package, _, short = name.rpartition(".")
    return f"{_PACKAGES.get(package) or 'io.k8s.api.' + package.replace('/', '.')}.{short}"


def name_of(gvk: GVK) -> str | None:
    """Return the full name of a built-in kind's message, None for a custom resource."""
    found = kind(gvk)
    return found.name if found else None


@functools.cache
def by_definition() -> dict[str, str]:
    """Return the full name of every message by what OpenAPI calls it."""
    return {definition_name(name): name for name in names()}


@functools.cache
def schema(name: str) -> JsonObject:
    """Return the schema of a message. Do not modify. Raises KeyError: there is none."""
    return merged(plain_schema(name), facts().get(name, {}))


def plain_schema(name: str) -> JsonObject:
    """Return what follows from the table of types alone."""
    if name in _SPECIAL:
        return _SPECIAL[name]
    fields = json_fields(name)
    properties = {field.name: _property(field) for field in fields.values()}
    made: JsonObject = {"type": "object"}
    if required := [field.name for field in fields.values() if field.always]:
        made["required"] = required
    if message(name).is_kind:
        properties |= {"apiVersion": _SCALARS["s"], "kind": _SCALARS["s"]}
    if kinds := _group_version_kinds(name):
        made["x-kubernetes-group-version-kind"] = kinds
    if properties:
        made["properties"] = dict(sorted(properties.items()))
    return made


def merged(base: JsonObject, changes: JsonObject) -> JsonObject:
    """Return `base` with changes merged over it, as a JSON merge patch; neither is changed."""
    made = dict(base)
    for key, value in changes.items():
        if value is None:
            made.pop(key, None)
        elif isinstance(value, dict):
            was = made.get(key)
            made[key] = merged(was, value) if isinstance(was, dict) else value
        else:
            made[key] = value
    return made


@functools.cache
def facts() -> dict[str, JsonObject]:
    """Return what the table of types does not say, by message."""
    lines = FACTS.read_text(encoding="ascii").splitlines()
    pairs = (line.partition(" ")[::2] for line in lines if not line.startswith("#"))
    return {name: cast("JsonObject", orjson.loads(text)) for name, text in pairs}


def references(value: object) -> set[str]:
    """Return the definitions that a piece of a document refers to."""
    found: set[str] = set()
    if isinstance(value, dict):
        target = value.get("$ref")
        if isinstance(target, str):
            found.add(target.removeprefix(REFERENCE))
        for member in value.values():
            found |= references(member)
    elif isinstance(value, list):
        for member in value:
            found |= references(member)
    return found


def _group_version_kinds(name: str) -> list[JsonObject]:
    package, _, short = name.rpartition(".")
    owners = [packages()[package]] if message(name).is_kind and package in packages() else []
    if package == _META:
        owners = facts().get("*", {}).get(short, owners)
    return [
        {"group": group, "kind": short, "version": version}
        for group, version in map(split_api_version, owners)
    ]


def _property(field: Field) -> JsonObject:
    """Return a property's schema: of an element, a list or a map of them."""
    made = _shaped(field)
    if not field.shape and field.always and not field.pointer and field.type in _ZEROS:
        made["default"] = _ZEROS[field.type]
    if field.strategies:
        made["x-kubernetes-patch-strategy"] = ",".join(sorted(field.strategies))
    if field.merge_key:
        made["x-kubernetes-patch-merge-key"] = field.merge_key
    return made


def _shaped(field: Field) -> JsonObject:
    if field.shape:
        key = "items" if field.shape == "[]" else "additionalProperties"
        return {"type": "array" if field.shape == "[]" else "object", key: _element(field)}
    if not field.is_message:
        return dict(_SCALARS[field.type])
    if message(field.type).is_list:
        (only,) = message(field.type).fields
        return {"type": "array", "items": _element(only)}
    made: JsonObject = {"allOf": [_reference(field.type)]}
    if not field.pointer and field.type not in _SPECIAL:
        made["default"] = {}
    return made


def _element(field: Field) -> JsonObject:
    """Return the schema of one element of a list or map."""
    if not field.is_message:
        zero = {"default": _ZEROS[field.type]} if field.type in _ZEROS else {}
        return _SCALARS[field.type] | zero
    if message(field.type).is_list:
        (only,) = message(field.type).fields
        return {"type": "array", "items": _element(only)}
    if field.type in _SPECIAL:
        return _reference(field.type)
    return {"allOf": [_reference(field.type)], "default": {}}


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": REFERENCE + definition_name(name)}
