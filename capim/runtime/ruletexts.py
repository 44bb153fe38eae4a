"""What a rule of a schema must say, whatever its expression means.

Source: k8s.io/apiextensions-apiserver, `apis/apiextensions/validation`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api.fielderrors import FieldError, invalid, not_supported, required

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from capim.api.meta import JsonObject

_REASONS: Final = tuple(
    f"FieldValue{reason}" for reason in ("Duplicate", "Forbidden", "Invalid", "Required")
)


def rule_faults(
    rule: JsonObject, path: str, leads_nowhere: Callable[[str], str]
) -> Iterator[FieldError]:
    """Tell what is wrong with a rule; `leads_nowhere` says why a field path does."""
    yield from _text_faults(rule, path)
    expression = rule.get("messageExpression") or ""
    if expression and not expression.strip():
        text = "messageExpression must be non-empty if specified"
        yield required(f"{path}.messageExpression", text)
    if rule.get("reason") is not None and rule["reason"] not in _REASONS:
        yield not_supported(f"{path}.reason", rule["reason"], _REASONS)
    where = rule.get("fieldPath") or ""
    if where and not where.strip():
        yield invalid(f"{path}.fieldPath", where, "must be non-empty if specified")
    if "\n" in where:
        yield invalid(f"{path}.fieldPath", where, "must not contain line breaks")
    if where and leads_nowhere(where):
        yield invalid(f"{path}.fieldPath", where, "must be a valid path")


def _text_faults(rule: JsonObject, path: str) -> Iterator[FieldError]:
    text, message = rule.get("rule") or "", rule.get("message") or ""
    if not text.strip():
        yield required(f"{path}.rule", "rule is not specified")
    elif message and not message.strip():
        yield invalid(f"{path}.message", message, "must be non-empty if specified")
    elif "\n" in message.strip():
        yield invalid(f"{path}.message", message, "must not contain line breaks")
    elif "\n" in text.strip() and not message:
        yield required(f"{path}.message", "message must be specified if rule contains line breaks")
