"""Rules in CEL: what expressions come to, what breaks a rule, and life without the library."""

from __future__ import annotations

from typing import Any

import pytest

from capim.api.errors import APIError
from capim.api.gvk import GVR
from capim.runtime import cel
from capim.runtime.cel import programs, rules, types
from tests.support.groups import DEFINITIONS, named, new_group

TEXT = {"type": "string"}


def ruled(schema: dict[str, Any], *texts: str, **more: Any) -> dict[str, Any]:
    return {**schema, "x-kubernetes-validations": [{"rule": text, **more} for text in texts]}


def judged(schema: dict[str, Any], value: Any, old: Any = None) -> tuple[list[str], list[str]]:
    """Return the texts of what breaks the rules of the field `a`, and of what did so before."""
    whole = {"type": "object", "properties": {"a": schema}}
    was = None if old is None else {"a": old}
    verdict = rules.judge_object(whole, {"a": value}, was)
    return [fault.text for fault in verdict.faults], [fault.text for fault in verdict.ratcheted]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("self + 1", 3),
        ("self.missing", "no such overload"),
        ("[1][self]", "index out of bounds: 2"),
        ("{'a': 1}['b']", "no such key: b"),
        ("1 / (self - 2)", "division by zero"),
        ("quantity('x')", "quantities must match"),
        ("slice(1)", "undeclared reference to 'slice'"),
    ],
)
def test_outcome_is_a_value_or_an_error_as_real_servers_tell_it(text: str, value: Any) -> None:
    found = programs.run(text, {"self": 2})
    assert found.value == value or str(value) in found.error


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("a", "a"),
        ("namespace", "__namespace__"),
        ("a-b.c/d", "a__dash__b__dot__c__slash__d"),
        ("a__b", "a__underscores__b"),
        ("1a", None),
        ("a b", None),
    ],
)
def test_names_are_escaped(name: str, escaped: str | None) -> None:
    assert types.escaped(name) == escaped


def test_names_in_texts_are_not_named() -> None:
    assert programs.names_in("self.oldSelf == 'oldSelf' && x.y") == {"self", "x"}


def test_rule_is_told_by_its_message_or_its_text() -> None:
    assert judged(ruled(TEXT, "self == 'x'"), "y") == (
        ["Invalid value: \"y\": failed rule: self == 'x'"],
        [],
    )
    faults, _ = judged(ruled(TEXT, "self == 'x'", messageExpression="'not ' + self"), "y")
    assert faults == ['Invalid value: "y": not y']


def test_what_was_wrong_before_is_let_through() -> None:
    schema = ruled(TEXT, "self == 'x'")
    faults, ratcheted = judged(schema, "y", "y")
    assert (faults, len(ratcheted)) == ([], 1)
    assert judged(schema, "z", "y")[0]


def test_transition_rules_need_an_old_value() -> None:
    schema = ruled(TEXT, "self == oldSelf")
    assert judged(schema, "y") == ([], [])
    assert judged(schema, "y", "y") == ([], [])
    assert len(judged(schema, "y", "x")[0]) == 1


def test_optional_old_self_is_there_or_not() -> None:
    schema = ruled(TEXT, "oldSelf.orValue('x') == 'x'", optionalOldSelf=True)
    assert judged(schema, "y") == ([], [])
    assert len(judged(schema, "y", "z")[0]) == 1


def test_schema_without_rules_has_none() -> None:
    schema = {"type": "object", "properties": {"a": TEXT}}
    assert rules.node_of(schema) is None
    assert not cel.has_rules(schema)


def test_list_of_lists_is_checked_as_anything() -> None:
    inner = {"type": "array", "items": {"type": "array", "items": TEXT}}
    schema = ruled({"type": "object", "properties": {"a": inner}}, "self.a[0][0] == 1")
    assert cel.schema_faults(schema, "spec") == []


def definition(rule: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"a": ruled(TEXT, rule)}}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
    }
    spec = {
        "group": "example.org",
        "names": {"plural": "widgets", "kind": "Widget"},
        "scope": "Namespaced",
        "versions": [version],
    }
    return named("widgets.example.org", spec=spec)


def test_rules_are_taken_and_not_evaluated_without_the_library(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cel, "is_installed", lambda: False)
    group = new_group()
    group.create(DEFINITIONS, "", definition("nonsense("))
    assert group.admitting.take_warnings() == [cel.NOT_EVALUATED]
    widgets = group.resources.by_gvr(GVR("example.org", "v1", "widgets"))
    assert widgets is not None
    assert group.create(widgets, "default", named("w", a="y")).name == "w"


def test_rules_are_evaluated() -> None:
    group = new_group()
    with pytest.raises(APIError, match="compilation failed"):
        group.create(DEFINITIONS, "", definition("nonsense("))
    group.create(DEFINITIONS, "", definition("self == 'x'"))
    widgets = group.resources.by_gvr(GVR("example.org", "v1", "widgets"))
    assert widgets is not None
    with pytest.raises(APIError, match="failed rule: self == 'x'"):
        group.create(widgets, "default", named("w", a="y"))
    assert group.create(widgets, "default", named("w", a="x")).name == "w"
