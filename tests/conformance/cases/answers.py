"""How answers look: media types, partial objects, lists in parts, and what is refused."""

from __future__ import annotations

from typing import Any, Final

from tests.conformance.case import JSON_PATCH, Case, Step, delete, get, patch, post, watch

_ALL: Final = "/api/v1/namespaces/{ns}/configmaps"
_ONE: Final = _ALL + "/a"
_YAML: Final = "application/yaml"
_PROTOBUF: Final = "application/vnd.kubernetes.protobuf"
_PARTIAL: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_PARTIALS: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_TABLE: Final = "application/json;as=Table;g=meta.k8s.io;v=v1"
#: prose of the columns is the fake's own
_DESCRIPTIONS: Final = ("columnDefinitions.*.description",)
#: not what controllers make in their own time
_SELECTED: Final = "labelSelector=case"


def _map(name: str = "a", **data: str) -> dict[str, Any]:
    metadata = {"name": name, "labels": {"case": "x"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


_TEXTS: Final = {
    "number": "1",
    "truth": "yes",
    "letter": "n",
    "nothing": "",
    "null": "null",
    "time": "2001-01-01",
    "lines": "a\nb\n",
    "colon": "a: b",
    "plain": "text",
}
_MAKE: Final = post(_ALL, _map(**_TEXTS))
_MAKE_PLAIN: Final = post(_ALL, _map(x="1"))
_THREE: Final = [post(_ALL, _map(name, x="1"), compare=False) for name in "abc"]


def _list(query: str, accept: str = "application/json") -> Step:
    return get(f"{_ALL}?{_SELECTED}{query}", accept=accept)


def _refused_list(query: str) -> Case:
    return Case(f"answers: list with {query}", [get(f"{_ALL}?{query}")])


def _refused_watch(query: str) -> Case:
    return Case(f"answers: watch with {query}", [get(f"{_ALL}?watch=true&{query}")])


def _accepted(accept: str) -> Case:
    return Case(
        f"answers: object and list as {accept}",
        [
            _MAKE,
            get(_ONE, accept=accept, mask=_DESCRIPTIONS),
            get(f"{_ALL}?{_SELECTED}", accept=accept, mask=_DESCRIPTIONS),
        ],
    )


CASES: Final[list[Case]] = [
    *map(
        _accepted,
        [
            "*/*",
            "application/*",
            "text/html",
            "text/html, */*;q=0.1",
            _YAML,
            _PROTOBUF,
            _PARTIAL,
            _PARTIALS,
            _TABLE,
            "application/json;as=Other;g=meta.k8s.io;v=v1",
            f"{_TABLE}, application/json",
            "application/yaml;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
            f"{_PROTOBUF};as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
            f"{_PROTOBUF};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
        ],
    ),
    Case("answers: refusal as YAML", [get(_ONE, accept=_YAML)]),
    Case("answers: refusal as protobuf", [get(_ONE, accept=_PROTOBUF)]),
    Case("answers: refusal as a partial object", [get(_ONE, accept=_PARTIAL)]),
    Case("answers: refusal as text", [get(_ONE, accept="text/html")]),
    Case("answers: created as YAML", [post(_ALL, _map(x="1"), accept=_YAML)]),
    Case("answers: created as a partial object", [post(_ALL, _map(x="1"), accept=_PARTIAL)]),
    Case("answers: deleted as YAML", [_MAKE, delete(_ONE, accept=_YAML)]),
    Case("answers: deleted as a partial object", [_MAKE, delete(_ONE, accept=_PARTIAL)]),
    Case(
        "answers: watch of partial objects",
        [
            _MAKE_PLAIN,
            watch(f"{_ALL}?{_SELECTED}", 1, accept=_PARTIAL),
        ],
    ),
    Case("answers: watch as YAML", [get(f"{_ALL}?watch=true&{_SELECTED}", accept=_YAML)]),
    Case(
        "answers: list in parts",
        [
            *_THREE,
            _list("&limit=2"),
            _list("&limit=2&continue={3.metadata.continue}"),
        ],
    ),
    Case("answers: partial list in parts", [*_THREE, _list("&limit=2", _PARTIALS)]),
    *map(
        _refused_list,
        [
            "limit=x",
            "limit=-1",
            "limit=99999999999999999999",
            "timeoutSeconds=x",
            "resourceVersion=x",
            "resourceVersion=-1",
            "resourceVersionMatch=Exact",
            "resourceVersionMatch=Other&resourceVersion=1",
            "resourceVersionMatch=Exact&resourceVersion=0",
            "sendInitialEvents=true",
            "continue=x",
            "continue=e30",
            "labelSelector=a in",
            "fieldSelector=a.b=c",
        ],
    ),
    *map(
        _refused_watch,
        [
            "timeoutSeconds=x",
            "resourceVersion=x",
            "resourceVersionMatch=NotOlderThan",
            "sendInitialEvents=true",
            "sendInitialEvents=true&resourceVersionMatch=Exact",
            "labelSelector=a in",
        ],
    ),
    Case("answers: get at a version that is none", [_MAKE, get(f"{_ONE}?resourceVersion=x")]),
    Case("answers: delete with an empty object", [_MAKE, delete(_ONE, {})]),
    Case(
        "answers: delete with options that name no kind",
        [
            _MAKE,
            delete(_ONE, {"propagationPolicy": "Background"}),
        ],
    ),
    Case(
        "answers: delete a collection without options",
        [
            _MAKE_PLAIN,
            delete(f"{_ALL}?{_SELECTED}"),
        ],
    ),
    Case(
        "answers: body of an unknown format",
        [
            post(_ALL, "x", content_type="text/plain"),
            patch(_ONE, {}, "application/json"),
        ],
    ),
    Case(
        "answers: a patch that is none",
        [
            _MAKE_PLAIN,
            patch(_ONE, [{"op": "test", "path": "/data/x", "value": "2"}], JSON_PATCH),
            patch(_ONE, [{"op": "remove", "path": "/data/y"}], JSON_PATCH),
        ],
    ),
    Case(
        "answers: watch of one by its old path",
        [get("/api/v1/watch/nodes/a?fieldSelector=metadata.name=b")],
    ),
    Case("answers: write to an old watch", [post("/api/v1/watch/nodes", {})]),
    Case(
        "answers: list of a version to come",
        [get(f"{_ALL}?resourceVersion=999999999", mask=("message",))],
    ),
    Case(
        "answers: watch of a state to come",
        [
            watch(
                f"{_ALL}?sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=999999999",
                1,
                mask=("*.object.message",),
            )
        ],
    ),
    Case(
        "answers: delete with options that make no sense",
        [_MAKE_PLAIN, delete(_ONE, {"propagationPolicy": "Other"})],
    ),
    Case("answers: pretty", [_MAKE, get(f"{_ONE}?pretty=true")]),
]
