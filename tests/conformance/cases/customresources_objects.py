"""Objects of a defined kind: what a schema refuses, sets and leaves out."""

from __future__ import annotations

from typing import Any, Final

from tests.conformance.case import APPLY, JSON_PATCH, STRATEGIC, Case, get, patch, post, put
from tests.conformance.definitions import (
    ANYTHING,
    GROUP,
    ONE,
    WIDGET,
    WIDGETS,
    case,
    definition,
    fields,
    version,
    widget,
)

_TEXT: Final[dict[str, Any]] = {"type": "string"}
_NUMBER: Final[dict[str, Any]] = {"type": "number"}
_WHOLE: Final[dict[str, Any]] = {"type": "integer"}
_INT_OR_STRING: Final[dict[str, Any]] = {"x-kubernetes-int-or-string": True}


def _list(items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


_SET: Final = _list(_TEXT, **{"x-kubernetes-list-type": "set"})
_MAP: Final = _list(
    {**_object(name=_TEXT, port={**_WHOLE, "default": 80}, text=_TEXT), "required": ["name"]},
    **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name", "port"]},
)

#: what it shows -> schema of spec.a, values that are tried one after another
_VALUES: Final[dict[str, tuple[dict[str, Any], list[Any]]]] = {
    "string": (_TEXT, ["", "a", 1, True, None, ["a"], {"a": 1}]),
    "integer": (_WHOLE, [1, -1, 1.0, 1.5, "1", 1 << 40, False]),
    "number": (_NUMBER, [1, 1.5, "1", None]),
    "boolean": ({"type": "boolean"}, [True, 0, "true"]),
    "object": (_object(b=_TEXT), [{}, {"b": 1}, [], "b"]),
    "array": (_list(_TEXT), [[], ["a", 1], {}, "a"]),
    "int or string": (_INT_OR_STRING, [1, "1", 1.5, True, {}, None]),
    "nullable": ({**_TEXT, "nullable": True}, [None, "a", 1]),
    "nullable object": ({**_object(b=_TEXT), "nullable": True}, [None, {"b": None}]),
    "enum": ({**_TEXT, "enum": ["a", "b"]}, ["a", "c", ""]),
    "enum of numbers": ({**_WHOLE, "enum": [1, 2]}, [1, 3]),
    "pattern": ({**_TEXT, "pattern": "^[a-z]+$"}, ["abc", "Abc", "abc\n"]),
    "lengths": ({**_TEXT, "minLength": 2, "maxLength": 4}, ["a", "abc", "abcde", "äöü"]),
    "least and most": ({**_WHOLE, "minimum": 2, "maximum": 4}, [1, 2, 4, 5]),
    "more and less than": (
        {
            **_NUMBER,
            "minimum": 2,
            "exclusiveMinimum": True,
            "maximum": 4.5,
            "exclusiveMaximum": True,
        },
        [2, 3, 4.5],
    ),
    "multiples": ({**_NUMBER, "multipleOf": 0.5}, [1.5, 1.7]),
    "sizes of lists": (_list(_TEXT, minItems=1, maxItems=2), [[], ["a"], ["a", "b", "c"]]),
    "sizes of maps": (
        {
            "type": "object",
            "additionalProperties": _WHOLE,
            "minProperties": 1,
            "maxProperties": 2,
        },
        [{}, {"a": 1}, {"a": 1, "b": 2, "c": 3}, {"a": "1"}],
    ),
    "required": ({**_object(b=_TEXT, c=_TEXT), "required": ["b", "c"]}, [{}, {"b": "", "c": None}]),
    "set": (_SET, [["a", "b"], ["a", "b", "a", "a"], ["a", "a", "b", "b"]]),
    "list with keys": (
        _MAP,
        [
            [{"name": "a"}, {"name": "a", "port": 81}],
            [{"name": "a"}, {"name": "a", "port": 80}],
            [{"port": 1}],
        ],
    ),
    "any of": (
        {**_TEXT, "anyOf": [{"pattern": "^a"}, {"maxLength": 2}]},
        ["abc", "bc", "bcd"],
    ),
    "one of": (
        {**_TEXT, "oneOf": [{"pattern": "^a"}, {"maxLength": 2}]},
        ["abc", "bc", "ab", "bcd"],
    ),
    "all of": ({**_TEXT, "allOf": [{"pattern": "^a"}, {"maxLength": 2}]}, ["ab", "abc", "bcd"]),
    "not": ({**_TEXT, "not": {"enum": ["a"]}}, ["a", "b"]),
    "one of fields": (
        {**_object(b=_TEXT, c=_TEXT), "oneOf": [{"required": ["b"]}, {"required": ["c"]}]},
        [{}, {"b": "", "c": ""}, {"c": ""}],
    ),
    "date-time": ({**_TEXT, "format": "date-time"}, ["2024-01-02T03:04:05Z", "2024-01-02", ""]),
    "date": ({**_TEXT, "format": "date"}, ["2024-01-02", "2024-13-02"]),
    "duration": ({**_TEXT, "format": "duration"}, ["1h5m", "1d", "1", "soon"]),
    "byte": ({**_TEXT, "format": "byte"}, ["YWJj", "YWJ", "?"]),
    "ipv4": ({**_TEXT, "format": "ipv4"}, ["10.0.0.1", "10.0.0", "::1"]),
    "ipv6": ({**_TEXT, "format": "ipv6"}, ["::1", "10.0.0.1"]),
    "cidr": ({**_TEXT, "format": "cidr"}, ["10.0.0.0/8", "10.0.0.1", "fd00::/8"]),
    "uuid": (
        {**_TEXT, "format": "uuid"},
        ["a1b2c3d4-0000-1111-2222-333344445555", "a1b2c3d4"],
    ),
    "email": ({**_TEXT, "format": "email"}, ["a@example.com", "a"]),
    "hostname": ({**_TEXT, "format": "hostname"}, ["a.example.com", "a_b", "-"]),
    "uri": ({**_TEXT, "format": "uri"}, ["https://example.com/a", "/a", "a b"]),
    "mac": ({**_TEXT, "format": "mac"}, ["00:11:22:33:44:55", "00:11"]),
    "password": ({**_TEXT, "format": "password"}, ["x"]),
    "int32": ({**_WHOLE, "format": "int32"}, [1, 1 << 31, -(1 << 31)]),
    "int64": ({**_WHOLE, "format": "int64"}, [1 << 31, 1 << 62]),
    "an unknown format": ({**_TEXT, "format": "magic"}, ["x"]),
    "short names": ({**_TEXT, "format": "k8s-short-name"}, ["a", "a.b", "A"]),
    "long names": ({**_TEXT, "format": "k8s-long-name"}, ["a", "a.b", "a_b"]),
    "unknown fields": (_object(b=_object(c=_TEXT)), [{"b": {"c": "x", "d": 1}, "e": 2}]),
    "unknown fields kept": (
        {**ANYTHING, "properties": {"b": _object(c=_TEXT)}},
        [{"b": {"c": "x", "d": 1}, "e": {"f": None, "g": [1.5, 2.0, True]}}],
    ),
    "unknown fields kept in a list": (
        _list({**_object(b=_TEXT), "x-kubernetes-preserve-unknown-fields": True}),
        [[{"b": "x", "d": 1}, {"e": []}]],
    ),
    "values of a map": (
        {"type": "object", "additionalProperties": _object(b=_TEXT)},
        [{"x": {"b": "y", "c": 1}, "z": None}],
    ),
    "any value of a map": ({"type": "object", "additionalProperties": True}, [{"x": {"b": [1]}}]),
    "defaults": (
        {
            **_object(
                b={**_TEXT, "default": "x"},
                c={**_object(d={**_WHOLE, "default": 3}), "default": {}},
                e=_object(f={**_TEXT, "default": "y"}),
                g=_list(_object(h={"type": "boolean", "default": True})),
            )
        },
        [{}, {"b": None, "e": {}, "g": [{}, {"h": False}]}, {"c": {"d": None}}],
    ),
    "a default of null": (
        {"type": "object", "properties": {"b": {**_TEXT, "nullable": True, "default": "x"}}},
        [{}, {"b": None}],
    ),
    "default of a map's values": (
        {"type": "object", "additionalProperties": {**_TEXT, "default": "x"}},
        [{"b": None, "c": "y"}],
    ),
    "an embedded object": (
        {
            "type": "object",
            "x-kubernetes-embedded-resource": True,
            "x-kubernetes-preserve-unknown-fields": True,
        },
        [
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "x": 1},
            {"kind": "Pod"},
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "P_", "labels": {"a": "-"}}},
            {"apiVersion": "v1", "kind": ""},
        ],
    ),
}


def _tried(name: str, schema: dict[str, Any], values: list[Any]) -> Case:
    steps = [
        post(WIDGETS, widget(f"a{index}", spec={"a": value})) for index, value in enumerate(values)
    ]
    return case(f"value: {name}", definition(version(schema=fields(a=schema))), *steps)


_STRICT: Final = definition(
    version(
        schema=fields(
            a={**_TEXT, "pattern": "^a"},
            b={**_TEXT, "default": "x"},
            list=_MAP,
            set=_SET,
        ),
        subresources={"status": {}},
    )
)


def _loosened() -> dict[str, Any]:
    return definition(version(schema=fields(a=_TEXT, b=_TEXT, list=_list(_TEXT), set=_list(_TEXT))))


def _ratcheted(name: str, before: dict[str, Any], *changes: dict[str, Any]) -> Case:
    """Store what the later schema refuses, then change it."""
    tight = {"spec": {"versions": _STRICT["spec"]["versions"]}}
    return case(
        f"ratcheting: {name}",
        _loosened(),
        post(WIDGETS, widget(spec=before), compare=False),
        patch(ONE, tight, compare=False),
        patch(
            f"{WIDGETS}/a?dryRun=All",
            {"spec": {"a": "b"}},
            until=lambda answer: answer.status == 422,
            compare=False,
        ),
        *(patch(WIDGET, change) for change in changes),
    )


_WRITES: Final = [
    case(
        "create without apiVersion and kind",
        definition(),
        post(WIDGETS, {"metadata": {"name": "a"}}),
        post(WIDGETS, {"kind": "Widget", "metadata": {"name": "a"}}),
        post(WIDGETS, {"apiVersion": f"{GROUP}/v1", "metadata": {"name": "a"}}),
        post(WIDGETS, {**widget(), "kind": "Gadget"}),
        post(WIDGETS, {**widget(), "apiVersion": f"{GROUP}/v2"}),
    ),
    case(
        "names and metadata of objects",
        definition(),
        post(WIDGETS, widget("A_b")),
        post(WIDGETS, {**widget(), "metadata": {}}),
        post(WIDGETS, {**widget(), "metadata": {"generateName": "a-"}}),
        post(WIDGETS, {**widget(), "metadata": {"name": "a", "labels": {"a b": "c d"}}}),
        post(WIDGETS, {**widget(), "metadata": {"name": "b", "odd": 1}}),
        post(WIDGETS, {**widget(), "metadata": {"name": "c", "labels": {"a": 1}}}),
        post(WIDGETS, {**widget(), "metadata": {"name": "d", "namespace": "other"}}),
        post(WIDGETS, {**widget(), "metadata": {"name": "e", "finalizers": ["x"]}}),
    ),
    case(
        "generation counts changes but metadata's",
        definition(),
        post(WIDGETS, widget(spec={"a": 1}, status={"b": 1})),
        patch(WIDGET, {"metadata": {"labels": {"a": "b"}}}),
        patch(WIDGET, {"spec": {"a": 2}}),
        patch(WIDGET, {"status": {"b": 2}}),
        patch(WIDGET, {"other": {"c": 1}}),
        patch(WIDGET, {"spec": {"a": 2}}),
    ),
    case(
        "status apart from the rest",
        definition(version(subresources={"status": {}})),
        post(WIDGETS, widget(spec={"a": 1}, status={"b": 1})),
        patch(WIDGET, {"status": {"b": 2}}),
        patch(f"{WIDGET}/status", {"spec": {"a": 5}, "status": {"b": 3}}),
        patch(f"{WIDGET}/status", {"metadata": {"labels": {"a": "b"}}, "other": 1}),
        get(f"{WIDGET}/status"),
        patch(WIDGET, {"spec": {"a": 2}, "status": None}),
        put(f"{WIDGET}/status", widget(status={"b": 9})),
        put(WIDGET, widget(spec={"a": 7})),
        get(f"{WIDGET}/scale"),
    ),
    case(
        "status is checked by its schema",
        definition(
            version(
                schema={
                    "type": "object",
                    "properties": {
                        "spec": {**_object(a=_TEXT), "required": ["a"]},
                        "status": {**_object(b=_WHOLE), "required": ["b"]},
                    },
                },
                subresources={"status": {}},
            )
        ),
        post(WIDGETS, widget(spec={"a": "x"}, status={"b": "no"})),
        patch(f"{WIDGET}/status", {"status": {"b": "no"}}),
        patch(f"{WIDGET}/status", {"status": {}}),
        patch(f"{WIDGET}/status", {"status": {"b": 1, "c": 2}}),
        patch(f"{WIDGET}/status", {"spec": {"a": 1}, "status": {"b": 2}}),
    ),
    case(
        "without a status subresource",
        definition(),
        post(WIDGETS, widget(status={"b": 1})),
        get(f"{WIDGET}/status"),
        patch(f"{WIDGET}/status", {"status": {"b": 2}}),
        patch(WIDGET, {"status": {"b": 2}}),
    ),
    case(
        "patches of all types",
        _STRICT,
        post(WIDGETS, widget(spec={"a": "a"})),
        patch(WIDGET, {"spec": {"a": "x"}}),
        patch(WIDGET, {"spec": {"b": None, "odd": 1}}),
        patch(WIDGET, [{"op": "replace", "path": "/spec/a", "value": "ab"}], JSON_PATCH),
        patch(WIDGET, [{"op": "replace", "path": "/spec/z/y", "value": 1}], JSON_PATCH),
        patch(WIDGET, {"spec": {"a": "ac"}}, STRATEGIC),
        patch(WIDGET, {"metadata": {"name": "b"}}),
        patch(f"{WIDGETS}/absent", {"spec": {}}),
    ),
    case(
        "apply",
        _STRICT,
        patch(
            f"{WIDGET}?fieldManager=one",
            widget(spec={"a": "ab", "list": [{"name": "x", "text": "1"}]}),
            APPLY,
        ),
        patch(f"{WIDGET}?fieldManager=two", widget(spec={"list": [{"name": "y"}]}), APPLY),
        patch(f"{WIDGET}?fieldManager=two", widget(spec={"a": "ac"}), APPLY),
        patch(f"{WIDGET}?fieldManager=one", widget(spec={"a": "x"}), APPLY),
        patch(f"{WIDGET}?fieldManager=one", widget(spec={"a": "ab"}), APPLY),
    ),
    case(
        "dry runs",
        _STRICT,
        post(f"{WIDGETS}?dryRun=All", widget(spec={"a": "a", "odd": 1})),
        get(WIDGET),
        post(WIDGETS, widget(spec={"a": "a"}), compare=False),
        patch(f"{WIDGET}?dryRun=All", {"spec": {"a": "ab"}}),
        patch(f"{WIDGET}?dryRun=All", {"spec": {"a": "x"}}),
        get(WIDGET),
        post(f"{WIDGETS}?dryRun=Some", widget("b")),
    ),
    case(
        "update without and with a stale version",
        _STRICT,
        post(WIDGETS, widget(spec={"a": "a"})),
        put(WIDGET, widget(spec={"a": "ab"})),
        put(
            WIDGET,
            {
                **widget(spec={"a": "ac"}),
                "metadata": {"name": "a", "resourceVersion": "{3.metadata.resourceVersion}"},
            },
        ),
        put(f"{WIDGETS}/absent", widget("absent")),
        put(f"{WIDGETS}/other", widget()),
    ),
    _ratcheted(
        "what was wrong may stay",
        {"a": "wrong", "b": "y"},
        {"spec": {"b": "z"}},
        {"spec": {"a": "still wrong"}},
        {"metadata": {"labels": {"a": "b"}}},
    ),
    _ratcheted(
        "what was there twice may stay",
        {"set": ["x", "x"]},
        {"spec": {"b": "z"}},
        {"spec": {"set": ["x", "x", "y"]}},
        {"spec": {"set": ["x", "y"]}},
        {"spec": {"set": ["x", "x", "y"]}},
    ),
]


_VALIDATION: Final = definition(
    version(schema=fields(a=_TEXT, deep=_object(b=_TEXT, c=_list(_object(d=_TEXT)))))
)
_ODD: Final[dict[str, Any]] = {"a": "x", "odd": 1, "deep": {"e": 2, "c": [{"f": 3}]}}


_CURRENT: Final = {"name": "a", "resourceVersion": "{9.metadata.resourceVersion}"}


#: a refused patch is told with the whole object, whose fields stand in another order
_PATCHED: Final = ("message", "details.causes.*.message")


def _strictness(level: str) -> Case:
    query = f"?fieldValidation={level}"
    duplicate = (
        '{"apiVersion":"{name}.example.com/v1","kind":"Widget","metadata":{"name":"d"},'
        '"spec":{"a":"x","a":"y"}}'
    )
    return case(
        f"field validation: {level}",
        _VALIDATION,
        post(WIDGETS + query, widget(spec=_ODD, top=1)),
        post(WIDGETS + query, duplicate),
        post(WIDGETS, widget(spec={"a": "x"}), compare=False),
        patch(WIDGET + query, {"spec": {"odd": 2}}, mask=_PATCHED),
        patch(WIDGET + query, {"spec": {"a": 1, "odd": 2}}, mask=_PATCHED),
        patch(
            WIDGET + query,
            [{"op": "add", "path": "/spec/odd", "value": 1}],
            JSON_PATCH,
            mask=_PATCHED,
        ),
        get(WIDGET, compare=False),
        put(WIDGET + query, {**widget(spec=_ODD), "metadata": _CURRENT}),
        post(WIDGETS + query, {**widget("m"), "metadata": {"name": "m", "odd": 1}}),
    )


CASES: Final[list[Case]] = [
    *(_tried(name, *tried) for name, tried in _VALUES.items()),
    *_WRITES,
    *(_strictness(level) for level in ("Ignore", "Warn", "Strict", "Other")),
]
