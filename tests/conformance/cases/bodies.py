"""Bodies of requests, options of writes: what is taken, and how the rest is refused."""

from __future__ import annotations

from typing import Any, Final

from tests.conformance.case import (
    JSON,
    JSON_PATCH,
    MERGE,
    STRATEGIC,
    Case,
    delete,
    get,
    patch,
    post,
    put,
)

_ALL: Final = "/api/v1/namespaces/{ns}/configmaps"
_ONE: Final = _ALL + "/a"
_THINGS: Final = "/apis/bodies.example.com/v1/namespaces/{ns}/things"
_YAML: Final = "application/yaml"
_PROTOBUF: Final = "application/vnd.kubernetes.protobuf"
#: what libyaml says; Go's says it otherwise
_MESSAGE: Final = ("message",)
_MAKE: Final = post(
    _ALL,
    {"metadata": {"name": "a", "labels": {"case": "x"}}, "data": {"k": "v"}},
    compare=False,
)
_RAW: Final[dict[str, tuple[str | bytes, str]]] = {
    "nothing": ("", JSON),
    "an open brace": ("{", JSON),
    "half a member": ('{"a":1', JSON),
    "no colon": ('{"a" 1}', JSON),
    "a comma too many": ('{"a":1,}', JSON),
    "a comma too few": ('{"a":1 "b":2}', JSON),
    "a list with a comma too few": ('{"a":[1 2]}', JSON),
    "a second value": ("{} {}", JSON),
    "a word": ("xyz", JSON),
    "a broken word": ('{"a":trux}', JSON),
    "a number with a zero before it": ('{"a":01}', JSON),
    "a number without digits": ('{"a":-}', JSON),
    "a number without a fraction": ('{"a":1.}', JSON),
    "a number without an exponent": ('{"a":1e}', JSON),
    "a control character": ('{"a":"\x01"}', JSON),
    "an unknown escape": ('{"a":"\\x"}', JSON),
    "a broken escape": ('{"a":"\\u12g4"}', JSON),
    "a key that is no text": ("{1:2}", JSON),
    "null": ("null", JSON),
    "a list": ("[]", JSON),
    "a text": ('"x"', JSON),
    "a long text that is no JSON": ("x" * 50, JSON),
    "no format": ('{"metadata":{"name":"x"}}', "text/plain"),
    "CBOR": ("x", "application/cbor"),
    "a patch": ("{}", MERGE),
    "a format that is none": ("{}", "a/b/c"),
    "a format with a broken parameter": ("{}", "application/json; x"),
    "a format with a parameter": ('{"metadata":{"name":"x"}}', "application/json; charset=utf-8"),
    "YAML that is a list": ("- a", _YAML),
    "YAML that is text": ("foo", _YAML),
    "YAML that is nothing": ("", _YAML),
    "YAML of an object": ("metadata: {name: x}\ndata: {k: 'yes'}\n", _YAML),
    "protobuf that is nothing": ("", _PROTOBUF),
    "protobuf that is text": ("abc", _PROTOBUF),
    "protobuf that is a magic alone": (b"k8s\0", _PROTOBUF),
    "protobuf that is cut off": (b"k8s\0\x0a\xff", _PROTOBUF),
}
_OBJECTS: Final[dict[str, dict[str, Any]]] = {
    "nothing": {},
    "a kind alone": {"kind": "ConfigMap", "metadata": {"name": "x"}},
    "a version alone": {"apiVersion": "v1", "metadata": {"name": "x"}},
    "another kind": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}},
    "a kind of another group": {"apiVersion": "apps/v1", "kind": "Deployment"},
    "a version that is none": {"apiVersion": "v2", "kind": "ConfigMap"},
    "an unknown group": {"apiVersion": "foo/v1", "kind": "Bar"},
    "an unknown kind": {"apiVersion": "v1", "kind": "Bar"},
    "a version with two slashes": {"apiVersion": "a/b/c", "kind": "Bar"},
    "a version that is a number": {"apiVersion": 1, "kind": "ConfigMap"},
    "a kind that is a list": {"apiVersion": "v1", "kind": []},
    "a List": {"apiVersion": "v1", "kind": "List", "items": []},
    "a list of the kind": {"apiVersion": "v1", "kind": "ConfigMapList", "items": []},
    "another namespace": {"metadata": {"name": "x", "namespace": "elsewhere"}},
    "no name": {"metadata": {}},
    "a name that is a number": {"metadata": {"name": 5}},
    "metadata that is text": {"metadata": "x"},
    "a label that is a number": {"metadata": {"name": "x", "labels": {"a": 1}}},
    "labels that are a list": {"metadata": {"name": "x", "labels": ["a"]}},
    "a label that is null": {"metadata": {"name": "x", "labels": {"a": None}}},
    "finalizers that are text": {"metadata": {"name": "x", "finalizers": "a"}},
    "a finalizer that is a number": {"metadata": {"name": "x", "finalizers": [1]}},
    "an owner that is text": {"metadata": {"name": "x", "ownerReferences": ["a"]}},
    "an owner whose uid is a number": {"metadata": {"name": "x", "ownerReferences": [{"uid": 1}]}},
    "an unknown field of metadata": {"metadata": {"name": "x", "foo": "bar"}},
    "an unknown field": {"metadata": {"name": "x"}, "foo": "bar"},
    "data that is text": {"metadata": {"name": "x"}, "data": "str"},
    "data that is a number": {"metadata": {"name": "x"}, "data": {"a": 1}},
    "a version of its own": {"metadata": {"name": "x", "resourceVersion": "5"}},
}
_UPDATES: Final[dict[str, Any]] = {
    "nothing": "",
    "no object": {},
    "another name": {"metadata": {"name": "x"}},
    "no name": {"metadata": {}},
    "another namespace": {"metadata": {"name": "a", "namespace": "elsewhere"}},
    "an old version": {"metadata": {"name": "a", "resourceVersion": "1"}},
    "a version that is none": {"metadata": {"name": "a", "resourceVersion": "abc"}},
    "another kind": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}},
    "no version": {"metadata": {"name": "a"}, "data": {"k": "w"}},
}
_PATCHES: Final[dict[str, tuple[Any, str]]] = {
    "nothing": ("", MERGE),
    "no JSON": ("{", MERGE),
    "a list for a merge patch": ([], MERGE),
    "a text for a merge patch": ('"x"', MERGE),
    "null for a merge patch": ("null", MERGE),
    "nothing for a strategic patch": ("", STRATEGIC),
    "a list for a strategic patch": ([], STRATEGIC),
    "null for a strategic patch": ("null", STRATEGIC),
    "nothing for a JSON patch": ("", JSON_PATCH),
    "an object for a JSON patch": ({}, JSON_PATCH),
    "null for a JSON patch": ("null", JSON_PATCH),
    "no operations": ([], JSON_PATCH),
    "an operation that is none": ([{}], JSON_PATCH),
    "an unknown operation": ([{"op": "foo", "path": "/x"}], JSON_PATCH),
    "a path without a slash": ([{"op": "add", "path": "x", "value": 1}], JSON_PATCH),
    "a path through nothing": ([{"op": "add", "path": "/x/y", "value": 1}], JSON_PATCH),
    "a replaced nothing": ([{"op": "replace", "path": "/x", "value": 1}], JSON_PATCH),
    "a moved nothing": ([{"op": "move", "from": "/x", "path": "/a"}], JSON_PATCH),
    "a copied nothing": ([{"op": "copy", "from": "/x", "path": "/a"}], JSON_PATCH),
    "an added nothing": ([{"op": "add", "path": "/data"}], JSON_PATCH),
    "another name": ({"metadata": {"name": "q"}}, MERGE),
    "another namespace": ({"metadata": {"namespace": "q"}}, MERGE),
    "an old version": ({"metadata": {"resourceVersion": "1"}}, MERGE),
    "a version that is none": ({"metadata": {"resourceVersion": "abc"}}, MERGE),
    "an unknown field": ({"foo": 5}, MERGE),
    "too many operations": (
        [{"op": "test", "path": "/metadata/name", "value": "a"}] * 10_001,
        JSON_PATCH,
    ),
}
_WRITE_OPTIONS: Final = (
    "dryRun=All",
    "dryRun=Some",
    "dryRun=",
    f"fieldManager={'x' * 129}",
    "fieldManager=%07",
    "fieldValidation=Other",
    "foo=bar",
)
_DELETES: Final[dict[str, Any]] = {
    "no JSON": "{",
    "a list": [],
    "null": "null",
    "another kind": {"kind": "Pod", "apiVersion": "v1"},
    "an unknown kind": {"kind": "Foo", "apiVersion": "v1"},
    "a dry run": {"dryRun": ["All"]},
    "a dry run that is none": {"dryRun": ["Some"]},
    "a dry run that is text": {"dryRun": "All"},
    "options of a group": {"kind": "DeleteOptions", "apiVersion": "apps/v1"},
    "an unknown policy": {"propagationPolicy": "Other"},
    "a policy that is a number": {"propagationPolicy": 1},
    "two policies": {"propagationPolicy": "Orphan", "orphanDependents": True},
    "another uid": {"preconditions": {"uid": "abc"}},
    "another version": {"preconditions": {"resourceVersion": "1"}},
    "preconditions that are a list": {"preconditions": []},
    "a grace period that is text": {"gracePeriodSeconds": "a"},
    "foreground, tried": {"propagationPolicy": "Foreground", "dryRun": ["All"]},
    "orphans, tried": {"orphanDependents": True, "dryRun": ["All"]},
}
#: the record's version stands in the text
_MASKED: Final = {"another version": ("message",)}
_DELETE_QUERIES: Final = (
    "dryRun=All",
    "dryRun=Some",
    "propagationPolicy=Other",
    "propagationPolicy=Foreground&dryRun=All",
    "propagationPolicy=Background&orphanDependents=true",
    "gracePeriodSeconds=x",
    "gracePeriodSeconds=0",
)
_DEFINITION: Final[dict[str, Any]] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "things.bodies.example.com"},
    "spec": {
        "group": "bodies.example.com",
        "scope": "Namespaced",
        "names": {
            "plural": "things",
            "singular": "thing",
            "kind": "Thing",
            "listKind": "ThingList",
        },
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object"}},
            }
        ],
    },
}
_API: Final = "bodies.example.com/v1"
_CUSTOM: Final[dict[str, Any]] = {
    "nothing": "",
    "null": "null",
    "no kind": {"metadata": {"name": "x"}},
    "no version": {"kind": "Thing", "metadata": {"name": "x"}},
    "another version": {"kind": "Thing", "apiVersion": "bodies.example.com/v2"},
    "another kind": {"kind": "Foo", "apiVersion": _API, "metadata": {"name": "x"}},
    "a built-in kind": {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "x"}},
    "a name that is a number": {"kind": "Thing", "apiVersion": _API, "metadata": {"name": 5}},
    "a label that is a number": {
        "kind": "Thing",
        "apiVersion": _API,
        "metadata": {"name": "x", "labels": {"a": 1}},
    },
}

CASES: Final[list[Case]] = [
    *(
        Case(f"bodies: create from {name}", [post(_ALL, body, content_type=content_type)])
        for name, (body, content_type) in _RAW.items()
    ),
    Case(
        "bodies: create from broken YAML",
        [post(_ALL, "a: [", content_type=_YAML, mask=_MESSAGE)],
    ),
    *(Case(f"bodies: create {name}", [post(_ALL, body)]) for name, body in _OBJECTS.items()),
    *(
        Case(f"bodies: update with {name}", [_MAKE, put(_ONE, body)])
        for name, body in _UPDATES.items()
    ),
    Case("bodies: update of nothing", [put(_ONE, {"metadata": {"name": "a"}})]),
    *(
        Case(f"bodies: patch with {name}", [_MAKE, patch(_ONE, body, content_type)])
        for name, (body, content_type) in _PATCHES.items()
    ),
    Case(
        "bodies: patch of nothing", [patch(_ONE, {}), patch(_ONE, "{"), patch(_ONE, [], JSON_PATCH)]
    ),
    *(
        Case(
            f"bodies: writes with {option[:24]}",
            [
                post(f"{_ALL}?{option}", {"metadata": {"name": "a"}, "data": {"k": "v"}}),
                _MAKE,
                put(f"{_ONE}?{option}", {"metadata": {"name": "a"}, "data": {"k": "w"}}),
                patch(f"{_ONE}?{option}", {"data": {"k": "z"}}),
                get(_ONE),
            ],
        )
        for option in _WRITE_OPTIONS
    ),
    Case("bodies: merge patch by force", [_MAKE, patch(f"{_ONE}?force=true", {})]),
    *(
        Case(
            f"bodies: delete with {name}",
            [_MAKE, delete(_ONE, body, mask=_MASKED.get(name, ())), get(_ONE)],
        )
        for name, body in _DELETES.items()
    ),
    *(
        Case(f"bodies: delete?{query}", [_MAKE, delete(f"{_ONE}?{query}"), get(_ONE)])
        for query in _DELETE_QUERIES
    ),
    Case("bodies: delete in every namespace", [delete("/api/v1/configmaps")]),
    Case(
        "bodies: delete some of a collection",
        [
            *(post(_ALL, {"metadata": {"name": n, "labels": {"c": "x"}}}) for n in "abc"),
            delete(f"{_ALL}?labelSelector=c&limit=2"),
            get(f"{_ALL}?labelSelector=c"),
        ],
    ),
    Case(
        "bodies: try to delete a collection",
        [_MAKE, delete(f"{_ALL}?dryRun=All&labelSelector=case"), get(_ONE)],
    ),
    Case("bodies: post to an object", [post(_ONE, {"metadata": {"name": "a"}})]),
    Case("bodies: put to a collection", [put(_ALL, {"metadata": {"name": "a"}})]),
    Case(
        "bodies: post in every namespace", [post("/api/v1/configmaps", {"metadata": {"name": "a"}})]
    ),
    Case(
        "bodies: custom resources",
        [
            post(
                "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
                _DEFINITION,
                compare=False,
            ),
            get(_THINGS, until=lambda answer: answer.status == 200),
            *(post(_THINGS, body) for body in _CUSTOM.values()),
            post(_THINGS, "x", content_type="text/plain"),
        ],
        cleanup=(
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.bodies.example.com",
        ),
    ),
]
