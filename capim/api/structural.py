r"""Validation, defaulting and pruning by a structural schema, as a CustomResourceDefinition carries it.

Pure and total: any JSON value may come in, nothing is mutated, and bad input yields causes, never an
exception. Semantics follow k8s.io/apiextensions-apiserver, `pkg/apiserver/schema/{defaulting,pruning,
listtype}` and `apiserver/validation` (v0.36).

Departures: of rules in CEL (`x-kubernetes-validations`) only `self.matches(r'...')` of a string is
evaluated, which is a pattern with a message; a pattern that Python's `re` cannot read (RE2 alone has
`\pN`, `\C`) accepts everything, as does an unknown format. Object metadata at the root belongs to the
store and is checked only for being an object.
"""

from __future__ import annotations

import base64
import copy
import functools
import ipaddress
import json
import re
import uuid
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from capim.api.meta import parse_duration, parse_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from capim.api.meta import JsonObject

#: A field path (`spec.ports[0].name`) and what is wrong there, for a person.
Cause: TypeAlias = tuple[str, str]

_ROOT_FIELDS: Final = frozenset({"apiVersion", "kind", "metadata"})


def validate(schema: JsonObject, obj: object) -> list[Cause]:
    """Return every way in which `obj` breaks the schema; empty when it keeps it."""
    return list(_value(schema, obj, ""))


def default(schema: JsonObject, obj: JsonObject) -> JsonObject:
    """Return a copy with the schema's defaults set, and without nulls where null is not allowed."""
    defaulted: JsonObject = copy.deepcopy(obj)
    _default(schema, defaulted)
    _drop_nulls(schema, defaulted)
    return defaulted


def prune(schema: JsonObject, obj: JsonObject) -> JsonObject:
    """Return a copy without the fields that the schema does not know; a resource's root keeps its own."""
    pruned: JsonObject = _prune({**schema, "x-kubernetes-embedded-resource": True}, obj)
    return pruned


# --- defaulting and pruning --------------------------------------------------------------------------


def _field_schema(schema: JsonObject, name: str) -> JsonObject | None:
    """Return the schema of one field, None when it is unknown or anything goes."""
    known = (schema.get("properties") or {}).get(name)
    if known is None:
        known = schema.get("additionalProperties")
    return known if isinstance(known, dict) else None


def _default(schema: JsonObject, value: object) -> None:
    if isinstance(value, dict):
        for name, node in (schema.get("properties") or {}).items():
            if "default" in node and (name not in value or _is_stray_null(node, value[name])):
                value[name] = copy.deepcopy(node["default"])
        members: Iterable[tuple[Any, Any]] = list(value.items())
        schemas = {name: _field_schema(schema, name) for name in value}
    elif isinstance(value, list):
        members = list(enumerate(value))
        schemas = dict.fromkeys(range(len(value)), schema.get("items"))
    else:
        return
    for key, member in members:
        node = schemas[key]
        if node is None:
            continue
        if "default" in node and _is_stray_null(node, member):
            value[key] = copy.deepcopy(node["default"])
        _default(node, value[key])


def _is_stray_null(schema: JsonObject, value: object) -> bool:
    return value is None and not schema.get("nullable")


def _drop_nulls(schema: JsonObject | None, value: object) -> None:
    if isinstance(value, dict):
        for name in list(value):
            node = _field_schema(schema or {}, name)
            if node is not None and _is_stray_null(node, value[name]):
                del value[name]
            else:
                _drop_nulls(node, value[name])
    elif isinstance(value, list):
        items = (schema or {}).get("items")
        for item in value:
            _drop_nulls(items, item)


def _prune(schema: JsonObject, value: Any) -> Any:
    keeps_all = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    if isinstance(value, list):
        items = dict(schema.get("items") or {})
        if keeps_all:
            items["x-kubernetes-preserve-unknown-fields"] = True
        return [_prune(items, item) for item in value]
    if not isinstance(value, dict):
        return value
    keeps_all = keeps_all or schema.get("additionalProperties") is True
    whole = _ROOT_FIELDS if schema.get("x-kubernetes-embedded-resource") else frozenset()
    kept = {}
    for name, member in value.items():
        node = None if name in whole else _field_schema(schema, name)
        if node is not None:
            kept[name] = _prune(node, member)
        elif keeps_all or name in whole:
            kept[name] = copy.deepcopy(member)
    return kept


# --- validation --------------------------------------------------------------------------------------


def _value(schema: JsonObject, value: object, path: str) -> Iterator[Cause]:
    if value is None and (schema.get("nullable") or "type" not in schema):
        return
    if expected := _expected_type(schema, value):
        yield path, f"Invalid value: {quoted(value)}: must be of type {expected}"
        return
    if "enum" in schema and value not in schema["enum"]:
        supported = ", ".join(quoted(choice) for choice in schema["enum"])
        yield path, f"Unsupported value: {quoted(value)}: supported values: {supported}"
    if isinstance(value, str):
        yield from _string(schema, value, path)
    elif isinstance(value, list):
        yield from _array(schema, value, path)
    elif isinstance(value, dict):
        yield from _object(schema, value, path)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield from _number(schema, value, path)
    yield from _junctors(schema, value, path)


_TYPES: Final[dict[str, Callable[[object], bool]]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "integer": lambda value: (
        (isinstance(value, int) and not isinstance(value, bool))
        or (isinstance(value, float) and value.is_integer())
    ),
}


def _expected_type(schema: JsonObject, value: object) -> str:
    """Return the type the value should have had, empty when it has it."""
    if schema.get("x-kubernetes-int-or-string"):
        fits = _TYPES["integer"](value) or isinstance(value, str)
        return "" if fits else "integer or string"
    expected: str = schema.get("type", "")
    check = _TYPES.get(expected)
    return "" if check is None or check(value) else expected


def _string(schema: JsonObject, value: str, path: str) -> Iterator[Cause]:
    pattern = schema.get("pattern")
    if pattern is not None and not _matches(pattern, value):
        yield path, f"Invalid value: {quoted(value)}: should match '{pattern}'"
    for rule in schema.get("x-kubernetes-validations", ()):
        matches = _MATCHES_RULE.fullmatch(rule.get("rule", ""))
        if matches is not None and not _matches(matches[1], value):
            yield path, f"Invalid value: {quoted(value)}: {rule.get('message') or rule['rule']}"
    yield from _sized(schema, len(value), path, "Length", "characters")
    check = _FORMATS.get(schema.get("format", ""))
    if check is not None and not _holds(check, value):
        yield path, f"Invalid value: {quoted(value)}: must be of format {schema['format']}"


def _sized(schema: JsonObject, size: int, path: str, suffix: str, unit: str) -> Iterator[Cause]:
    least, most = schema.get(f"min{suffix}"), schema.get(f"max{suffix}")
    if least is not None and size < least:
        yield path, f"Invalid value: should have at least {least} {unit}, has {size}"
    if most is not None and size > most:
        yield path, f"Too long: may not have more than {most} {unit}, has {size}"


def _number(schema: JsonObject, value: float, path: str) -> Iterator[Cause]:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and (value < low or (schema.get("exclusiveMinimum") and value == low)):
        bound = "greater than" if schema.get("exclusiveMinimum") else "greater than or equal to"
        yield path, f"Invalid value: {quoted(value)}: should be {bound} {low}"
    if high is not None and (value > high or (schema.get("exclusiveMaximum") and value == high)):
        bound = "less than" if schema.get("exclusiveMaximum") else "less than or equal to"
        yield path, f"Invalid value: {quoted(value)}: should be {bound} {high}"
    step = schema.get("multipleOf")
    if step and not float(value / step).is_integer():
        yield path, f"Invalid value: {quoted(value)}: should be a multiple of {step}"
    bits = {"int32": 31, "int64": 63}.get(schema.get("format", ""))
    if bits is not None and not -(1 << bits) <= value < 1 << bits:
        yield path, f"Invalid value: {quoted(value)}: must be of format {schema['format']}"


def _array(schema: JsonObject, value: list[Any], path: str) -> Iterator[Cause]:
    yield from _sized(schema, len(value), path, "Items", "items")
    items = schema.get("items") or {}
    for index, item in enumerate(value):
        yield from _value(items, item, f"{path}[{index}]")
    yield from _unique(schema, value, path)


def _unique(schema: JsonObject, value: list[Any], path: str) -> Iterator[Cause]:
    """A set holds no value twice, an associative list no combination of its keys."""
    keys = schema.get("x-kubernetes-list-map-keys")
    if keys is None and schema.get("x-kubernetes-list-type") != "set":
        return
    seen = set()
    for index, item in enumerate(value):
        identity = item
        if keys is not None:
            fields = item if isinstance(item, dict) else {}
            identity = {key: fields[key] for key in keys if key in fields}
        encoded = json.dumps(identity, sort_keys=True)
        if encoded in seen:
            yield f"{path}[{index}]", f"Duplicate value: {encoded}"
        seen.add(encoded)


def _object(schema: JsonObject, value: dict[str, Any], path: str) -> Iterator[Cause]:
    yield from _sized(schema, len(value), path, "Properties", "properties")
    for name in schema.get("required") or ():
        if name not in value:
            yield _child(path, name), "Required value"
    known = schema.get("properties") or {}
    for name, member in value.items():
        node = _field_schema(schema, name)
        if node is not None:
            yield from _value(node, member, _child(path, name, key=name not in known))


def _child(path: str, name: str, *, key: bool = False) -> str:
    if key:
        return f"{path}[{name}]"
    return f"{path}.{name}" if path else name


def _junctors(schema: JsonObject, value: object, path: str) -> Iterator[Cause]:
    for branch in schema.get("allOf") or ():
        yield from _value(branch, value, path)
    any_of = schema.get("anyOf")
    if any_of and all(validate(branch, value) for branch in any_of):
        yield path, f"Invalid value: {quoted(value)}: must validate at least one schema (anyOf)"
    one_of = schema.get("oneOf")
    if one_of and sum(not validate(branch, value) for branch in one_of) != 1:
        yield (
            path,
            f"Invalid value: {quoted(value)}: must validate one and only one schema (oneOf)",
        )
    if "not" in schema and not validate(schema["not"], value):
        yield path, f"Invalid value: {quoted(value)}: must not validate the schema (not)"


def quoted(value: object) -> str:
    """Show a value in a message as JSON; whole objects would drown it."""
    if isinstance(value, dict):
        return '"object"'
    if isinstance(value, list):
        return '"array"'
    return json.dumps(value, ensure_ascii=False)


# --- patterns and formats ----------------------------------------------------------------------------


_MATCHES_RULE: Final = re.compile(r"self\.matches\(r'([^']*)'\)")


@functools.lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """Compile RE2 syntax, None when Python cannot read it. RE2's `$` never stops before a newline."""
    tokens = re.sub(r"\\.|\[(?:\\.|[^\]\\])+\]|\$", _python_token, pattern, flags=re.DOTALL)
    try:
        return re.compile(tokens, re.ASCII)
    except re.error:
        return None


def _python_token(token: re.Match[str]) -> str:
    return r"\Z" if token[0] in {"$", r"\z"} else token[0]


def _matches(pattern: str, value: str) -> bool:
    compiled = _compiled(pattern)
    return compiled is None or compiled.search(value) is not None


def _holds(check: Callable[[str], object], value: str) -> bool:
    try:
        check(value)
    except ValueError:
        return False
    return True


#: Readers that raise ValueError for what is not of the format. Others, such as `hostname`, say nothing.
_FORMATS: Final[dict[str, Callable[[str], object]]] = {
    "date-time": parse_time,
    "date": lambda value: parse_time(f"{value}T00:00:00Z"),
    "duration": parse_duration,
    "ipv4": ipaddress.IPv4Address,
    "ipv6": ipaddress.IPv6Address,
    "cidr": lambda value: ipaddress.ip_network(value, strict=False),
    "byte": lambda value: base64.b64decode(value, validate=True),
    "uuid": uuid.UUID,
}
