"""Strategic merge patch: a merge patch whose lists merge by the keys that the built-in kinds declare.

Behaves like k8s.io/apimachinery's util/strategicpatch (StrategicMergeMapPatch), with two departures. Nulls
and directives in values the object did not have are dropped: a real server loses them when it converts the
result to the kind's struct. What makes the original panic raises PatchError.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from capim.api import builtin_types
from capim.wire.patch_lists import (
    DIRECTIVE,
    check_elements,
    check_order,
    find,
    identity,
    ordered,
    without_repeats,
)
from capim.wire.patch_values import BAD_REQUEST, PatchError

if TYPE_CHECKING:
    from capim.api.builtin_types import Field
    from capim.api.gvk import GVK
    from capim.api.meta import JsonObject

#: how fields begin that say how to merge
_SPECIAL: Final = re.compile(r"\$")
_RETAIN_KEYS: Final = "$retainKeys"
_SET_ORDER: Final = "$setElementOrder"
_DELETE_FROM: Final = "$deleteFromPrimitiveList"


class _Rules(NamedTuple):
    """What a list or map field says about merging."""

    element: str | None  #: message of the map or of the list's elements; None: not a struct
    merges: bool  #: elements are merged, not replaced as a whole
    replaces: bool  #: a map that is replaced as a whole
    merge_key: str


def has_merge_keys(gvk: GVK) -> bool:
    """Tell whether the kind is built in: custom resources refuse strategic merge patches (415)."""
    return builtin_types.kind(gvk) is not None


def strategic_merge_patch(obj: JsonObject, patch: Any, gvk: GVK) -> JsonObject:
    """Return `obj` with the patch merged in by the rules of its kind; mutates neither, may share parts.

    Raises:
        PatchError: the patch breaks the format, lacks a merge key or fits no field; the kind is not built in.
    """
    kind = builtin_types.kind(gvk)
    if kind is None:
        raise PatchError("strategic merge patch format is not supported", code=BAD_REQUEST)
    if not isinstance(patch, dict):
        raise PatchError("invalid JSON document", code=BAD_REQUEST)
    try:
        return _merge_map(obj, patch, kind.name)
    except RecursionError:
        raise PatchError("the patch is nested too deeply", code=BAD_REQUEST) from None


def _merge_map(original: JsonObject, patch: JsonObject, schema: str | None) -> JsonObject:
    if DIRECTIVE in patch:
        return _replace_or_delete(patch)
    result, rest = dict(original), patch
    if any(map(_SPECIAL.match, patch)):
        result, rest = _retain_keys(original, patch)
        result, rest = _merge_ordered_lists(result, rest, schema)
    for key, value in rest.items():
        if key.startswith(_DELETE_FROM):
            _delete_from_list(result, _named_list(key, _DELETE_FROM), value, schema)
        elif value is None:
            result.pop(key, None)
        elif type(value) is str:  # which has nothing to merge
            result[key] = value
        else:
            _merge_member(result, key, value, schema)
    return result


def _replace_or_delete(patch: JsonObject) -> JsonObject:
    if patch[DIRECTIVE] == "replace":
        replacement = {key: value for key, value in patch.items() if key != DIRECTIVE}
        added: JsonObject = _added(replacement)
        return added
    if patch[DIRECTIVE] == "delete":
        return {}
    raise PatchError(f"unknown patch type: {patch[DIRECTIVE]} in map: {patch}")


def _retain_keys(original: JsonObject, patch: JsonObject) -> tuple[JsonObject, JsonObject]:
    """Return the original with the members $retainKeys names, or all, and the rest of the patch."""
    if _RETAIN_KEYS not in patch:
        return dict(original), dict(patch)
    kept = patch[_RETAIN_KEYS]
    rest = {key: value for key, value in patch.items() if key != _RETAIN_KEYS}
    named = (
        key
        for key, value in rest.items()
        if value is not None and not key.startswith((_DELETE_FROM, _SET_ORDER))
    )
    if not isinstance(kept, list) or not all(key in kept for key in named):
        raise PatchError("invalid patch format of retainKeys", code=BAD_REQUEST)
    return {key: value for key, value in original.items() if key in kept}, rest


def _merge_ordered_lists(
    original: JsonObject, patch: JsonObject, schema: str | None
) -> tuple[JsonObject, JsonObject]:
    """Merge and sort the lists that have a $setElementOrder; return the result and the rest of the patch."""
    rest = dict(patch)
    for directive in [key for key in patch if key.startswith(_SET_ORDER)]:
        order = rest.pop(directive)
        key = _named_list(directive, _SET_ORDER)
        ours, theirs = rest.get(key, []), original.get(key, [])
        if not all(isinstance(value, list) for value in (order, ours, theirs)):
            raise PatchError(f"{directive} needs lists of elements, in the object too")
        rules = _list_rules(schema, key)
        check_order(ours, order, rules.merge_key)
        if key not in rest and key not in original:
            continue
        if key not in original:
            merged = _added(ours)
        else:
            merged = _merge_list(theirs, ours, rules) if key in rest else theirs
        check_elements(theirs, ours)
        original[key] = ordered(merged, order, theirs, rules.merge_key)
        rest.pop(key, None)
    return original, rest


def _named_list(directive: str, prefix: str) -> str:
    """Return the field that `$setElementOrder/field` or `$deleteFromPrimitiveList/field` is about."""
    found, slash, key = directive.partition("/")
    if found != prefix or not slash:
        what = "setElementOrder list" if prefix == _SET_ORDER else "primitive list"
        raise PatchError(f"invalid patch format of {what}", code=BAD_REQUEST)
    return key


def _delete_from_list(result: JsonObject, key: str, deleted: Any, schema: str | None) -> None:
    """Take scalars out of a list, whatever its strategy; a field that holds no list stays as it is."""
    current = result.get(key)
    if not isinstance(current, list) or not isinstance(deleted, list):
        return
    _list_rules(schema, key)
    if (current or deleted) and check_elements(current, deleted):
        raise PatchError("invalid patch format of primitive list", code=BAD_REQUEST)
    gone = {identity(element, "") for element in deleted}
    result[key] = [element for element in current if identity(element, "") not in gone]


def _merge_member(result: JsonObject, key: str, value: Any, schema: str | None) -> None:
    """Merge one member of a patch that is not null into the result."""
    current = result.get(key)
    if isinstance(current, dict) and isinstance(value, dict):
        rules = _map_rules(schema, key)
        result[key] = value if rules.replaces else _merge_map(current, value, rules.element)
    elif isinstance(current, list) and isinstance(value, list):
        rules = _list_rules(schema, key)
        result[key] = _merge_list(current, value, rules)
    elif isinstance(value, dict) and DIRECTIVE in value:
        result.pop(key, None)
    else:
        result[key] = _added(value)


def _merge_list(original: list[Any], patch: list[Any], rules: _Rules) -> list[Any]:
    if not rules.merges:
        return patch
    if not original and not patch:
        return original
    merged = _merge_in_place(original, patch, rules)
    if merged is not None:
        return merged
    if not check_elements(original, patch):
        merged = without_repeats(original + patch)
        return ordered(merged, patch, original, rules.merge_key)
    if not rules.merge_key:
        raise PatchError("cannot merge lists without merge key for a list of structs")
    original, patch = _apply_directives(original, patch, rules.merge_key)
    merged = list(original)
    for element in patch:
        index = find(merged, identity(element, rules.merge_key), rules.merge_key)
        if index is None:
            merged.append(_added(element))
        else:
            merged[index] = _merge_map(merged[index], element, rules.element)
    return ordered(merged, patch, original, rules.merge_key)


def _merge_in_place(original: list[Any], patch: list[Any], rules: _Rules) -> list[Any] | None:
    """Merge elements that are there, each once, and come in the same order; None: it is not that simple.

    Conditions are written so again and again. A Node's four are merged in 12 us instead of 30.
    """
    key = rules.merge_key
    if not key or not all(type(it) is dict and type(it.get(key)) is str for it in original):
        return None
    places = {element[key]: index for index, element in enumerate(original)}
    merged, last = list(original), -1
    for element in patch:
        if type(element) is not dict or DIRECTIVE in element or type(element.get(key)) is not str:
            return None
        place = places.get(element[key], -1)
        if place <= last:
            return None
        merged[place] = _merge_map(merged[place], element, rules.element)
        last = place
    return merged if len(places) == len(original) else None


def _apply_directives(
    original: list[Any], patch: list[Any], merge_key: str
) -> tuple[list[Any], list[Any]]:
    """Delete what elements with `$patch: delete` name; `$patch: replace` makes the patch the original."""
    plain = [element for element in patch if DIRECTIVE not in element]
    replaces = False
    for element in patch:
        match element.get(DIRECTIVE, None):
            case "delete":
                gone = identity(element, merge_key)
                while (index := find(original, gone, merge_key)) is not None:
                    original = original[:index] + original[index + 1 :]
            case "replace":
                replaces = True
            case "merge":
                raise PatchError("merging lists cannot yet be specified in the patch")
            case other if DIRECTIVE in element:
                raise PatchError(f"unknown patch type: {other} in map: {element}")
    return (plain, []) if replaces else (original, plain)


def _added(value: Any) -> Any:
    """Return a value the object did not have: without nulls in maps, directives and what they mark."""
    if isinstance(value, dict):
        return {
            key: _added(item)
            for key, item in value.items()
            if item is not None and not _is_directive(key) and not _is_marked(item)
        }
    if isinstance(value, list):
        return [_added(item) for item in value if not _is_marked(item)]
    return value


def _is_marked(value: Any) -> bool:
    return isinstance(value, dict) and DIRECTIVE in value


def _is_directive(key: str) -> bool:
    return key in {DIRECTIVE, _RETAIN_KEYS} or key.startswith(
        (f"{_SET_ORDER}/", f"{_DELETE_FROM}/")
    )


def _map_rules(schema: str | None, key: str) -> _Rules:
    field = _field(schema, key)
    element = field.type if field.is_message and not field.shape else None
    return _Rules(element, merges=True, replaces="replace" in field.strategies, merge_key="")


def _list_rules(schema: str | None, key: str) -> _Rules:
    field = _field(schema, key)
    # bytes are a Go slice too, and the original looks through a pointer at anything
    is_list = field.shape == "[]" or field.pointer or field.type == "y"
    if not is_list and not (field.is_message and builtin_types.message(field.type).is_list):
        raise PatchError(f"expected slice or array type for the field {key!r}")
    element = field.type if field.is_message else None
    return _Rules(element, "merge" in field.strategies, replaces=False, merge_key=field.merge_key)


def _field(schema: str | None, key: str) -> Field:
    """Return the field with this JSON name, or one that differs in letter case, as Go's decoder does."""
    if schema is None:
        raise PatchError(
            f"merging an object in json but data type is not struct: the field {key!r}"
        )
    fields = builtin_types.json_fields(schema)
    field = fields.get(key)
    if field is None:
        folded = key.casefold()
        field = next((field for name, field in fields.items() if name.casefold() == folded), None)
    if field is None:
        struct = schema.rpartition(".")[2]
        raise PatchError(f'unable to find api field in struct {struct} for the json field "{key}"')
    return field
