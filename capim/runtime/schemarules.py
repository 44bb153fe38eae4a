"""What a schema must satisfy to be a definition's: structural, and whole where lists have keys.

Rules and texts are those of k8s.io/apiextensions-apiserver, `apiserver/schema` and
`apis/apiextensions/validation`; the order of refusals is theirs, too: structure first, sorted.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from capim.api.fielderrors import FieldError, forbidden, invalid, not_supported, required
from capim.api.formats import compiled
from capim.api.schemavalidation import validate
from capim.api.structural import prune
from capim.runtime.innerform import inner_schema
from capim.runtime.ruletexts import rule_faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject

_TYPES: Final = ("array", "boolean", "integer", "number", "object", "string")
_META: Final = ("metadata", "kind", "apiVersion")
_INT_OR_STRING: Final = [{"type": "integer"}, {"type": "string"}]
_PRESERVE: Final = "x-kubernetes-preserve-unknown-fields"
_EMBEDDED: Final = "x-kubernetes-embedded-resource"
_EITHER: Final = "x-kubernetes-int-or-string"
_RULES: Final = "x-kubernetes-validations"
_LIST_TYPE: Final = "x-kubernetes-list-type"
_MAP_TYPE: Final = "x-kubernetes-map-type"
_LIST_KEYS: Final = "x-kubernetes-list-map-keys"
_AT_ROOT: Final = (
    "Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength"
    " MinLength Pattern MaxItems MinItems UniqueItems MultipleOf Required Items Properties"
    " ExternalDocs Example XPreserveUnknownFields XValidations"
)
#: what branches of a schema may not say, and what their values must be
_NOT_IN_BRANCHES: Final = {
    "type": "empty",
    "additionalProperties": "undefined",
    "default": "undefined",
    "title": "empty",
    "description": "empty",
    "nullable": "false",
    _PRESERVE: "false",
    _EMBEDDED: "false",
    _EITHER: "false",
    _LIST_KEYS: "empty",
    _LIST_TYPE: "undefined",
    _MAP_TYPE: "undefined",
    "x-kubernetes-validations": "empty",
}
_UNSUPPORTED: Final = ("id", "additionalItems", "patternProperties", "definitions", "dependencies")


def schema_faults(schema: JsonObject, path: str, *, status: bool) -> Iterator[FieldError]:
    """Tell what is wrong with a version's schema.

    Args:
        schema: as the definition carries it.
        path: where it stands.
        status: whether the status subresource is there.
    """
    if status:
        yield from _root_faults(schema, path)
    if schema.get("nullable"):
        yield forbidden(f"{path}.nullable", "nullable cannot be true at the root")
    if not _has_unsupported(schema):
        structure = sorted(
            {*_structure_faults(schema, "root", path), *_completeness_faults(schema, path)},
            key=lambda fault: f"{fault.field}: {fault.text}",
        )
        yield from structure or default_faults(schema, path)
    yield from _node_faults(schema, path, _Rules(is_root=True))


def _root_faults(schema: JsonObject, path: str) -> Iterator[FieldError]:
    if schema.get("type") != "object":
        text = 'only "object" is allowed as the type at the root of the schema if the status'
        yield invalid(f"{path}.type", schema.get("type", ""), f"{text} subresource is enabled")
        return
    inner = inner_schema(schema)
    allowed = _AT_ROOT.split()
    if any(value not in (None, "", False) and key not in allowed for key, value in inner.items()):
        text = f"only [{_AT_ROOT}] fields are allowed at the root of the schema if the status"
        yield invalid(path, inner, f"{text} subresource is enabled")


def _has_unsupported(schema: Any) -> bool:
    if not isinstance(schema, dict):
        return False
    if "$ref" in schema or isinstance(schema.get("items"), list):
        return True
    if any(key in schema for key in _UNSUPPORTED):
        return True
    return any(_has_unsupported(node) for _, node in _children(schema, ""))


def _children(schema: JsonObject, path: str) -> Iterator[tuple[str, JsonObject]]:
    """Yield every schema right inside a schema, with its path."""
    for name, node in (schema.get("properties") or {}).items():
        yield f"{path}.properties[{name}]", node
    for key in ("additionalProperties", "items", "not"):
        if isinstance(schema.get(key), dict):
            yield f"{path}.{key}", schema[key]
    for key in ("allOf", "oneOf", "anyOf"):
        for index, node in enumerate(schema.get(key) or ()):
            yield f"{path}.{key}[{index}]", node


# --- structure --------------------------------------------------------------------------------------

_TYPE_NEEDED: Final = {
    "root": "must not be empty at the root",
    "item": "must not be empty for specified array items",
    "field": "must not be empty for specified object fields",
}


def _structure_faults(schema: JsonObject, level: str, path: str) -> Iterator[FieldError]:
    items, others = schema.get("items"), schema.get("additionalProperties")
    if schema.get("type") == "array" and items is None:
        yield required(f"{path}.items", "must be specified")
    if items is not None:
        yield from _structure_faults(items, "item", f"{path}.items")
    for name, node in (schema.get("properties") or {}).items():
        yield from _structure_faults(node, "field", f"{path}.properties[{name}]")
    if others is not None and level == "root":
        yield forbidden(f"{path}.additionalProperties", "must not be used at the root")
    if isinstance(others, dict):
        yield from _structure_faults(others, "field", f"{path}.additionalProperties")
    for key in (_PRESERVE, _EMBEDDED):
        if schema.get(_EITHER) and schema.get(key):
            yield invalid(f"{path}.{key}", True, f"must be false if {_EITHER} is true")
    yield from _branch_faults(schema, path)
    yield from _type_faults(schema, level, path)
    yield from _meta_faults(schema, level, path)


def _type_faults(schema: JsonObject, level: str, path: str) -> Iterator[FieldError]:
    kind, embedded = schema.get("type") or "", schema.get(_EMBEDDED)
    if embedded and kind != "object":
        text = f"must be object if {_EMBEDDED} is true"
        yield invalid(f"{path}.type", kind, text) if kind else required(f"{path}.type", text)
    elif not kind and not schema.get(_EITHER) and not schema.get(_PRESERVE):
        yield required(f"{path}.type", _TYPE_NEEDED[level])
    if embedded and schema.get("additionalProperties") is not None:
        text = f"must not be used if {_EMBEDDED} is set"
        yield forbidden(f"{path}.additionalProperties", text)
    if level == "root" and kind and kind != "object":
        yield invalid(f"{path}.type", kind, "must be object at the root")
    if embedded and not schema.get(_PRESERVE) and not schema.get("properties"):
        text = f"must not be empty if {_EMBEDDED} is true without {_PRESERVE}"
        yield required(f"{path}.properties", text)


def _meta_faults(schema: JsonObject, level: str, path: str) -> Iterator[FieldError]:
    """An object's own metadata is known: a schema may restrict names alone."""
    known = schema.get("properties") or {}
    if level != "root" and not schema.get(_EMBEDDED):
        return
    for name in ("kind", "apiVersion"):
        if name in known and known[name].get("type") != "string":
            at = f"{path}.properties[{name}].type"
            yield invalid(at, known[name].get("type", ""), "must be string")
    metadata = known.get("metadata")
    if metadata is None:
        return
    at = f"{path}.properties[metadata]"
    if metadata.get("type") != "object":
        yield invalid(f"{at}.type", metadata.get("type", ""), "must be object")
    rest = {key for key, value in metadata.items() if value} - {"type", "default", "properties"}
    named = set(metadata.get("properties") or ()) <= {"name", "generateName"}
    if level == "root" and (rest or not named):
        text = "must not specify anything other than name and generateName, but metadata is"
        yield forbidden(at, f"{text} implicitly specified")


def _branch_faults(schema: JsonObject, path: str) -> Iterator[FieldError]:
    """What is wrong with value validation: branches, and the pattern."""
    any_of = schema.get("anyOf") or []
    if any_of != _INT_OR_STRING:
        for index, branch in enumerate(any_of):
            yield from _nested_faults(branch, f"{path}.anyOf[{index}]")
    for index, branch in enumerate(schema.get("allOf") or ()):
        shape = {**branch, "anyOf": None} if branch.get("anyOf") == _INT_OR_STRING else branch
        yield from _nested_faults(shape if index == 0 else branch, f"{path}.allOf[{index}]")
    for index, branch in enumerate(schema.get("oneOf") or ()):
        yield from _nested_faults(branch, f"{path}.oneOf[{index}]")
    if schema.get("not") is not None:
        yield from _nested_faults(schema["not"], f"{path}.not")
    if pattern := schema.get("pattern"):
        yield from _pattern_faults(pattern, f"{path}.pattern")


def _pattern_faults(pattern: str, path: str) -> Iterator[FieldError]:
    try:
        compiled(pattern)
    except re.error as error:
        if "character class" not in str(error):
            yield invalid(
                path,
                pattern,
                f"must be a valid regular expression, but isn't: {_go(error, pattern)}",
            )


def _go(error: re.error, pattern: str) -> str:
    """Say in Go's words why a pattern cannot be read."""
    kinds = {
        "missing ), unterminated subpattern": "missing closing ): ",
        "nothing to repeat": _REPEAT,
    }
    for text, told in kinds.items():
        if error.msg.startswith(text):
            shown = pattern if text.startswith("missing") else pattern[error.pos or 0 :][:1]
            return f"error parsing regexp: {told}`{shown}`"
    if error.msg.startswith("unterminated character set"):
        return f"error parsing regexp: missing closing ]: `{pattern[error.pos or 0 :]}`"
    return f"error parsing regexp: {error.msg}: `{pattern}`"


_REPEAT: Final = "missing argument to repetition operator: "


def _nested_faults(branch: JsonObject, path: str) -> Iterator[FieldError]:
    yield from _branch_faults(branch, path)
    if isinstance(branch.get("items"), dict):
        yield from _nested_faults(branch["items"], f"{path}.items")
    for name, node in (branch.get("properties") or {}).items():
        yield from _nested_faults(node, f"{path}.properties[{name}]")
    for key, must in _NOT_IN_BRANCHES.items():
        if branch.get(key) not in (None, "", False, []):
            yield forbidden(f"{path}.{key}", f"must be {must} to be structural")
    if "metadata" in (branch.get("properties") or {}):
        text = "must not be specified in a nested context"
        yield forbidden(f"{path}.properties[metadata]", text)


def _completeness_faults(schema: JsonObject, path: str) -> Iterator[FieldError]:
    """Every field that a branch at the root judges must be one of the schema's own."""
    for where, branch in _children({key: schema.get(key) for key in _BRANCHES}, path):
        yield from _missing(branch, schema, path, where)


_BRANCHES: Final = ("not", "allOf", "anyOf", "oneOf")


def _missing(
    branch: JsonObject, schema: JsonObject | None, path: str, where: str
) -> Iterator[FieldError]:
    if schema is None:
        yield required(path, f"because it is defined in {where}")
        return
    for inside, node in _children({key: branch.get(key) for key in _BRANCHES}, where):
        yield from _missing(node, schema, path, inside)
    if isinstance(branch.get("items"), dict):
        yield from _missing(branch["items"], schema.get("items"), f"{path}.items", f"{where}.items")
    known = schema.get("properties") or {}
    for name, node in (branch.get("properties") or {}).items():
        at = f".properties[{name}]"
        yield from _missing(node, known.get(name), f"{path}{at}", f"{where}{at}")


# --- defaults ---------------------------------------------------------------------------------------


def default_faults(schema: JsonObject, path: str, *, in_meta: bool = False) -> Iterator[FieldError]:
    """Tell which defaults break the schema that they stand in."""
    value = schema.get("default")
    if value is not None and not in_meta:
        at = f"{path}.default"
        if isinstance(value, (dict, list)) and _pruned(schema, value) != value:
            yield invalid(at, value, "must not have unknown fields")
        yield from validate(schema, value, at=at)
    known = schema.get("properties") or {}
    for name, node in known.items():
        inside = in_meta or (bool(schema.get(_EMBEDDED)) and name in _META)
        yield from default_faults(node, f"{path}.properties[{name}]", in_meta=inside)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from default_faults(schema[key], f"{path}.{key}", in_meta=in_meta)


def _pruned(schema: JsonObject, value: Any) -> Any:
    """Prune any value, which a resource's root is only as a field."""
    whole = {"properties": {"default": schema}}
    return prune(whole, {"default": value})["default"]


# --- rules of a node --------------------------------------------------------------------------------


class _Rules(NamedTuple):
    """What holds where a node stands."""

    is_root: bool = False
    in_meta: bool = False
    no_defaults: str = ""  #: why there may be none


def _node_faults(schema: JsonObject, path: str, rules: _Rules) -> Iterator[FieldError]:
    yield from _keyword_faults(schema, path, rules)
    if schema.get("uniqueItems"):
        text = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield forbidden(f"{path}.uniqueItems", text)
    others = schema.get("additionalProperties")
    if others is not None and schema.get("properties") and others is not True:
        text = "additionalProperties and properties are mutual exclusive"
        yield forbidden(f"{path}.additionalProperties", text)
    for where, node in _children(schema, path):
        yield from _node_faults(node, where, _rules_inside(schema, path, where, rules))
    if schema.get(_PRESERVE) is False:
        yield invalid(f"{path}.{_PRESERVE}", False, "must be true or undefined")
    yield from _map_faults(schema, path)
    yield from _list_faults(schema, path)
    yield from _list_key_faults(schema, path)
    for index, rule in enumerate(schema.get(_RULES) or ()):
        at = f"{path}.{_RULES}[{index}]"
        yield from rule_faults(rule, at, partial(field_path_fault, schema, arrays=True))


def _rules_inside(schema: JsonObject, path: str, where: str, rules: _Rules) -> _Rules:
    inside = rules._replace(is_root=False)
    name = where[len(path) :].removeprefix(".properties[").removesuffix("]")
    if where.startswith(f"{path}.properties[") and name in _META:
        if rules.is_root:
            return inside._replace(in_meta=True, no_defaults=f"in top-level {name}")
        if schema.get(_EMBEDDED):
            return inside._replace(in_meta=True)
    if rules.in_meta and where == f"{path}.additionalProperties":
        why = "inside additionalProperties applying to object metadata"
        return inside._replace(no_defaults=why)
    return inside


def _keyword_faults(schema: JsonObject, path: str, rules: _Rules) -> Iterator[FieldError]:
    kind = schema.get("type")
    if kind and kind not in _TYPES:
        yield not_supported(f"{path}.type", kind, _TYPES)
    if schema.get("default") is not None and rules.no_defaults:
        yield forbidden(f"{path}.default", f"must not be set {rules.no_defaults}")
    for key in (*_UNSUPPORTED, "$ref"):
        if schema.get(key):
            yield forbidden(f"{path}.{key}", f"{key} is not supported")
    if kind == "null":
        text = "type cannot be set to null, use nullable as an alternative"
        yield forbidden(f"{path}.type", text)
    if isinstance(schema.get("items"), list):
        yield forbidden(f"{path}.items", "items must be a schema object and not an array")
    if rules.in_meta and schema.get(_EMBEDDED):
        yield forbidden(f"{path}.{_EMBEDDED}", "must not be used inside of resource meta")


def _map_faults(schema: JsonObject, path: str) -> Iterator[FieldError]:
    if (map_type := schema.get(_MAP_TYPE)) is None:
        return
    yield from _wants_type(schema, path, "object", _MAP_TYPE)
    if map_type not in {"atomic", "granular"}:
        yield not_supported(f"{path}.{_MAP_TYPE}", map_type, ["atomic", "granular"])


def _wants_type(schema: JsonObject, path: str, kind: str, because: str) -> Iterator[FieldError]:
    has, text = schema.get("type"), f"must be {kind} if {because} is specified"
    if not has:
        yield required(f"{path}.type", text)
    elif has != kind:
        yield invalid(f"{path}.type", has, text)


def _list_faults(schema: JsonObject, path: str) -> Iterator[FieldError]:
    if (list_type := schema.get(_LIST_TYPE)) is None:
        return
    faults = list(_wants_type(schema, path, "array", _LIST_TYPE))
    yield from faults
    items = schema.get("items")
    if not faults and list_type == "set" and isinstance(items, dict):
        key = {"array": _LIST_TYPE, "object": _MAP_TYPE}.get(items.get("type", ""))
        default = "atomic" if key == _LIST_TYPE else None
        if key and items.get(key, default) != "atomic":
            text = f"must be atomic as item of a list with {_LIST_TYPE}=set"
            yield invalid(f"{path}.items.{key}", items.get(_LIST_TYPE), text)
    if list_type not in {"atomic", "set", "map"}:
        yield not_supported(f"{path}.{_LIST_TYPE}", list_type, ["atomic", "set", "map"])


def _list_key_faults(schema: JsonObject, path: str) -> Iterator[FieldError]:
    list_type, keys, items = schema.get(_LIST_TYPE), schema.get(_LIST_KEYS), schema.get("items")
    if keys and list_type != "map":
        text, at = f"must be map if {_LIST_KEYS} is non-empty", f"{path}.{_LIST_TYPE}"
        yield required(at, text) if list_type is None else invalid(at, list_type, text)
    if list_type == "map":
        if not keys:
            yield required(f"{path}.{_LIST_KEYS}", f"must not be empty if {_LIST_TYPE} is map")
        if items is None:
            yield required(f"{path}.items", f"must have a schema if {_LIST_TYPE} is map")
        elif isinstance(items, dict):
            yield from _item_key_faults(items, keys or [], path)
    if list_type in {"set", "map"} and isinstance(items, dict):
        if items.get("nullable"):
            text = f"cannot be nullable when {_LIST_TYPE} is {list_type}"
            yield forbidden(f"{path}.items.nullable", text)
        if list_type == "map":
            yield from _key_presence_faults(items, keys or [], path)


def _item_key_faults(items: JsonObject, keys: list[str], path: str) -> Iterator[FieldError]:
    if items.get("type") != "object":
        text = f"must be object if parent array's {_LIST_TYPE} is map"
        yield invalid(f"{path}.items.type", items.get("type", ""), text)
        return
    known = items.get("properties") or {}
    for index, key in enumerate(keys):
        if key not in known:
            text = "entries must all be names of item properties"
            yield invalid(f"{path}.{_LIST_KEYS}", keys, text)
        elif known[key].get("type") in {"array", "object"}:
            text = f"must be a scalar type if parent array's {_LIST_TYPE} is map"
            yield invalid(f"{path}.items.properties[{key}].type", "object", text)
        if key in keys[:index]:
            yield invalid(f"{path}.{_LIST_KEYS}", keys, "must not contain duplicate entries")


def _key_presence_faults(items: JsonObject, keys: list[str], path: str) -> Iterator[FieldError]:
    known = items.get("properties") or {}
    for key in keys:
        if key not in known:
            continue
        at, text = f"{path}.items.properties[{key}]", f"this property is in {_LIST_KEYS}, so it"
        if key not in (items.get("required") or ()) and known[key].get("default") is None:
            yield required(f"{at}.default", f"{text} must have a default or be a required property")
        if known[key].get("nullable"):
            yield forbidden(f"{at}.nullable", f"{text} cannot be nullable")


# --- paths to fields --------------------------------------------------------------------------------


def field_path_fault(schema: JsonObject, path: str, *, arrays: bool) -> str:
    """Tell why a path such as `.spec.a` or `.labels['b.c']` leads nowhere; empty when it does."""
    try:
        node_at(schema, path, arrays=arrays)
    except ValueError as error:
        return str(error)
    return ""


def node_at(schema: JsonObject, path: str, *, arrays: bool = True) -> JsonObject:
    """Return the schema that a path leads to. Raises ValueError: says why it leads nowhere."""
    rest = path
    while rest:
        token = _STEP.match(rest)
        if rest[0] == "[" and not arrays:
            raise ValueError("array notation is not allowed")
        if token is None:
            what = rest if rest[0] not in ".[" else rest[1:]
            raise ValueError(f"expected [ or . but got: {what}")
        name = token["name"] if token["name"] is not None else token["key"]
        known, others = schema.get("properties"), schema.get("additionalProperties")
        if known and name in known:
            schema = known[name]
        elif not known and isinstance(others, dict):
            schema = others
        else:
            raise ValueError("does not refer to a valid field")
        rest = rest[token.end() :]
    return schema


_STEP: Final = re.compile(r"\.(?P<name>[^.\[\]]+)|\['(?P<key>(?:[^'\\]|\\.)*)'\]")
