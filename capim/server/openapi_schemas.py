"""The schemas of a document: the built-in ones it refers to, with their prose, and custom ones.

A custom resource's schema is published as a kube-apiserver does it: apiVersion, kind and metadata are
those of every object, an embedded object has them too, int-or-string is spelled out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from capim.api.builtin_schemas import REFERENCE, by_definition, references, schema
from capim.server.descriptions import common_fields, prose
from capim.server.openapi import definition_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from capim.api.meta import JsonObject
    from capim.api.resources import Resource

_META: Final = f"{REFERENCE}io.k8s.apimachinery.pkg.apis.meta.v1"
_OBJECT_META: Final[JsonObject] = {"allOf": [{"$ref": f"{_META}.ObjectMeta"}]}
#: `kubectl explain` shows it, and these words are what its users look for
_METADATA: Final = {"description": "Standard object's metadata.", **_OBJECT_META}
_LIST_META: Final[JsonObject] = {"allOf": [{"$ref": f"{_META}.ListMeta"}]}
_STRING: Final[JsonObject] = {"type": "string"}
#: where a schema holds further ones
_ONE: Final = ("items", "additionalProperties", "not")
_SEVERAL: Final = ("allOf", "anyOf", "oneOf")


def closure(paths: JsonObject, known: dict[str, JsonObject]) -> dict[str, JsonObject]:
    """Return every schema that the operations refer to, and those that these refer to, by name.

    `known` are schemas of the document itself; all of them are part of it.
    """
    found = dict(known)
    waiting = references(paths) | references([*known.values()])
    while waiting:
        name = waiting.pop()
        if name not in found and name in by_definition():
            found[name] = described(by_definition()[name])
            waiting |= references(found[name])
    return dict(sorted(found.items()))


def described(name: str) -> JsonObject:
    """Return a message's schema with its prose."""
    text, fields = prose(name)
    made = dict(schema(name))
    if text:
        made["description"] = text
    if "properties" in made:
        made["properties"] = {
            key: value | {"description": fields[key]} if key in fields else value
            for key, value in made["properties"].items()
        }
    return made


def custom_schemas(resources: Iterable[Resource]) -> dict[str, JsonObject]:
    """Return the schemas of custom resources and of lists of them, by name."""
    found: dict[str, JsonObject] = {}
    for resource in resources:
        if resource.custom:
            name = definition_of(resource.gvk)
            list_gvk = resource.gvk._replace(kind=resource.list_kind)
            found[name] = _of_object(resource)
            found[definition_of(list_gvk)] = _of_list(resource, name)
    return found


def _of_object(resource: Resource) -> JsonObject:
    made = published(resource.schema or {"type": "object"})
    if resource.schema is not None:
        own = _type_fields() | {"metadata": _METADATA}
        made["properties"] = dict(sorted(((made.get("properties") or {}) | own).items()))
    return made | _kind(resource, resource.kind)


def _of_list(resource: Resource, name: str) -> JsonObject:
    items = {"type": "array", "items": {"$ref": REFERENCE + name}}
    return {
        "description": f"{resource.list_kind} is a list of {resource.kind}",
        "type": "object",
        "required": ["items"],
        "properties": _type_fields() | {"items": items, "metadata": _LIST_META},
        **_kind(resource, resource.list_kind),
    }


def _type_fields() -> dict[str, JsonObject]:
    said = common_fields()
    return {
        key: {"description": said[key], **_STRING} if key in said else _STRING
        for key in ("apiVersion", "kind")
    }


def _kind(resource: Resource, kind: str) -> JsonObject:
    owner = {"group": resource.group, "kind": kind, "version": resource.version}
    return {"x-kubernetes-group-version-kind": [owner]}


def published(node: JsonObject) -> JsonObject:
    """Return a definition's schema as OpenAPI publishes it."""
    made: dict[str, Any] = {
        key: value for key, value in node.items() if value is not False or key == "default"
    }
    for key in _ONE:
        if isinstance(made.get(key), dict):
            made[key] = published(made[key])
    for key in _SEVERAL:
        if isinstance(made.get(key), list):
            made[key] = [published(it) for it in made[key]]
    if isinstance(made.get("properties"), dict):
        made["properties"] = {key: published(it) for key, it in made["properties"].items()}
    if made.get("x-kubernetes-int-or-string"):
        made.setdefault("anyOf", [{"type": "integer"}, {"type": "string"}])
    if made.get("x-kubernetes-embedded-resource"):
        made["required"] = [*made.get("required", ()), "kind", "apiVersion"]
        own = {"apiVersion": _STRING, "kind": _STRING, "metadata": _OBJECT_META}
        made["properties"] = (made.get("properties") or {}) | own
    return made
