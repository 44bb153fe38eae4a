"""The resources of a pod's containers, written through `resize`."""

from __future__ import annotations

from typing import Any, Final

from tests.conformance.case import JSON_PATCH, STRATEGIC, Case, Step, get, patch, post, put

_PODS: Final = "/api/v1/namespaces/{ns}/pods"
_RESIZE: Final = f"{_PODS}/a/resize"
_CPU: Final = {"requests": {"cpu": "1"}}
_ALL: Final = {
    "requests": {"cpu": "1", "memory": "1Gi"},
    "limits": {"cpu": "1", "memory": "1Gi"},
}
_KEPT: Final = {"schedulerName": "nobody", "automountServiceAccountToken": False}
#: one that is there while the others run
_SIDECAR: Final = {"name": "s", "image": "i", "restartPolicy": "Always", "resources": _CPU}
_FIRST: Final = {"name": "f", "image": "i", "resources": _CPU}


def _made(resources: dict[str, Any], *first: dict[str, Any]) -> Step:
    container = {"name": "c", "image": "i", "resources": resources}
    spec = {"containers": [container], "initContainers": list(first), **_KEPT}
    return post(_PODS, {"metadata": {"name": "a"}, "spec": spec}, compare=False)


def _container(name: str = "c", **fields: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": name, **fields}]}}


def _case(name: str, before: dict[str, Any], after: dict[str, Any]) -> Case:
    body = _container(resources=after)
    return Case(f"resizing: {name}", [_made(before), patch(_RESIZE, body, STRATEGIC)])


def _first(name: str, after: dict[str, Any]) -> Case:
    body = {"spec": {"initContainers": [after]}}
    made = _made(_CPU, _SIDECAR, _FIRST)
    return Case(f"resizing: {name}", [made, patch(_RESIZE, body, STRATEGIC)])


CASES: Final = [
    _case("more of what is asked for", _CPU, {"requests": {"cpu": "2"}}),
    _case("less of what is asked for", _CPU, {"requests": {"cpu": "500m"}}),
    _case("nothing new", _CPU, {}),
    _case("a limit", _CPU, {"limits": {"cpu": "2"}}),
    _case("a limit below what is asked for", _CPU, {"limits": {"cpu": "500m"}}),
    _case("something else", _CPU, {"requests": {"ephemeral-storage": "1Gi"}}),
    _case("more memory as well", _CPU, {"requests": {"memory": "1Gi"}}),
    _case("no requests", _CPU, {"requests": None}),
    _case("no request of cpu", _CPU, {"requests": {"cpu": None}}),
    _case("no resources", _CPU, {"$patch": "replace"}),
    _case("less than nothing", _CPU, {"requests": {"cpu": "-1"}}),
    _case("no quantity", _CPU, {"requests": {"cpu": "x"}}),
    _case("to guaranteed", _CPU, _ALL),
    _case("from best effort", {}, _CPU),
    _case("from best effort to nothing", {}, {"requests": {"cpu": "0"}}),
    _case("of guaranteed", _ALL, {"requests": {"cpu": "2"}, "limits": {"cpu": "2"}}),
    _case("from guaranteed", _ALL, {"requests": {"cpu": "500m"}}),
    _case("no limit of memory", _ALL, {"limits": {"memory": None}}),
    _first("of a sidecar", {"name": "s", "resources": {"requests": {"cpu": "2"}}}),
    _first(
        "of storage for a sidecar", {"name": "s", "resources": {"limits": {"hugepages-2Mi": "2Mi"}}}
    ),
    _first(
        "of a container that comes first", {"name": "f", "resources": {"requests": {"cpu": "2"}}}
    ),
    Case(
        "resizing: what is none",
        [
            _made(_CPU),
            patch(_RESIZE, _container(image="other"), STRATEGIC),
            patch(_RESIZE, {"spec": {"activeDeadlineSeconds": 5}}, STRATEGIC),
            patch(_RESIZE, {"metadata": {"labels": {"a": "b"}}}, STRATEGIC),
            patch(_RESIZE, {"status": {"phase": "Running"}}, STRATEGIC),
            get(f"{_PODS}/a"),
        ],
    ),
    Case(
        "resizing: other containers",
        [
            _made(_CPU),
            patch(_RESIZE, _container("d", image="i"), STRATEGIC),
            patch(
                _RESIZE,
                [{"op": "replace", "path": "/spec/containers/0/name", "value": "d"}],
                JSON_PATCH,
            ),
            patch(_RESIZE, [{"op": "remove", "path": "/spec/containers/0"}], JSON_PATCH),
        ],
    ),
    Case(
        "resizing: the whole pod",
        [
            _made(_CPU),
            put(
                _RESIZE,
                {
                    "metadata": {"name": "a"},
                    "spec": {
                        "containers": [
                            {"name": "c", "image": "j", "resources": {"requests": {"cpu": "3"}}}
                        ]
                    },
                },
            ),
            get(_RESIZE),
        ],
    ),
]
