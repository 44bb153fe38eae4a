"""Rules in the Common Expression Language, which definitions carry (`x-kubernetes-validations`).

Expressions are parsed, checked and evaluated by Google's own library, `cel-expr-python`. It is imported
when a definition with a rule is met (0.1 s, 14 MiB), and where it is not installed such rules are
taken, not evaluated, and whoever writes them is warned. Departures: no budget of costs; what is known of
types when an expression is checked is not known when it runs, so that a few refusals are worded otherwise.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from capim.api.fielderrors import FieldError, invalid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from capim.api.meta import JsonObject

#: told to whoever defines a kind with rules
NOT_EVALUATED: Final = (
    "x-kubernetes-validations are not evaluated: cel-expr-python is not installed"
)
_RULES: Final = "x-kubernetes-validations"
_NOT_CHECKED: Final = (
    "some validation rules were not checked because the object was invalid; correct the existing"
    " errors to complete validation"
)
_BLOCKING: Final = frozenset(
    f"FieldValue{reason}"
    for reason in ("NotSupported", "Required", "TooLong", "TooMany", "TypeInvalid")
)


class Verdict(NamedTuple):
    """What breaks a rule, and what does but did so before."""

    faults: list[FieldError]
    ratcheted: list[FieldError]


@functools.cache
def is_installed() -> bool:
    """Tell whether there is a library to evaluate rules with."""
    return importlib.util.find_spec("cel_expr_python") is not None


def has_rules(schema: Any) -> bool:
    """Tell whether a schema has rules anywhere."""
    if isinstance(schema, dict):
        return _RULES in schema or any(has_rules(inside) for inside in schema.values())
    return isinstance(schema, list) and any(has_rules(inside) for inside in schema)


def judge(
    schema: JsonObject, obj: JsonObject, old: JsonObject | None, faults: Iterable[FieldError]
) -> Verdict:
    """Judge an object by the rules of its schema, unless it has faults that keep it from that."""
    if not is_installed():
        return Verdict([], [])
    if any(fault.reason in _BLOCKING for fault in faults):
        return Verdict([invalid("<nil>", None, _NOT_CHECKED)], [])
    rules = importlib.import_module("capim.runtime.cel.rules")
    verdict: Verdict = rules.judge_object(schema, obj, old)
    return verdict


def schema_faults(schema: JsonObject, path: str) -> list[FieldError]:
    """Tell which rules of a schema cannot be judged, for whatever object."""
    if not is_installed() or not has_rules(schema):
        return []
    rules = importlib.import_module("capim.runtime.cel.rules")
    return [*rules.schema_faults(schema, path)]
