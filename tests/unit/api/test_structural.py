"""Structural schemas: what they accept, refuse, fill in and drop. Not in scope: our own kinds' rules."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capim.api import structural

if TYPE_CHECKING:
    from capim.api.meta import JsonObject


def of(**field: object) -> JsonObject:
    """A schema of one field, `x`."""
    return {
        "type": "object",
        "properties": {"x": {k.replace("__", "-"): v for k, v in field.items()}},
    }


LIST_MAP: JsonObject = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name", "port"],
    "items": {"type": "object", "properties": {"name": {"type": "string"}, "port": {}}},
}
INT_OR_STRING: JsonObject = {"x-kubernetes-int-or-string": True}


@pytest.mark.parametrize(
    ("schema", "value", "path"),
    [
        (of(type="string"), 1, "x"),
        (of(type="string"), None, "x"),
        (of(type="integer"), True, "x"),
        (of(type="integer"), 1.5, "x"),
        (of(type="integer"), "1", "x"),
        (of(type="number"), "1", "x"),
        (of(type="number"), False, "x"),
        (of(type="boolean"), 0, "x"),
        (of(type="object"), [], "x"),
        (of(type="array"), {}, "x"),
        (of(**INT_OR_STRING), 1.5, "x"),
        (of(type="string", enum=["a", "b"]), "c", "x"),
        (of(type="string", pattern="^[a-z]+$"), "a1", "x"),
        (of(type="string", pattern="^[a-z]+$"), "a\n", "x"),
        (of(type="string", pattern=r"^\d$"), "\u0663", "x"),
        (of(type="string", minLength=2), "a", "x"),
        (of(type="string", maxLength=2), "abc", "x"),
        (of(type="string", format="date-time"), "yesterday", "x"),
        (of(type="string", format="byte"), "###", "x"),
        (of(type="string", format="ipv4"), "::1", "x"),
        (of(type="integer", minimum=1), 0, "x"),
        (of(type="integer", minimum=1, exclusiveMinimum=True), 1, "x"),
        (of(type="integer", maximum=1), 2, "x"),
        (of(type="integer", maximum=1, exclusiveMaximum=True), 1, "x"),
        (of(type="integer", multipleOf=5), 7, "x"),
        (of(type="integer", format="int32"), 1 << 31, "x"),
        (of(type="string"), 1 << 64, "x"),
        (of(type="array", minItems=1), [], "x"),
        (of(type="array", maxItems=1), [1, 2], "x"),
        (of(type="array", items={"type": "string"}), ["a", 2], "x[1]"),
        (of(type="array", x__kubernetes__list__type="set"), [1, 2, 1], "x[2]"),
        (of(**LIST_MAP), [{"name": "a", "port": 1}, {"port": 1, "name": "a"}], "x[1]"),
        (of(**LIST_MAP), [{"name": "a"}, {"name": "a"}], "x[1]"),
        (of(type="object", required=["y"]), {}, "x.y"),
        (of(type="object", properties={"y": {"type": "string"}}), {"y": 1}, "x.y"),
        (of(type="object", additionalProperties={"type": "string"}), {"a.b/c": 1}, "x[a.b/c]"),
        (of(type="object", minProperties=1), {}, "x"),
        (of(type="object", maxProperties=1), {"a": 1, "b": 2}, "x"),
        (of(type="string", allOf=[{"minLength": 1}, {"maxLength": 2}]), "abc", "x"),
        (of(type="object", anyOf=[{"required": ["a"]}, {"required": ["b"]}]), {"c": 1}, "x"),
        (
            of(type="object", oneOf=[{"required": ["a"]}, {"required": ["b"]}]),
            {"a": 1, "b": 1},
            "x",
        ),
        (of(type="object", oneOf=[{"required": ["a"]}, {"required": ["b"]}]), {}, "x"),
        (of(type="object", **{"not": {"required": ["a"]}}), {"a": 1}, "x"),
    ],
)
def test_refuses_with_the_path(schema: JsonObject, value: object, path: str) -> None:
    assert [where for where, _ in structural.validate(schema, {"x": value})] == [path]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (of(type="string", nullable=True), None),
        (of(type="integer"), 2.0),
        (of(type="number"), 2),
        (of(**INT_OR_STRING), 1),
        (of(**INT_OR_STRING), "50%"),
        (of(type="string", pattern="b"), "abc"),
        (of(type="string", pattern=r"^[$]\$$"), "$$"),
        (of(type="string", pattern=r"^\p{Greek}+$"), "python's re cannot read it"),
        (of(type="string", format="made-up"), "anything"),
        (of(type="string", format="date-time"), "2024-02-29T10:00:00Z"),
        (of(type="integer", format="int32"), -(1 << 31)),
        (of(**LIST_MAP), [{"name": "a", "port": 1}, {"name": "a", "port": 2}]),
        (of(type="object", anyOf=[{"required": ["a"]}, {"required": ["b"]}]), {"b": 1}),
        (of(type="object", oneOf=[{"required": ["a"]}, {"required": ["b"]}]), {"b": 1}),
        (of(type="object", **{"not": {"required": ["a"]}}), {}),
        (of(type="object"), {"unknown": "fields are for prune"}),
    ],
)
def test_accepts(schema: JsonObject, value: object) -> None:
    assert structural.validate(schema, {"x": value}) == []


def test_messages_show_the_value_and_the_rule() -> None:
    (cause,) = structural.validate(of(type="integer", maximum=65535), {"x": 70000})
    assert cause == ("x", "Invalid value: 70000: should be less than or equal to 65535")


DEFAULTS: JsonObject = {
    "type": "object",
    "properties": {
        "outer": {
            "type": "object",
            "default": {},
            "properties": {
                "inner": {"type": "string", "default": "d"},
                "plain": {"type": "string"},
            },
        },
        "items": {
            "type": "array",
            "items": {"type": "object", "properties": {"n": {"type": "integer", "default": 7}}},
        },
        "map": {
            "type": "object",
            "additionalProperties": {"type": "object", "properties": {"n": {"default": 8}}},
        },
        "maybe": {"type": "string", "nullable": True, "default": "d"},
    },
}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param({}, {"outer": {"inner": "d"}, "maybe": "d"}, id="defaults within a default"),
        pytest.param(
            {"outer": {"inner": "mine"}, "maybe": "m"},
            {"outer": {"inner": "mine"}, "maybe": "m"},
            id="what is given stays",
        ),
        pytest.param(
            {"outer": {"inner": None, "plain": None}, "maybe": None},
            {"outer": {"inner": "d"}, "maybe": None},
            id="null: default, dropped, or kept where nullable",
        ),
        pytest.param(
            {"items": [{}, {"n": 1}], "map": {"a": {}}},
            {
                "outer": {"inner": "d"},
                "maybe": "d",
                "items": [{"n": 7}, {"n": 1}],
                "map": {"a": {"n": 8}},
            },
            id="in lists and maps",
        ),
        pytest.param(
            {"outer": "wrong type", "maybe": "m"},
            {"outer": "wrong type", "maybe": "m"},
            id="odd shape",
        ),
    ],
)
def test_defaults(before: JsonObject, after: JsonObject) -> None:
    given_object = copy.deepcopy(before)
    assert structural.default(DEFAULTS, before) == after
    assert before == given_object


PRUNED: JsonObject = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "known": {"type": "string"},
                "list": {"type": "array", "items": {"type": "object", "properties": {"a": {}}}},
                "map": {"type": "object", "additionalProperties": {"type": "object"}},
                "raw": {
                    "type": "object",
                    "x-kubernetes-preserve-unknown-fields": True,
                    "properties": {"typed": {"type": "object"}},
                },
            },
        }
    },
}


def test_prunes_what_the_schema_does_not_know() -> None:
    obj = {
        "apiVersion": "v1",
        "kind": "K",
        "metadata": {"name": "n", "custom": "kept"},
        "status": {},
        "spec": {
            "known": "k",
            "unknown": 1,
            "metadata": "not the root's",
            "list": [{"a": 1, "b": 2}],
            "map": {"key": {"dropped": 1}},
            "raw": {"any": {"thing": 1}, "typed": {"dropped": 1}, "list": [{"kept": 1}]},
        },
    }
    assert structural.prune(PRUNED, obj) == {
        "apiVersion": "v1",
        "kind": "K",
        "metadata": {"name": "n", "custom": "kept"},
        "spec": {
            "known": "k",
            "list": [{"a": 1}],
            "map": {"key": {}},
            "raw": {"any": {"thing": 1}, "typed": {}, "list": [{"kept": 1}]},
        },
    }
    assert "status" in obj


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["spec", "known", "outer", "items", "raw"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["spec", "outer", "items", "map", "maybe"]), JSON))
def test_any_object_is_answered_and_defaulting_settles(obj: dict[str, Any]) -> None:
    once = structural.default(DEFAULTS, obj)
    assert structural.default(DEFAULTS, once) == once
    pruned = structural.prune(PRUNED, obj)
    assert structural.prune(PRUNED, pruned) == pruned
    assert all(isinstance(message, str) for _, message in structural.validate(DEFAULTS, obj))
