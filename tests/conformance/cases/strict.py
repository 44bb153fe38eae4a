"""Fields that a kind does not have, fields given twice, values of another type: fieldValidation."""

from __future__ import annotations

from typing import Any, Final

from tests.conformance.case import (
    JSON,
    JSON_PATCH,
    MERGE,
    STRATEGIC,
    Case,
    get,
    patch,
    post,
    put,
)

_MAPS: Final = "/api/v1/namespaces/{ns}/configmaps"
_PODS: Final = "/api/v1/namespaces/{ns}/pods"
_DEPLOYMENTS: Final = "/apis/apps/v1/namespaces/{ns}/deployments"
_DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_YAML: Final = "application/yaml"
_DIRECTIVES: Final = ("", "Warn", "Strict", "Ignore")
#: the patched object, which has names and times of its own
_PATCHED: Final = ("message", "details.causes.*.message")

_POD: Final = {
    "metadata": {"name": "p"},
    "spec": {
        "automountServiceAccountToken": False,
        "containers": [{"name": "c", "image": "i"}],
        "schedulerName": "nobody",  # a bound pod cannot be updated so
        "serviceAccountName": "default",
    },
}
#: what is sent -> path, body, content type
_BODIES: Final[dict[str, tuple[str, Any, str]]] = {
    "unknown fields": (_MAPS, {"metadata": {"name": "a", "bar": {}}, "foo": {"x": 1}}, JSON),
    "a field of another case": (_MAPS, {"metadata": {"name": "a"}, "Data": {"a": "b"}}, JSON),
    "a field given twice": (_MAPS, '{"metadata":{"name":"a"},"data":{},"data":{"k":"v"}}', JSON),
    "a key given twice": (
        _MAPS,
        '{"metadata":{"name":"a","labels":{"x":"1","x":"2"}},"data":{"k":"v","k":"w","k":"v"}}',
        JSON,
    ),
    "a mix": (_MAPS, '{"foo":1,"metadata":{"name":"a","name":"a"},"foo":2,"bar":{}}', JSON),
    "unknown fields far inside": (
        _PODS,
        {
            "metadata": {"name": "p", "ownerReferences": []},
            "spec": {
                "foo": 1,
                "automountServiceAccountToken": False,
                "containers": [
                    {"name": "c", "image": "i", "port": 1},
                    {
                        "name": "d",
                        "image": "i",
                        "env": [{"name": "A", "valu": "b"}],
                        "resources": {"requests": {"cpu": "1"}, "limit": {}},
                    },
                ],
                "volumes": [{"name": "v", "configMap": {"name": "x", "itms": []}}],
            },
            "status": {"foo": 1},
        },
        JSON,
    ),
    "an unknown field and a value of another type": (
        _MAPS,
        {"metadata": {"name": "a"}, "data": {"a": 1}, "foo": 1},
        JSON,
    ),
    "unknown fields in YAML": (
        _MAPS,
        "zoo: 1\nfoo: {a: 1}\nmetadata:\n  name: a\n  x: 1\ndata: {k: v}\n",
        _YAML,
    ),
    "keys given twice in YAML": (
        _MAPS,
        "metadata:\n  name: a\ndata:\n  k: v\n  k: w\nfoo: 1\nmetadata:\n  name: a\n",
        _YAML,
    ),
    "many unknown fields": (
        _MAPS,
        {"metadata": {"name": "a"}, **{f"{'x' * 60}{number}": 1 for number in range(110)}},
        JSON,
    ),
    "a status of its own": (
        _DEPLOYMENTS,
        {
            "metadata": {"name": "d"},
            "spec": {
                "selector": {"matchLabels": {"a": "b"}, "matchLabel": {}},
                "template": {
                    "metadata": {"labels": {"a": "b"}, "foo": "x"},
                    "spec": {"containers": [{"name": "c", "image": "i"}], "nodeNam": "x"},
                },
            },
        },
        JSON,
    ),
}
_PATCHES: Final[dict[str, tuple[Any, str]]] = {
    "unknown fields merged": ({"foo": 1, "metadata": {"bar": 2}, "aaa": None}, MERGE),
    "unknown fields merged strategically": ({"foo": 1, "metadata": {"bar": [2]}}, STRATEGIC),
    "unknown fields added": (
        [
            {"op": "add", "path": "/foo", "value": {"a": 1}},
            {"op": "add", "path": "/metadata/bar", "value": 1, "extra": True},
        ],
        JSON_PATCH,
    ),
    "an operation given twice": ('[{"op":"add","op":"add","path":"/data","value":{}}]', JSON_PATCH),
    "a field given twice": ('{"data":{"a":"b","a":"c"}}', MERGE),
    "a field given twice, strategically": ('{"data":{"a":"b","a":"c"}}', STRATEGIC),
    "a value of another type": ({"data": {"a": 1}}, MERGE),
    "a value of another type, strategically": ({"data": {"a": 1}}, STRATEGIC),
    "a label of another type": ({"metadata": {"labels": {"a": 1}}}, MERGE),
    "data of another type": ([{"op": "replace", "path": "/data", "value": "x"}], JSON_PATCH),
    "nothing unknown": ({"data": {"a": "b"}}, MERGE),
}
_TEMPLATES: Final = "/api/v1/namespaces/{ns}/podtemplates"
#: parts of a pod's spec that are of another type
_OTHER_TYPES: Final[tuple[Any, ...]] = (
    "x",
    1,
    [],
    {"activeDeadlineSeconds": "x"},
    {"activeDeadlineSeconds": 1.5},
    {"activeDeadlineSeconds": True},
    {"activeDeadlineSeconds": {}},
    {"hostNetwork": "x"},
    {"hostNetwork": 1},
    {"schedulerName": 1},
    {"schedulerName": 1.5},
    {"schedulerName": True},
    {"schedulerName": {}},
    {"nodeSelector": "x"},
    {"nodeSelector": []},
    {"nodeSelector": {"a": 1}},
    {"containers": "x"},
    {"containers": {}},
    {"containers": [{"name": "a", "args": "x"}]},
    {"containers": [{"name": "a", "resources": {"requests": {"cpu": "x"}}}]},
)
_TEMPLATE: Final = {
    "metadata": {"name": "a"},
    "template": {"spec": {"containers": [{"name": "a", "image": "i"}]}},
}
_LEAF: Final = {"type": "string"}
_DEFINITION: Final[dict[str, Any]] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "tights.strict.example.com"},
    "spec": {
        "group": "strict.example.com",
        "scope": "Namespaced",
        "names": {
            "plural": "tights",
            "singular": "tight",
            "kind": "Tight",
            "listKind": "TightList",
        },
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "a": _LEAF,
                                    "list": {
                                        "type": "array",
                                        "items": {"type": "object", "properties": {"b": _LEAF}},
                                    },
                                    "map": {
                                        "type": "object",
                                        "additionalProperties": {
                                            "type": "object",
                                            "properties": {"c": _LEAF},
                                        },
                                    },
                                    "free": {
                                        "type": "object",
                                        "x-kubernetes-preserve-unknown-fields": True,
                                        "properties": {
                                            "bound": {"type": "object", "properties": {"d": _LEAF}}
                                        },
                                    },
                                },
                            },
                            "status": {"type": "object", "properties": {"e": _LEAF}},
                        },
                    }
                },
            }
        ],
    },
}
_TIGHTS: Final = "/apis/strict.example.com/v1/namespaces/{ns}/tights"
_TIGHT: Final[dict[str, Any]] = {
    "apiVersion": "strict.example.com/v1",
    "kind": "Tight",
    "metadata": {"name": "t", "mfoo": 1},
    "top": 1,
    "spec": {
        "zoo": {"x": 1},
        "a": "b",
        "list": [{"b": "1"}, {"b": "2", "bb": 1}],
        "map": {"k": {"c": "1", "cc": 1}},
        "free": {"any": {"thing": 1}, "bound": {"d": "x", "dd": 1}},
    },
}
_PLAIN: Final = {**_TIGHT, "metadata": {"name": "t"}, "spec": {"a": "b"}}
_TWICE: Final = (
    '{"apiVersion":"strict.example.com/v1","kind":"Tight","metadata":{"name":"t","name":"t"},'
    '"spec":{"a":"b","a":"c","x":{"y":1,"y":2}}}'
)


def _ways(name: str, steps: Any) -> list[Case]:
    """Make a case for every directive."""
    return [
        Case(f"strict: {name} ({directive or 'unsaid'})", steps(_query(directive)))
        for directive in _DIRECTIVES
    ]


def _query(directive: str) -> str:
    return f"?fieldValidation={directive}" if directive else ""


def _custom_steps(directive: str) -> list[Any]:
    query = _query(directive)
    plain = {key: value for key, value in _PLAIN.items() if key != "top"}
    return [
        post(_TIGHTS + query, _TIGHT),
        get(f"{_TIGHTS}/t"),
        post(_TIGHTS + query, _TWICE.replace('"t"', '"u"')),
        post(_TIGHTS, {**plain, "metadata": {"name": "v"}}, compare=False),
        patch(f"{_TIGHTS}/v{query}", {"spec": {"zoo": 1}, "metadata": {"foo": 1}}, mask=_PATCHED),
        patch(f"{_TIGHTS}/v/status{query}", {"status": {"e": "f", "ee": 1}}, mask=_PATCHED),
        patch(
            f"{_TIGHTS}/v{query}",
            [{"op": "add", "path": "/spec/list", "value": [{"x": 1}]}],
            JSON_PATCH,
            mask=_PATCHED,
        ),
        patch(f"{_TIGHTS}/v{query}", '{"spec":{"a":"b","a":"c"}}', mask=_PATCHED),
        get(f"{_TIGHTS}/v"),
    ]


CASES: Final[list[Case]] = [
    *(
        case
        for name, (path, body, content_type) in _BODIES.items()
        for case in _ways(
            name,
            lambda query, path=path, body=body, content_type=content_type: [
                post(path + query, body, content_type=content_type)
            ],
        )
    ),
    *(
        case
        for name, (body, content_type) in _PATCHES.items()
        for case in _ways(
            f"patch with {name}",
            lambda query, body=body, content_type=content_type: [
                post(_MAPS, {"metadata": {"name": "a"}, "data": {"k": "v"}}, compare=False),
                patch(f"{_MAPS}/a{query}", body, content_type, mask=_PATCHED),
                get(f"{_MAPS}/a"),
            ],
        )
    ),
    Case(
        "strict: patches that break a type, strategically",
        [
            post(_TEMPLATES, _TEMPLATE, compare=False),
            *(
                patch(f"{_TEMPLATES}/a", {"template": {"spec": part}}, STRATEGIC)
                for part in _OTHER_TYPES
            ),
        ],
    ),
    *_ways(
        "update with unknown fields",
        lambda query: [
            post(_PODS, _POD, compare=False),
            put(f"{_PODS}/p{query}", {**_POD, "foo": 1, "status": {"bar": 1}}),
            patch(f"{_PODS}/p/status{query}", {"status": {"bar": 1}, "foo": 1}, mask=_PATCHED),
            patch(
                f"{_PODS}/p{query}",
                {"spec": {"containers": [{"name": "c", "image": "j", "odd": 1}]}},
                STRATEGIC,
                mask=_PATCHED,
            ),
        ],
    ),
    *_ways(
        "update of what is not there",
        lambda query: [put(f"{_MAPS}/a{query}", {"metadata": {"name": "a"}, "foo": 1})],
    ),
    *_ways(
        "a scale",
        lambda query: [
            post(
                _DEPLOYMENTS,
                {
                    "metadata": {"name": "d"},
                    "spec": {
                        "replicas": 0,
                        "selector": {"matchLabels": {"a": "b"}},
                        "template": {
                            "metadata": {"labels": {"a": "b"}},
                            "spec": {"containers": [{"name": "c", "image": "i"}]},
                        },
                    },
                },
                compare=False,
            ),
            put(
                f"{_DEPLOYMENTS}/d/scale{query}",
                {"metadata": {"name": "d"}, "spec": {"replicas": 0, "foo": 1}},
                mask=("status",),
            ),
        ],
    ),
    *_ways(
        "a review",
        lambda query: [
            post(
                f"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews{query}",
                {"spec": {"resourceAttributes": {"verb": "get", "resorce": "pods"}}},
            )
        ],
    ),
    Case(
        "strict: custom resources",
        [
            post(_DEFINITIONS, _DEFINITION, compare=False),
            get(_TIGHTS, until=lambda answer: answer.status == 200, compare=False),
            *(step for directive in _DIRECTIVES for step in _custom_steps(directive)),
        ],
        cleanup=(f"{_DEFINITIONS}/tights.strict.example.com",),
    ),
]
