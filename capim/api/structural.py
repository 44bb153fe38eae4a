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
import functools
import ipaddress
import json
import re
import uuid
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from capim.api.meta import parse_duration, parse_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from capim.api.meta import JsonObject

#: A field path (`spec.ports[0].name`) and what is wrong there, for a person.
Cause: TypeAlias = tuple[str, str]

_PRESERVE: Final = "x-kubernetes-preserve-unknown-fields"
#: from here on Go writes a number that is whole with an exponent
_WHOLE_BELOW: Final = 1e21
_ROOT_FIELDS: Final = frozenset({"apiVersion", "kind", "metadata"})


def validate(schema: JsonObject, obj: object) -> list[Cause]:
    """Return every way in which `obj` breaks the schema; empty when it keeps it."""
    return list(_value(schema, obj, ""))


def default(schema: JsonObject, obj: JsonObject) -> JsonObject:
    """Return a copy with the schema's defaults set, and without nulls where null is not allowed."""
    defaulted: JsonObject = copied(obj)
    apply_defaults(schema, defaulted)
    return defaulted


def apply_defaults(schema: JsonObject, obj: JsonObject) -> None:
    """Set the schema's defaults in an object that the caller owns, and drop nulls that are not allowed."""
    _drop_nulls(schema, obj)
    _default(schema, obj)


def prune(schema: JsonObject, obj: JsonObject, unknown: list[str] | None = None) -> JsonObject:
    """Return a copy without the fields that the schema does not know; a resource's root keeps its own.

    Args:
        schema: the structural schema.
        obj: is not changed. Whole numbers written as fractions (`1.0`) are whole in the copy.
        unknown: takes the paths of what was left out.
    """
    root = {**schema, "x-kubernetes-embedded-resource": True}
    pruned: JsonObject = _prune(root, obj, "", unknown)
    return pruned


# --- defaulting and pruning --------------------------------------------------------------------------


def copied(value: Any) -> Any:
    """Copy a JSON value, all the way down."""
    if isinstance(value, dict):
        return {key: copied(member) for key, member in value.items()}
    if isinstance(value, list):
        return [copied(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE_BELOW:
        return int(value)
    return value


def field_schema(schema: JsonObject, name: str) -> JsonObject | None:
    """Return the schema of one field, None when it is unknown or anything goes."""
    known = (schema.get("properties") or {}).get(name)
    if known is None:
        known = schema.get("additionalProperties")
    return known if isinstance(known, dict) else None


def _default(schema: JsonObject, value: object) -> None:
    if isinstance(value, dict):
        for name, node in (schema.get("properties") or {}).items():
            has_default = node.get("default") is not None
            if has_default and (name not in value or _is_stray_null(node, value[name])):
                value[name] = copied(node["default"])
        for name, member in value.items():
            if (node := field_schema(schema, name)) is not None:
                value[name] = _member_default(node, member)
                _default(node, value[name])
    elif isinstance(value, list) and schema.get("items"):
        node = schema["items"]
        for index, member in enumerate(value):
            value[index] = _member_default(node, member)
            _default(node, value[index])


def _member_default(schema: JsonObject, value: Any) -> Any:
    return copied(schema.get("default")) if _is_stray_null(schema, value) else value


def _is_stray_null(schema: JsonObject, value: object) -> bool:
    return value is None and not schema.get("nullable")


def _drop_nulls(schema: JsonObject | None, value: object) -> None:
    """Drop nulls that are not allowed and will not be defaulted."""
    if isinstance(value, dict):
        for name in list(value):
            node = field_schema(schema or {}, name)
            if node is None or not _is_stray_null(node, value[name]):
                _drop_nulls(node, value[name])
            elif node.get("default") is None:
                del value[name]
    elif isinstance(value, list):
        items = (schema or {}).get("items")
        for item in value:
            _drop_nulls(items, item)


def stray_nulls(
    schema: JsonObject, value: object, path: str = ""
) -> Iterator[tuple[str, JsonObject]]:
    """Yield the paths and schemas of fields that are null, may not be and have no default."""
    if isinstance(value, dict):
        for name, member in value.items():
            node, at = field_schema(schema, name), f"{path}.{name}" if path else name
            if node is None:
                continue
            if not _is_stray_null(node, member):
                yield from stray_nulls(node, member, at)
            elif node.get("default") is None and (
                "type" in node or node.get("x-kubernetes-int-or-string")
            ):
                yield at, node
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from stray_nulls(schema.get("items") or {}, item, f"{path}[{index}]")


def _prune(schema: JsonObject | None, value: Any, path: str, unknown: list[str] | None) -> Any:
    """Copy what the schema knows; None for a schema knows nothing."""
    if isinstance(value, list):
        keeps_all = schema is not None and _keeps_all(schema)
        items: JsonObject | None = (schema or {}).get("items")
        if items is None and keeps_all:
            return copied(value)
        if keeps_all and items is not None and not _keeps_all(items):
            items = {**items, _PRESERVE: True}
        return [
            _prune(items, item, f"{path}[{index}]", unknown) for index, item in enumerate(value)
        ]
    if not isinstance(value, dict):
        return copied(value)
    return _prune_object(schema or {}, value, path, unknown)


def _prune_object(
    schema: JsonObject, value: JsonObject, path: str, unknown: list[str] | None
) -> JsonObject:
    whole = _ROOT_FIELDS if schema.get("x-kubernetes-embedded-resource") else frozenset()
    known, others = schema.get("properties") or {}, schema.get("additionalProperties")
    kept = {}
    for name, member in value.items():
        where = f"{path}.{name}" if path and unknown is not None else name
        if name in whole:
            kept[name] = copied(member)
        elif name in known:
            kept[name] = _prune(known[name], member, where, unknown)
        elif others:
            node = others if isinstance(others, dict) else None
            kept[name] = _prune(node, member, where, unknown)
        elif _keeps_all(schema):
            kept[name] = copied(member)
        elif unknown is not None:
            unknown.append(where)
    return kept


def _keeps_all(schema: JsonObject) -> bool:
    return bool(schema.get(_PRESERVE))


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
        node = field_schema(schema, name)
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
