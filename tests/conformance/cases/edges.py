"""What few clients send: options given twice, large bodies, nulls that are applied, deprecated watches."""

from __future__ import annotations

import json
from typing import Any, Final

from tests.conformance.case import (
    APPLY,
    JSON_PATCH,
    Case,
    Step,
    delete,
    get,
    patch,
    post,
    put,
    watch,
)
from tests.conformance.definitions import (
    GROUP,
    ONE,
    WIDGET,
    WIDGETS,
    definition,
    fields,
    served,
    version,
    widget,
)

_MAPS: Final = "/api/v1/namespaces/{ns}/configmaps"
_MAP: Final = {"metadata": {"name": "a"}}
_ENDPOINTS: Final = "/api/v1/namespaces/{ns}/endpoints"


def _twice(query: str) -> Case:
    return Case(
        f"edges: options {query}",
        [
            post(f"{_MAPS}?{query}", _MAP),
            post(_MAPS, _MAP, compare=False),
            put(f"{_MAPS}/a?{query}", {**_MAP, "data": {"a": "b"}}),
            patch(f"{_MAPS}/a?{query}", {"data": {"a": "c"}}),
            delete(f"{_MAPS}/a?{query}"),
        ],
    )


def _applied(schema: dict[str, Any], value: str) -> Case:
    text = f"""\
apiVersion: {GROUP}/v1
kind: Widget
metadata: {{name: a}}
spec: {value}
"""
    return Case(
        f"edges: applied {value} to {json.dumps(schema)}",
        [
            *served(definition(version(schema=fields(a=schema, b={"type": "string"})))),
            patch(f"{WIDGET}?fieldManager=m", text, content_type=APPLY),
            patch(f"{WIDGET}?fieldManager=m", text, content_type=APPLY),
            get(WIDGET),
            post(WIDGETS, text.replace("name: a", "name: b"), content_type="application/yaml"),
        ],
        (ONE,),
        managed_fields=True,
    )


_SCALED: Final = {
    "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
}
_TEXT: Final = {"type": "string"}
_OLD: Final = [version(schema=fields(a=_TEXT), deprecated=True)]
_LARGE: Final = "x" * 3 * 1024 * 1024


_GZIP: Final = {"Accept-Encoding": "gzip"}
_ANSWERS: Final = {
    size: {**_MAP, "data": {"a": "x" * 1024 * count}}
    for size, count in (("large", 130), ("small", 100))
}


def _large(name: str, *steps: Step) -> Case:
    return Case(f"edges: a large body, {name}", list(steps))


CASES: Final = [
    *(
        _twice(query)
        for query in (
            *("dryRun=All&dryRun=Some", "dryRun=Some&dryRun=All", "dryRun=All&dryRun=All"),
            *("dryRun=", "dryRun=All&dryRun=", "dryRun=Some"),
            *("fieldManager=a&fieldManager=b", "fieldValidation=Strict&fieldValidation=Odd"),
        )
    ),
    *(
        _applied(schema, value)
        for schema, value in (
            (_TEXT, "{a: null, b: x}"),
            (_TEXT | {"nullable": True}, "{a: null, b: x}"),
            (_TEXT | {"default": "d"}, "{a: null, b: x}"),
            (_TEXT | {"default": "d", "nullable": True}, "{a: null, b: x}"),
            ({"type": "object", "properties": {"c": _TEXT}}, "{a: null, b: x}"),
            ({"type": "object", "properties": {"c": _TEXT}}, "{a: {c: null}, b: x}"),
            ({"type": "array", "items": _TEXT}, "{a: null, b: x}"),
            ({"type": "array", "items": _TEXT}, "{a: [null], b: x}"),
            ({"type": "array", "items": _TEXT | {"nullable": True}}, "{a: [null], b: x}"),
            ({"type": "object", "additionalProperties": _TEXT}, "{a: {c: null}, b: x}"),
            ({"type": "object", "additionalProperties": _TEXT}, "{a: null, b: x}"),
            ({"x-kubernetes-preserve-unknown-fields": True}, "{a: null, b: x}"),
            ({"x-kubernetes-int-or-string": True}, "{a: null, b: x}"),
            (_TEXT, "null"),
        )
    ),
    *(
        Case(
            f"edges: replicas in {json.dumps(spec)}",
            [*served(definition(version(subresources=_SCALED))), post(WIDGETS, widget(spec=spec))],
            (ONE,),
        )
        for spec in (
            *({"replicas": "x"}, {"replicas": True}, {"replicas": 1.5}, {"replicas": {"a": [1]}}),
            *({"replicas": -1}, {"replicas": 1}, {}, "x"),
        )
    ),
    Case(
        "edges: a deprecated version",
        [
            *served(definition(*_OLD)),
            get(WIDGETS),
            post(WIDGETS, widget()),
            watch(f"{WIDGETS}?timeoutSeconds=1", 1),
            watch(f"{WIDGETS}?timeoutSeconds=1&fieldSelector=metadata.name=a", 1),
            delete(WIDGET),
            delete(WIDGETS),
        ],
        (ONE,),
    ),
    Case(
        "edges: a deprecated kind",
        [
            post(_ENDPOINTS, _MAP),
            watch(f"{_ENDPOINTS}?timeoutSeconds=1", 1),
            watch(
                f"{_ENDPOINTS}?timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
                1,
            ),
        ],
    ),
    *(
        Case(
            f"edges: a {size} answer for who accepts {encoding}",
            [post(_MAPS, body, compare=False), get(_MAPS, headers={"Accept-Encoding": encoding})],
        )
        for size, body in _ANSWERS.items()
        for encoding in ("gzip", "deflate, gzip", "gzip;q=0.5", "identity", "*")
    ),
    Case(
        "edges: large answers of writes in gzip",
        [
            post(_MAPS, _ANSWERS["large"], headers=_GZIP),
            patch(f"{_MAPS}/a", {"data": {"b": "c"}}, headers=_GZIP),
            patch(f"{_MAPS}/a", {"data": {"b": "d"}}, headers=_GZIP, accept="application/yaml"),
            get(f"{_MAPS}/a", headers=_GZIP, accept="application/vnd.kubernetes.protobuf"),
            delete(f"{_MAPS}/a", headers=_GZIP),
        ],
    ),
    _large("a post", post(_MAPS, {**_MAP, "data": {"a": _LARGE}})),
    _large(
        "an update",
        post(_MAPS, _MAP, compare=False),
        put(f"{_MAPS}/a", {**_MAP, "data": {"a": _LARGE}}),
    ),
    _large(
        "a patch", post(_MAPS, _MAP, compare=False), patch(f"{_MAPS}/a", {"data": {"a": _LARGE}})
    ),
    _large(
        "an apply",
        patch(
            f"{_MAPS}/a?fieldManager=m",
            {"apiVersion": "v1", "kind": "ConfigMap", **_MAP, "data": {"a": _LARGE}},
            content_type=APPLY,
        ),
    ),
    _large("a deletion", post(_MAPS, _MAP, compare=False), delete(f"{_MAPS}/a", {"a": _LARGE})),
    _large(
        "many operations",
        post(_MAPS, _MAP, compare=False),
        patch(f"{_MAPS}/a", [{"op": "test", "path": "/kind", "value": "x"}] * 10_001, JSON_PATCH),
    ),
    _large("a value", post(_MAPS, {**_MAP, "data": {"a": "x" * (1024 * 1024 + 1)}})),
    _large(
        "an annotation",
        post(_MAPS, {"metadata": {"name": "a", "annotations": {"a": "x" * (256 * 1024)}}}),
    ),
]
