"""Causes of a refusal in an API server's words: (path of the field, text); the text's first word is its kind.

Source of the forms: k8s.io/apimachinery `pkg/util/validation/field/errors.go`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable

Cause: TypeAlias = tuple[str, str]


def required(path: str, detail: str = "") -> Cause:
    """The field must have a value."""
    return path, _with("Required value", detail)


def invalid(path: str, value: Any, detail: str) -> Cause:
    """The field's value breaks a rule."""
    return path, _with(f"Invalid value: {shown(value)}", detail)


def unsupported(path: str, value: Any, supported: Iterable[str]) -> Cause:
    """The field's value is none of those there are; they are listed in the given order."""
    listed = ", ".join(f'"{each}"' for each in supported)
    return path, f"Unsupported value: {shown(value)}: supported values: {listed}"


def forbidden(path: str, detail: str) -> Cause:
    """The field may not be set here, or not to this."""
    return path, f"Forbidden: {detail}"


def duplicate(path: str, value: Any) -> Cause:
    """Another element of the list has this value."""
    return path, f"Duplicate value: {shown(value)}"


def not_found(path: str, value: Any) -> Cause:
    """The field names what is not there."""
    return path, f"Not found: {shown(value)}"


def too_long(path: str, longest: int) -> Cause:
    """The value is longer than this many bytes."""
    return path, f"Too long: may not be more than {longest} bytes"


def too_many(path: str, count: int, most: int) -> Cause:
    """The list has too many items."""
    return path, f"Too many: {count}: must have at most {most} items"


def immutable(path: str, value: Any) -> Cause:
    """The field keeps the value it was created with."""
    return invalid(path, value, "field is immutable")


def shown(value: Any) -> str:
    """Write a value as a cause shows it: text quoted, anything else as JSON."""
    return orjson.dumps(value).decode()


def _with(text: str, detail: str) -> str:
    return f"{text}: {detail}" if detail else text
