"""What is wrong with a field, in the words and with the reason a Kubernetes API server gives it.

Values are shown as Go shows them: strings quoted, numbers short, everything else as JSON. Source:
k8s.io/apimachinery, `pkg/util/validation/field`.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from capim.api import errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from capim.api.errors import APIError
    from capim.api.resources import Resource


class Struct(dict[str, Any]):
    """Fields in a Go struct's order: shown as they stand, where maps are shown sorted."""


class FieldError(NamedTuple):
    """One cause of a refusal; `field` is a path such as `spec.ports[0].name`."""

    field: str
    reason: str
    text: str


def required(field: str, detail: str = "") -> FieldError:
    """Say that a field must be there."""
    return FieldError(field, "FieldValueRequired", f"Required value{detail and ': '}{detail}")


def invalid(field: str, value: Any, detail: str) -> FieldError:
    """Say that a value is malformed."""
    return FieldError(field, "FieldValueInvalid", f"Invalid value: {shown(value)}: {detail}")


def type_invalid(field: str, value: Any, detail: str) -> FieldError:
    """Say that a value is of the wrong type."""
    return FieldError(field, "FieldValueTypeInvalid", f"Invalid value: {shown(value)}: {detail}")


def not_supported(field: str, value: Any, supported: Iterable[str]) -> FieldError:
    """Say that a value is none of a few."""
    listed = ", ".join(shown(choice) for choice in supported)
    text = f"Unsupported value: {shown(value)}: supported values: {listed}"
    return FieldError(field, "FieldValueNotSupported", text)


def duplicate(field: str, value: Any) -> FieldError:
    """Say that a value is there already."""
    return FieldError(field, "FieldValueDuplicate", f"Duplicate value: {shown(value)}")


def forbidden(field: str, detail: str) -> FieldError:
    """Say that a field may not be set like this."""
    return FieldError(field, "FieldValueForbidden", f"Forbidden: {detail}")


def too_long(field: str, most: int) -> FieldError:
    """Say that a string has more than `most` bytes."""
    return FieldError(field, "FieldValueTooLong", f"Too long: may not be more than {most} bytes")


def too_many(field: str, size: int, most: int) -> FieldError:
    """Say that a list or map has more than `most` items."""
    text = f"Too many: {size}: must have at most {most} items"
    return FieldError(field, "FieldValueTooMany", text)


def refusal(resource: Resource, name: str, faults: Sequence[FieldError]) -> APIError:
    """422 for an object of this kind, with a cause for each fault."""
    causes = [(fault.field, fault.text) for fault in faults]
    error = errors.invalid(resource.kind, resource.group, name, causes)
    details = error.details or {}
    for cause, fault in zip(details["causes"], faults, strict=True):
        cause["reason"] = fault.reason
    return error


def shown(value: Any) -> str:
    """Show a value in a message."""
    if isinstance(value, float):
        return go_float(value)
    if isinstance(value, (dict, list)):
        text = json.dumps(_ordered(value), ensure_ascii=False, separators=(",", ":"))
        return text.translate(_HTML_UNSAFE)
    return json.dumps(value, ensure_ascii=False)


def _ordered(value: Any) -> Any:
    if isinstance(value, list):
        return [_ordered(item) for item in value]
    if isinstance(value, dict):
        names = value if isinstance(value, Struct) else sorted(value)
        return {name: _ordered(value[name]) for name in names}
    return value


#: Go's JSON escapes what HTML would take for markup
_HTML_UNSAFE = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def go_float(value: float) -> str:
    """Write a number as Go's `%v` does: shortest digits, an exponent from 1e+06 on and below 1e-04."""
    number = Decimal(repr(value)).normalize()
    exponent = number.adjusted()
    if -4 <= exponent < 6:
        return f"{number:f}"
    mantissa = number.scaleb(-exponent).normalize()
    return f"{mantissa:f}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
