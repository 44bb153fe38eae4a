"""Whether an applied configuration fits its shape, in the words of a real API server. Pure.

Source: structured-merge-diff v6, `typed/validate.go`; values are shown as Go prints them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from capim.wire import fieldset, typed
from capim.wire.shapes import ANY, Form, Holds, Shape
from capim.wire.typed import TypedError

if TYPE_CHECKING:
    from collections.abc import Iterator

_GO_TYPES: Final[dict[type, str]] = {
    dict: "map[string]interface {}",
    list: "[]interface {}",
    str: "string",
}


def check_fits(value: Any, shape: Shape) -> None:
    """Refuse a value that does not fit. Raises TypedError: every way in which it does not."""
    found = list(_value(value, shape, ""))
    if len(found) == 1:
        raise TypedError(found[0])
    if found:
        raise TypedError("\n".join(["errors:", *(f"  {one}" for one in found)]))


def _value(value: Any, shape: Shape, path: str) -> Iterator[str]:
    if value is None or shape.form is Form.DEDUCED or shape.holds is Holds.ANYTHING:
        return
    if shape.holds is Holds.SCALAR:
        if problem := _scalar_problem(value, shape.scalar):
            yield _at(path, problem)
    elif shape.holds is Holds.LIST:
        if isinstance(value, list):
            yield from _items(value, shape, path)
        else:
            yield _at(path, f"expected list, got &{{{_plain(value)}}}")
    elif isinstance(value, dict):
        yield from _members(value, shape, path)
    else:
        yield _at(path, f"expected map, got &{{{_plain(value)}}}")


def _members(value: dict[str, Any], shape: Shape, path: str) -> Iterator[str]:
    for name, one in value.items():
        child = shape.of(name)
        if child is None:
            yield f"{path}.{name}: field not declared in schema"
            return
        yield from _value(one, child, f"{path}.{name}")


def _items(value: list[Any], shape: Shape, path: str) -> Iterator[str]:
    item_shape, seen = shape.element or ANY, set[str]()
    for index, item in enumerate(value):
        step = f"[{index}]"
        if shape.form is Form.LIST:
            try:
                element = typed.element_of(shape, item)
            except TypedError as error:
                yield _at(path, f"element {index}: {error}")
                return
            step = fieldset.path_text([element])
            if element in seen:
                yield _at(path, f"duplicate entries for key {step}")
            seen.add(element)
        yield from _value(item, item_shape, path + step)


def _scalar_problem(value: Any, kind: str) -> str:
    match kind:
        case "string" if not isinstance(value, str):
            return f"expected string, got &value.valueUnstructured{{Value:{_typed(value)}}}"
        case "boolean" if not isinstance(value, bool):
            return f"expected boolean, got &{{{_plain(value)}}}"
        case "numeric" if isinstance(value, bool) or not isinstance(value, int | float):
            got = "bool" if isinstance(value, bool) else _GO_TYPES[type(value)]
            return f"expected numeric (int or float), got {got}"
        case "" if isinstance(value, dict | list):
            return f"expected any scalar, got &{{{_plain(value)}}}"
    return ""


def _plain(value: Any) -> str:
    """Print a value as Go's %v does."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{name}:{_plain(one)}' for name, one in sorted(value.items()))}]"
    if isinstance(value, list):
        return f"[{' '.join(_plain(one) for one in value)}]"
    if value is None:
        return "<nil>"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _typed(value: Any) -> str:
    """Print a value as Go's %#v does."""
    if isinstance(value, dict):
        members = ", ".join(
            f"{json.dumps(name)}:{_typed(one)}" for name, one in sorted(value.items())
        )
        return f"{_GO_TYPES[dict]}{{{members}}}"
    if isinstance(value, list):
        return f"{_GO_TYPES[list]}{{{', '.join(_typed(one) for one in value)}}}"
    if value is None:
        return "interface {}(nil)"
    return json.dumps(value)


def _at(path: str, problem: str) -> str:
    return f"{path}: {problem}" if path else problem
