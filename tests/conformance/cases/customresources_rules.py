"""Rules in CEL: which are refused, what breaks them and how that is told, updates, transitions."""

from __future__ import annotations

from typing import Any, Final

from tests.conformance.case import Case, patch, post
from tests.conformance.definitions import (
    DEFINITIONS,
    ONE,
    WIDGET,
    WIDGETS,
    case,
    definition,
    fields,
    version,
    widget,
)

_TEXT: Final[dict[str, Any]] = {"type": "string", "maxLength": 20}
_WHOLE: Final[dict[str, Any]] = {"type": "integer"}


def _list(items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "array", "maxItems": 10, "items": items, **more}


def _ruled(schema: dict[str, Any], *rules: str | dict[str, Any]) -> dict[str, Any]:
    made = [{"rule": rule} if isinstance(rule, str) else rule for rule in rules]
    return {**schema, "x-kubernetes-validations": made}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def _map_list(**properties: Any) -> dict[str, Any]:
    items = {**_object(name=_TEXT, **properties), "required": ["name"]}
    keys = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
    return _list(items, **keys)


#: rules of an object with these fields that cannot be compiled, and other nonsense
_FIELDS: Final = _object(a=_TEXT, n=_WHOLE, list=_list(_TEXT), keyed=_map_list(v=_WHOLE))
_REFUSED: Final[dict[str, str | dict[str, Any]]] = {
    "an undefined field": "self.b == 'x'",
    "other types": "self.a == 1",
    "other types in a call": "self.a.startsWith(self.n)",
    "an unknown function": "self.a.shout()",
    "no boolean": "self.a",
    "broken syntax": "self.a ==",
    "an unknown name": "that == 1",
    "an empty rule": " ",
    "an empty message": {"rule": "true", "message": " "},
    "a message of lines": {"rule": "true", "message": "a\nb"},
    "a rule of lines without a message": {"rule": "true &&\ntrue"},
    "a message that is no text": {"rule": "true", "messageExpression": "1"},
    "a message that cannot be compiled": {"rule": "true", "messageExpression": "self.b"},
    "an unknown reason": {"rule": "true", "reason": "Because"},
    "a path that leads nowhere": {"rule": "true", "fieldPath": ".b"},
    "an optional old self that is not used": {"rule": "true", "optionalOldSelf": True},
}


def _refusal(name: str, rule: str | dict[str, Any]) -> Case:
    made = definition(version(schema=fields(o=_ruled(_FIELDS, rule))))
    return Case(f"customresources: rule refused for {name}", [post(DEFINITIONS, made)], (ONE,))


#: what it shows -> schema of spec.a, values that are tried one after another
_JUDGED: Final[dict[str, tuple[dict[str, Any], list[Any]]]] = {
    "a text": (_ruled(_TEXT, "self.startsWith('a')"), ["ab", "b"]),
    "a number": (_ruled(_WHOLE, "self % 2 == 0"), [2, 3]),
    "a fraction": (_ruled({"type": "number"}, "self < 1.5"), [1, 1.25, 2]),
    "a message": (_ruled(_TEXT, {"rule": "self == 'a'", "message": " say a "}), ["a", "b"]),
    "a message made": (
        _ruled(
            _TEXT,
            {"rule": "self == 'a'", "messageExpression": "'not ' + self", "message": "say a"},
        ),
        ["b"],
    ),
    "a message that cannot be made": (
        _ruled(
            _object(b=_TEXT, c=_TEXT),
            {"rule": "self.b == 'a'", "messageExpression": "self.c", "message": "say a"},
        ),
        [{"b": "b"}],
    ),
    "reasons": (
        _ruled(
            _TEXT,
            {"rule": "self != 'a'", "reason": "FieldValueForbidden"},
            {"rule": "self != 'b'", "reason": "FieldValueRequired", "message": "no"},
            {"rule": "self != 'c'", "reason": "FieldValueDuplicate"},
            {"rule": "self != 'd'", "reason": "FieldValueInvalid"},
        ),
        ["a", "b", "c", "d"],
    ),
    "a path": (
        _ruled(_object(b=_object(c=_TEXT)), {"rule": "self.b.c == 'x'", "fieldPath": ".b.c"}),
        [{"b": {"c": "y"}}],
    ),
    "an object": (_ruled(_object(b=_WHOLE, c=_WHOLE), "self.b < self.c"), [{"b": 2, "c": 1}]),
    "a missing field": (
        _ruled(_object(b=_WHOLE), "self.b == 1", "has(self.b)"),
        [{}, {"b": 1}],
    ),
    "an optional field": (_ruled(_object(b=_WHOLE), "self.?b.orValue(1) == 1"), [{}, {"b": 2}]),
    "a list": (
        _ruled(_list(_TEXT), "self.all(x, self.exists_one(y, x == y))"),
        [["a"], ["a", "a"]],
    ),
    "an index": (_ruled(_list(_TEXT), "self[1] == 'a'"), [["a"], ["b", "a"]]),
    "items of a list": (_list(_ruled(_TEXT, "self != 'b'")), [["a", "b", "b"]]),
    "a map": (
        _ruled(
            {"type": "object", "maxProperties": 5, "additionalProperties": _WHOLE},
            "self.all(k, self[k] > 0)",
        ),
        [{"x": 1}, {"x": 0}],
    ),
    "values of a map": (
        {
            "type": "object",
            "maxProperties": 5,
            "additionalProperties": _ruled(_WHOLE, "self > 0"),
        },
        [{"x": 0}],
    ),
    "int or string": (
        _ruled(
            {"x-kubernetes-int-or-string": True, "maxLength": 10},
            "type(self) == int ? self > 0 : self.endsWith('%')",
        ),
        [1, 0, "5%", "5"],
    ),
    "another type at last": (
        _ruled({"x-kubernetes-int-or-string": True, "maxLength": 10}, "self > 0"),
        [1, "x"],
    ),
    "division by nothing": (_ruled(_WHOLE, "1 / self > 0"), [1, 0]),
    "too much": (_ruled(_WHOLE, "self + 9223372036854775807 > 0"), [1]),
    "escaped names": (
        _ruled(
            {
                "type": "object",
                "properties": {"namespace": _TEXT, "a-b.c/d": _TEXT, "x__y": _TEXT},
            },
            "self.__namespace__ == 'n'",
            "self.a__dash__b__dot__c__slash__d == 'x'",
            "self.x__underscores__y == 'y'",
        ),
        [
            {"namespace": "n", "a-b.c/d": "x", "x__y": "y"},
            {"namespace": "", "a-b.c/d": "", "x__y": ""},
        ],
    ),
    "a moment": (
        _ruled(
            {"type": "string", "format": "date-time"}, "self > timestamp('2020-01-01T00:00:00Z')"
        ),
        ["2021-01-01T00:00:00Z", "2019-01-01T00:00:00Z"],
    ),
    "a duration": (
        _ruled({"type": "string", "format": "duration"}, "self < duration('1h')"),
        ["5m", "2h"],
    ),
    "an embedded object": (
        _ruled(
            {
                "type": "object",
                "x-kubernetes-embedded-resource": True,
                "x-kubernetes-preserve-unknown-fields": True,
            },
            "self.kind == 'Pod' && self.metadata.name == 'p'",
        ),
        [
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}},
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "q"}},
        ],
    ),
    "a branch": (
        {**_TEXT, "allOf": [_ruled({}, "self != 'a'"), _ruled({}, "self != 'b'")]},
        ["a", "b", "c"],
    ),
    "rules and types": (
        _ruled(_object(b=_WHOLE, c={**_TEXT, "maxLength": 2}), "self.b == 1"),
        [{"b": "x"}, {"b": 2, "c": "long"}],
    ),
    "a null": (_ruled({**_TEXT, "nullable": True}, "self == 'a'"), [None]),
    "several rules": (_ruled(_WHOLE, "self > 1", "self > 2", "self > 3"), [1, 3]),
}

#: expressions with Kubernetes' functions, all true of the text "a"
_FUNCTIONS: Final = [
    "[1, 2, 3].sum() == 6 && [1, 3].max() == 3 && [4, 3].min() == 3",
    "[1, 2].isSorted() && ![2, 1].isSorted()",
    "[5, 6].indexOf(6) == 1 && [5].lastIndexOf(6) == -1",
    "[1, 2, 2].distinct().size() == 2 && [[1], [2]].flatten() == [1, 2]",
    "'abc 123'.find('[0-9]+') == '123' && '1 2'.findAll('[0-9]').size() == 2",
    "url('https://example.com:80/a?b=c').getHostname() == 'example.com' && isURL('/a') && !isURL('a')",
    "url('https://example.com:80/a?b=c').getQuery()['b'] == ['c']",
    "quantity('1Gi').isGreaterThan(quantity('1G')) && isQuantity('1m') && !isQuantity('x')",
    "quantity('2').add(quantity('3')).asInteger() == 5 && quantity('50m').compareTo(quantity('0.05')) == 0",
    "ip('10.0.0.1').family() == 4 && isIP('::1') && !isIP('1.2.3') && ip('127.0.0.1').isLoopback()",
    "cidr('10.0.0.0/8').containsIP('10.1.2.3') && cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')",
    "isCIDR('10.0.0.0/8') && !isCIDR('10.0.0.0') && cidr('10.0.0.0/8').prefixLength() == 8",
    "format.dns1123Label().validate('A').hasValue() && !format.dns1123Label().validate('a').hasValue()",
    "sets.contains([1, 2], [1]) && sets.equivalent([1, 1], [1]) && !sets.intersects([1], [2])",
    "'a,b'.split(',').size() == 2 && 'A'.lowerAscii() == self",
    "'%s-%d'.format([self, 1]) == 'a-1' && 'abc'.replace('b', 'x') == 'axc' && ' a '.trim() == 'a'",
    "optional.of(self).hasValue() && {'k': 1}[?'z'].orValue(2) == 2",
    "self in ['a', 'b'] && size(self) == 1 && self.matches('^[a-z]$') && dyn(1) == 1.0",
]


def _tried(name: str, schema: dict[str, Any], values: list[Any]) -> Case:
    steps = [
        post(WIDGETS, widget(f"a{index}", spec={"a": value})) for index, value in enumerate(values)
    ]
    return case(f"rule about {name}", definition(version(schema=fields(a=schema))), *steps)


def _function(index: int, rule: str) -> Case:
    made = definition(version(schema=fields(a=_ruled(_TEXT, rule))))
    return case(f"rule with functions {index}", made, post(WIDGETS, widget(spec={"a": "a"})))


def _updated(name: str, schema: dict[str, Any], first: Any, *later: Any) -> Case:
    """Create with the first value and patch with the others; made of a schema for spec.a."""
    return case(
        f"rule on updates: {name}",
        definition(version(schema=fields(a=schema, other=_TEXT), subresources={"status": {}})),
        post(WIDGETS, widget(spec={"a": first} if first is not None else {})),
        *(patch(WIDGET, {"spec": {"a": value}}) for value in later),
        patch(WIDGET, {"spec": {"other": "x"}}),
        patch(f"{WIDGET}/status", {"status": {"a": 1}}),
    )


_UPDATES: Final = [
    _updated("immutable", _ruled(_TEXT, "self == oldSelf"), "a", "a", "b"),
    _updated("set later", _ruled(_TEXT, "self == oldSelf"), None, "a", "b"),
    _updated(
        "of an object",
        _ruled(_object(b=_WHOLE), "self.b >= oldSelf.b"),
        {"b": 2},
        {"b": 1},
        {"b": 3},
    ),
    _updated(
        "of items with keys",
        _map_list(v=_ruled(_WHOLE, "self == oldSelf")),
        [{"name": "x", "v": 1}],
        [{"name": "y", "v": 2}, {"name": "x", "v": 1}],
        [{"name": "x", "v": 2}],
    ),
    _updated(
        "with an old self that may not be there",
        _ruled(
            _TEXT,
            {"rule": "oldSelf.hasValue() || self == 'a'", "optionalOldSelf": True},
            {"rule": "!oldSelf.hasValue() || self >= oldSelf.value()", "optionalOldSelf": True},
        ),
        "a",
        "c",
        "b",
    ),
    Case(
        "customresources: rule refused for an old self in a list without keys",
        [
            post(
                DEFINITIONS,
                definition(version(schema=fields(a=_list(_ruled(_TEXT, "self == oldSelf"))))),
            )
        ],
        (ONE,),
    ),
    case(
        "rule at the root",
        definition(
            version(
                schema=_ruled(
                    fields(a=_TEXT),
                    {"rule": "self.metadata.name.startsWith('a')", "message": "begin with a"},
                    {"rule": "self.spec.a == 'x'", "fieldPath": ".spec.a"},
                )
            )
        ),
        post(WIDGETS, widget("b", spec={"a": "x"})),
        post(WIDGETS, widget("a", spec={"a": "y"})),
        post(WIDGETS, widget("a", spec={"a": "x"})),
        post(WIDGETS, widget("c")),
    ),
    case(
        "rule that comes later lets be what is there",
        definition(version(schema=fields(a=_TEXT, b=_TEXT))),
        post(WIDGETS, widget(spec={"a": "wrong", "b": "x"}), compare=False),
        patch(
            ONE,
            {
                "spec": {
                    "versions": [
                        version(schema=fields(a=_ruled(_TEXT, "self != 'wrong'"), b=_TEXT))
                    ]
                }
            },
            compare=False,
        ),
        post(
            f"{WIDGETS}?dryRun=All",
            widget("z", spec={"a": "wrong"}),
            until=lambda answer: answer.status == 422,
            compare=False,
        ),
        patch(WIDGET, {"spec": {"b": "y"}}),
        patch(WIDGET, {"spec": {"a": "right"}}),
        patch(WIDGET, {"spec": {"a": "wrong"}}),
    ),
]

CASES: Final[list[Case]] = [
    *(_refusal(name, rule) for name, rule in _REFUSED.items()),
    *(_tried(name, *tried) for name, tried in _JUDGED.items()),
    *(_function(index, rule) for index, rule in enumerate(_FUNCTIONS)),
    *_UPDATES,
]
