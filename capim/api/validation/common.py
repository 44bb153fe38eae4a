"""Checks that many kinds share: bounds, enumerations, selectors, percentages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from capim.api.validation import field, names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from capim.api.meta import JsonObject
    from capim.api.validation.field import Cause

AT_LEAST_ZERO: Final = "must be greater than or equal to 0"
MISMATCH: Final = "`selector` does not match template `labels`"
PROTOCOLS: Final = ("SCTP", "TCP", "UDP")
_PERCENT: Final = re.compile("[0-9]+%")
_PERCENT_TEXT: Final = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', "
    "regex used for validation is '[0-9]+%')"
)
_LISTED: Final = frozenset({"In", "NotIn"})
_UNLISTED: Final = frozenset({"Exists", "DoesNotExist"})


def not_negative(path: str, held: JsonObject, *keys: str) -> Iterator[Cause]:
    """Check that numbers, where they are given, are zero or more."""
    for key in keys:
        value = held.get(key)
        if value is not None and value < 0:
            yield field.invalid(f"{path}.{key}" if path else key, value, AT_LEAST_ZERO)


def one_of(path: str, value: Any, values: Iterable[str]) -> Iterator[Cause]:
    """Check a value that must be one of these."""
    values = tuple(values)
    if value not in values:
        yield field.unsupported(path, value or "", values)


def maybe_one_of(path: str, held: JsonObject, key: str, values: Iterable[str]) -> Iterator[Cause]:
    """Check a value that is absent or one of these."""
    if held.get(key) is not None:
        yield from one_of(f"{path}.{key}" if path else key, held[key], values)


def needed(path: str, held: JsonObject, *keys: str) -> Iterator[Cause]:
    """Check that texts are there and not empty."""
    for key in keys:
        if not held.get(key):
            yield field.required(f"{path}.{key}" if path else key)


def label_selector(path: str, selector: JsonObject) -> Iterator[Cause]:
    """Check a selector of labels and of expressions."""
    yield from names.labels(f"{path}.matchLabels", selector.get("matchLabels"))
    for index, expression in enumerate(selector.get("matchExpressions") or ()):
        yield from _expression(f"{path}.matchExpressions[{index}]", expression)


def _expression(path: str, expression: JsonObject) -> Iterator[Cause]:
    operator, values = expression.get("operator"), expression.get("values")
    if operator in _LISTED and not values:
        text = "must be specified when `operator` is 'In' or 'NotIn'"
        yield field.required(f"{path}.values", text)
    elif operator in _UNLISTED and values:
        text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        yield field.forbidden(f"{path}.values", text)
    elif operator not in _LISTED | _UNLISTED:
        yield field.invalid(f"{path}.operator", operator or "", "not a valid selector operator")
    yield from names.qualified_name(f"{path}.key", expression.get("key", ""))
    for index, value in enumerate(values or ()):
        yield from names.label_value(f"{path}.values[{index}]", value)


def selects(selector: JsonObject, labels: JsonObject) -> bool:
    """Tell whether a valid selector matches these labels."""
    wanted: JsonObject = selector.get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_fits(e, labels.get(e["key"])) for e in selector.get("matchExpressions") or ())


def _fits(expression: JsonObject, value: str | None) -> bool:
    operator, values = str(expression["operator"]), expression.get("values") or ()
    if operator in _LISTED:
        return (value is not None and value in values) is (operator == "In")
    return (value is not None) is (operator == "Exists")


def int_or_percent(path: str, value: int | str) -> Iterator[Cause]:
    """Check a count or a share."""
    if isinstance(value, int):
        if value < 0:
            yield field.invalid(path, value, AT_LEAST_ZERO)
    elif not _PERCENT.fullmatch(value):
        yield field.invalid(path, value, _PERCENT_TEXT)


def not_over_all(path: str, value: int | str) -> Iterator[Cause]:
    """Check that a share is not more than all."""
    if isinstance(value, str) and _PERCENT.fullmatch(value) and int(value[:-1]) > 100:
        yield field.invalid(path, value, "must not be greater than 100%")


def is_none(value: int | str | None) -> bool:
    """Tell whether a count or share is zero."""
    return value in {0, "0%"}


def go_struct(held: JsonObject, *keys: str) -> JsonObject:
    """Show a struct as Go prints one without JSON names: capital letters, everything there."""
    shown: JsonObject = {}
    for key in keys:
        name, _, rename = key.partition(":")
        shown[rename or name[0].upper() + name[1:]] = held.get(name)
    return shown


def ordered(labels: JsonObject | None) -> JsonObject | None:
    """Show a map as Go prints one: by its keys."""
    return dict(sorted(labels.items())) if labels else None
