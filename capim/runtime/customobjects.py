"""What a definition's schema does to the objects of its kind when they are written, stored and read.

A write is pruned, defaulted and checked in the version it is sent in, stored in the storage version, and
read through the schema of the version it is asked for in. When a schema changes, what is stored is read
through it once, so that reads of the storage version stay the stored bytes. Departure: a field that a
new schema does not know is gone then; in a real server it comes back with the schema's next change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from capim.api import errors
from capim.api.fielderrors import FieldError, duplicate, invalid, refusal, required, type_invalid
from capim.api.schemavalidation import validate
from capim.api.structural import apply_defaults, copied, field_schema, prune, stray_nulls
from capim.runtime import cel
from capim.runtime.customscale import at_path
from capim.runtime.objects import encode
from capim.runtime.validation import label_causes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from capim.api.meta import JsonObject
    from capim.api.resources import Resource
    from capim.runtime.objecttable import ObjectTable

_LARGEST_REPLICAS: Final = (1 << 31) - 1


def complete(resource: Resource, body: JsonObject) -> JsonObject:
    """Return a custom resource as its schema lets it be seen, in the version it was sent in."""
    return body if resource.schema is None else through(resource.schema, body)


def check(
    resource: Resource, body: JsonObject, old: JsonObject | None, subresource: str = ""
) -> list[str]:
    """Refuse an object that breaks its schema. Returns what its writer should know.

    Raises:
        APIError: Invalid, with a cause for everything that is wrong.
    """
    if resource.schema is None:
        return []
    faults = _faults(resource, resource.schema, body, old, subresource)
    warnings = []
    if resource.custom_version is not None and resource.custom_version.has_rules:
        verdict = cel.judge(resource.schema, body, old, faults)
        faults += verdict.faults
        warnings = [f"{fault.field}: {fault.text}" for fault in verdict.ratcheted]
    if faults:
        raise refusal(resource, body["metadata"].get("name", ""), faults)
    return warnings


def check_applied(resource: Resource, config: JsonObject) -> None:
    """Refuse a configuration with nulls: what is sent otherwise loses them, what is applied does not.

    Raises:
        APIError: Invalid, with every field that is null and may not be.
    """
    faults = [
        type_invalid(path, "null", f'{path} in body must be of type {_types_of(node)}: "null"')
        for path, node in stray_nulls(dict(resource.schema or {}), config)
    ]
    if faults:
        raise refusal(resource, (config.get("metadata") or {}).get("name", ""), faults)


def _types_of(schema: JsonObject) -> str:
    return "integer,string" if schema.get("x-kubernetes-int-or-string") else str(schema["type"])


def check_open(resource: Resource, name: str) -> None:
    """Refuse a new object of a kind whose definition is being deleted. Raises APIError: Forbidden."""
    if resource.custom_version is not None and resource.custom_version.terminating:
        why = "create not allowed while custom resource definition is terminating"
        raise errors.forbidden(resource.plural, resource.group, name, why)


def through(schema: Mapping[str, Any], body: JsonObject) -> JsonObject:
    """Return an object as a schema lets it be seen: pruned and defaulted."""
    made = prune(dict(schema), body)
    apply_defaults(dict(schema), made)
    return made


def stored_form(resource: Resource, body: JsonObject) -> tuple[Resource, JsonObject]:
    """Return the version to store an object in, and what it is there."""
    version = resource.custom_version
    if version is None or version.storage is None:
        return resource, body
    storage = version.storage
    if storage.schema == resource.schema:
        return storage, body
    return storage, through(storage.schema or {}, body) | {"apiVersion": storage.api_version}


def reread(table: ObjectTable, resource: Resource) -> None:
    """Read what is stored in this version through its schema, which has changed."""
    for stored in list(table.slice(0, len(table))):
        if stored.resource.version != resource.version:
            continue
        seen = through(resource.schema or {}, stored.content())
        table.put(encode(resource, seen, stored.resource_version, stored.managed))


# --- what is wrong ----------------------------------------------------------------------------------


def _faults(
    resource: Resource,
    schema: Mapping[str, Any],
    body: JsonObject,
    old: JsonObject | None,
    subresource: str,
) -> list[FieldError]:
    rules = dict(schema)
    if subresource == "status":
        faults = _status_faults(rules, body, old or {})
    else:
        faults = validate(rules, body) if old is None else validate(rules, body, old)
    faults += _scale_faults(resource, body, subresource)
    if subresource != "status":
        faults += _embedded_faults(rules, body, "")
    if old is None or not any(_list_faults(rules, old, "")):
        faults += _list_faults(rules, body, "")
    return faults


def _status_faults(schema: JsonObject, body: JsonObject, old: JsonObject) -> list[FieldError]:
    node = (schema.get("properties") or {}).get("status")
    if node is None or "status" not in body:
        return []
    if "status" in old:
        return validate(node, body["status"], old["status"], at="status")
    return validate(node, body["status"], at="status")


def _scale_faults(resource: Resource, body: JsonObject, subresource: str) -> Iterator[FieldError]:
    version = resource.custom_version
    if version is None or version.scale is None:
        return
    names = ("statusReplicasPath",) if subresource == "status" else _REPLICA_PATHS
    for name in names:
        path = version.scale[name]
        if why := _no_number(body, path):
            yield invalid(path, 0, f"{path} accessor error: {why}")
            continue
        replicas = at_path(body, path)
        if replicas is None:
            continue
        if replicas < 0:
            yield invalid(path, replicas, "should be a non-negative integer")
        elif replicas > _LARGEST_REPLICAS:
            text = f"should be less than or equal to {_LARGEST_REPLICAS}"
            yield invalid(path, replicas, text)


def _no_number(body: JsonObject, path: str) -> str:
    """Tell why what stands at a path is no number of replicas; nothing there is none."""
    value: Any = body
    for key in path.removeprefix(".").split("."):
        if not isinstance(value, dict):
            return f"{_in_go(value)} is of the type {_type_in_go(value)}, expected map[string]interface{{}}"
        if key not in value:
            return ""
        value = value[key]
    if type(value) is int:
        return ""
    return f"{_in_go(value)} is of the type {_type_in_go(value)}, expected int64"


def _type_in_go(value: Any) -> str:
    kinds = {str: "string", bool: "bool", int: "int64", float: "float64", type(None): "<nil>"}
    composed = "[]interface {}" if isinstance(value, list) else "map[string]interface {}"
    return kinds.get(type(value), composed)


def _in_go(value: Any) -> str:
    """Write a value as Go's `%v` does."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{_in_go(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(_in_go, value))}]"
    if value is None or isinstance(value, bool):
        return "<nil>" if value is None else str(value).lower()
    return str(value)


_REPLICA_PATHS: Final = ("specReplicasPath", "statusReplicasPath")


def _embedded_faults(schema: JsonObject, value: Any, path: str) -> Iterator[FieldError]:
    """Whole objects inside an object need a version and a kind."""
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, item in enumerate(value):
            yield from _embedded_faults(schema["items"], item, f"{path}[{index}]")
    if not isinstance(value, dict):
        return
    if schema.get("x-kubernetes-embedded-resource"):
        for name in ("apiVersion", "kind"):
            if name not in value:
                yield required(f"{path}.{name}")
            elif value[name] == "":
                yield invalid(f"{path}.{name}", "", "must not be empty")
        yield from _label_faults(value.get("metadata"), f"{path}.metadata.labels")
    known = schema.get("properties") or {}
    for name, member in value.items():
        node = field_schema(schema, name)
        if node is not None:
            yield from _embedded_faults(node, member, _child(path, name, named=name in known))


def _label_faults(metadata: Any, path: str) -> Iterator[FieldError]:
    labels = metadata.get("labels") if isinstance(metadata, dict) else None
    if isinstance(labels, dict):
        for field, text in label_causes(labels, path):
            yield FieldError(field, "FieldValueInvalid", text)


def _list_faults(schema: JsonObject, value: Any, path: str) -> Iterator[FieldError]:
    """Items of a list of type `set`, and keys of one of type `map`, are there once."""
    if isinstance(value, list):
        kind = schema.get("x-kubernetes-list-type")
        if kind == "set":
            yield from _repeated(value, path)
        elif kind == "map":
            keys = schema.get("x-kubernetes-list-map-keys") or ()
            yield from _repeated([_keys_of(item, keys) for item in value], path)
        if isinstance(schema.get("items"), dict):
            for index, item in enumerate(value):
                yield from _list_faults(schema["items"], item, f"{path}[{index}]")
    elif isinstance(value, dict):
        known = schema.get("properties") or {}
        for name, member in value.items():
            node = field_schema(schema, name)
            if node is not None and isinstance(member, (dict, list)):
                yield from _list_faults(node, member, _child(path, name, named=name in known))


def _keys_of(item: Any, keys: tuple[str, ...]) -> JsonObject:
    return {key: item[key] for key in keys if key in item} if isinstance(item, dict) else {}


def _repeated(values: list[Any], path: str) -> Iterator[FieldError]:
    """Tell of each value that is there again, the first time it is."""
    seen: list[Any] = []
    told: list[Any] = []
    for index, value in enumerate(values):
        if value in seen and value not in told:
            told.append(value)
            yield duplicate(f"{path}[{index}]", copied(value))
        seen.append(value)


def _child(path: str, name: str, *, named: bool) -> str:
    if not named:
        return f"{path}[{name}]"
    return f"{path}.{name}" if path else name
