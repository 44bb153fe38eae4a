"""The rules of a schema: what a definition with rules must satisfy, and what its objects must.

A rule is judged where it stands, with the value there as `self` and, on an update, with what was there
before as `oldSelf`. What breaks a rule as it did before is let through with a warning. Source:
k8s.io/apiextensions-apiserver, `pkg/apiserver/schema/cel`.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from capim.api.fielderrors import FieldError, Struct, duplicate, forbidden, invalid, required
from capim.api.meta import JsonObject
from capim.api.schemavalidation import NOTHING, correlate, same
from capim.runtime.cel import Verdict
from capim.runtime.cel.programs import Checker, names_in, run
from capim.runtime.cel.types import exposed, value_of

if TYPE_CHECKING:
    from collections.abc import Iterator


_RULES: Final = "x-kubernetes-validations"
_EMBEDDED: Final = "x-kubernetes-embedded-resource"
_STEP: Final = re.compile(r"\.([^.\[\]]+)|\['((?:[^'\\]|\\.)*)'\]")
_CALL: Final = "call arguments did not match a supported operator, function or macro signature"


@dataclass(frozen=True, slots=True)
class Node:
    """A part of a schema that has rules, or parts with rules."""

    schema: JsonObject
    rules: tuple[JsonObject, ...]
    is_object: bool  #: a whole object, with metadata of its own
    fields: dict[str, Node]
    inner: Node | None  #: of the items of a list, or the values of a map
    branches: tuple[Node, ...]  #: of allOf


class _Before(NamedTuple):
    """What a value was, and whether it, or what it is part of, is as it was."""

    value: Any
    unchanged: bool


class _Key:
    """A schema as the key of a cache: equal specs share theirs."""

    __slots__ = ("schema",)

    def __init__(self, schema: JsonObject) -> None:
        self.schema = schema

    def __hash__(self) -> int:
        return id(self.schema)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.schema is self.schema


def node_of(schema: JsonObject) -> Node | None:
    """Return the rules of an object's schema; None where it has none."""
    return _root(_Key(schema))


@functools.lru_cache(maxsize=512)
def _root(key: _Key) -> Node | None:
    return _node(key.schema, key.schema, is_object=True)


def _node(rules: JsonObject, schema: JsonObject, *, is_object: bool) -> Node | None:
    """Return what `rules` says about values of a schema; both are the same but in a branch."""
    if not exposed(schema):
        return None
    fields = {}
    for name, inside in (rules.get("properties") or {}).items():
        spine = (schema.get("properties") or {}).get(name)
        if spine is not None and (node := _inner(inside, spine)):
            fields[name] = node
    inner = None
    for key in ("items", "additionalProperties"):
        if isinstance(rules.get(key), dict) and isinstance(schema.get(key), dict):
            inner = _inner(rules[key], schema[key]) or inner
    branches = tuple(
        node
        for branch in rules.get("allOf") or ()
        if (node := _node(branch, schema, is_object=is_object))
    )
    own = tuple(rules.get(_RULES) or ())
    if not (own or fields or inner or branches):
        return None
    return Node(schema, own, is_object, fields, inner, branches)


def _inner(rules: JsonObject, schema: JsonObject) -> Node | None:
    return _node(rules, schema, is_object=bool(schema.get(_EMBEDDED)))


# --- objects ----------------------------------------------------------------------------------------


def judge_object(schema: JsonObject, obj: JsonObject, old: JsonObject | None) -> Verdict:
    """Judge an object by the rules of its schema; `old` is what it was, for an update."""
    verdict, node = Verdict([], []), node_of(schema)
    if node is not None:
        was = NOTHING if old is None else old
        _judge(node, obj, _before(obj, was, unchanged=False), "", verdict)
    return verdict


def _before(value: Any, old: Any, *, unchanged: bool) -> _Before:
    return _Before(old, unchanged or (old is not NOTHING and same(value, old)))


def _judge(node: Node, value: Any, before: _Before, path: str, verdict: Verdict) -> None:
    if value is None:
        return
    if node.rules:
        _judge_own(node, value, before, path, verdict)
    for branch in node.branches:
        _judge(branch, value, before._replace(unchanged=False), path, verdict)
    if isinstance(value, list) and node.inner is not None:
        find = correlate(node.schema, before.value)
        for index, item in enumerate(value):
            was = _before(item, find(item), unchanged=before.unchanged)
            _judge(node.inner, item, was, f"{path}[{index}]", verdict)
    elif isinstance(value, dict):
        _judge_fields(node, value, before, path, verdict)


def _judge_fields(
    node: Node, value: JsonObject, before: _Before, path: str, verdict: Verdict
) -> None:
    atomic = node.schema.get("x-kubernetes-map-type") == "atomic"
    old = before.value if isinstance(before.value, dict) and not atomic else {}
    for name, member in value.items():
        inside = node.fields.get(name, node.inner)
        if inside is None:
            continue
        where = f"{path}[{name}]" if inside is node.inner else f"{path}.{name}" if path else name
        was = _before(member, old.get(name, NOTHING), unchanged=before.unchanged)
        _judge(inside, member, was, where, verdict)


def _judge_own(node: Node, value: Any, before: _Before, path: str, verdict: Verdict) -> None:
    data: dict[str, Any] = {"self": value_of(node.schema, value, is_object=node.is_object)}
    known = before.value is not NOTHING and before.value is not None
    old = value_of(node.schema, before.value, is_object=node.is_object) if known else None
    data |= {"oldSelf": old, "olds": [old] if known else []}
    for rule in node.rules:
        uses_old, optional = "oldSelf" in names_in(rule["rule"]), bool(rule.get("optionalOldSelf"))
        if uses_old and not known and not optional:
            continue
        fault, is_error = _broken(node, rule, value, data, path)
        if fault is not None:
            stays = before.unchanged and not uses_old and not is_error
            (verdict.ratcheted if stays else verdict.faults).append(fault)


def _broken(
    node: Node, rule: JsonObject, value: Any, data: dict[str, Any], path: str
) -> tuple[FieldError | None, bool]:
    """Return how a value breaks a rule, and whether the rule could not even be judged."""
    optional = bool(rule.get("optionalOldSelf"))
    found = run(rule["rule"], data, optional_old=optional)
    if found.value is True:
        return None, False
    if found.error:
        return invalid(
            path or "<nil>", node.schema.get("type", ""), _error(rule, found.error)
        ), True
    message = ""
    if expression := rule.get("messageExpression"):
        told = run(expression, data, optional_old=optional)
        message = told.value.strip() if isinstance(told.value, str) else ""
        message = "" if "\n" in message else message
    message = message or (rule.get("message") or "").strip() or f"failed rule: {_name(rule)}"
    where = path + _relative(rule.get("fieldPath") or "", at_root=not path)
    return _fault(where or "<nil>", value, rule.get("reason"), message), False


def _error(rule: JsonObject, error: str) -> str:
    if error.startswith("no such overload"):
        return f"'{error}': {_CALL} for rule: {_name(rule)}"
    return f"{error} evaluating rule: {_name(rule)}"


def _name(rule: JsonObject) -> str:
    text: str = rule.get("message") or rule["rule"]
    return text.strip()


def _fault(path: str, value: Any, reason: str | None, message: str) -> FieldError:
    if reason == "FieldValueForbidden":
        return forbidden(path, message)
    if reason == "FieldValueRequired":
        return required(path, message)
    whole = isinstance(value, (dict, list))
    if reason == "FieldValueDuplicate":
        return FieldError(path, reason, "Duplicate value") if whole else duplicate(path, value)
    if whole:
        return FieldError(path, "FieldValueInvalid", f"Invalid value: {message}")
    return invalid(path, value, message)


def _relative(path: str, *, at_root: bool) -> str:
    """Return a rule's own path below where it stands."""
    steps = [f".{name or key}" for name, key in _STEP.findall(path)]
    return "".join(steps).removeprefix("." if at_root else "")


# --- definitions ------------------------------------------------------------------------------------


def schema_faults(schema: JsonObject, path: str) -> Iterator[FieldError]:
    """Tell which rules of a schema cannot be judged."""
    yield from _rule_faults(schema, path, is_object=True, lost="")


def _rule_faults(
    schema: JsonObject, path: str, *, is_object: bool, lost: str
) -> Iterator[FieldError]:
    """`lost`: where values before and after an update cannot be told to be the same any more."""
    if schema.get(_RULES) and exposed(schema):
        checker = Checker(schema, is_object=is_object)
        for index, rule in enumerate(schema[_RULES]):
            yield from _faults_of(checker, rule, f"{path}.{_RULES}[{index}]", lost)
    for name, node in (schema.get("properties") or {}).items():
        whole = bool(node.get(_EMBEDDED))
        at = f"{path}.properties[{name}]"
        yield from _rule_faults(node, at, is_object=whole, lost=lost)
    others, items = schema.get("additionalProperties"), schema.get("items")
    if isinstance(others, dict):
        at = f"{path}.additionalProperties"
        yield from _rule_faults(others, at, is_object=bool(others.get(_EMBEDDED)), lost=lost)
    if isinstance(items, dict):
        here = lost if schema.get("x-kubernetes-list-type") == "map" else lost or path
        at = f"{path}.items"
        yield from _rule_faults(items, at, is_object=bool(items.get(_EMBEDDED)), lost=here)


def _faults_of(checker: Checker, rule: JsonObject, path: str, lost: str) -> Iterator[FieldError]:
    text, optional = rule.get("rule") or "", rule.get("optionalOldSelf")
    if not text.strip():
        return
    if why := checker.check(text, "bool", optional_old=bool(optional)):
        why = why if why.startswith("compilation") else f"cel expression {why}"
        yield invalid(f"{path}.rule", _shown(rule), why)
    elif (expression := rule.get("messageExpression")) and (
        why := checker.check(expression, "string", optional_old=bool(optional))
    ):
        yield invalid(f"{path}.messageExpression", _shown(rule), f"messageExpression {why}")
    if "oldSelf" in names_in(text):
        if lost:
            why = "oldSelf cannot be used on the uncorrelatable portion of the schema within"
            yield invalid(f"{path}.rule", text, f"{why} {lost}")
    elif optional is not None:
        why = "may not be set if oldSelf is not used in rule"
        yield invalid(f"{path}.optionalOldSelf", optional, why)


def _shown(rule: JsonObject) -> Struct:
    return Struct(
        {
            "Rule": rule.get("rule", ""),
            "Message": rule.get("message", ""),
            "MessageExpression": rule.get("messageExpression", ""),
            "Reason": rule.get("reason"),
            "FieldPath": rule.get("fieldPath", ""),
            "OptionalOldSelf": rule.get("optionalOldSelf"),
        }
    )
