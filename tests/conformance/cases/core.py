"""Create, read, update, patch and delete, on the plainest kind there is."""

from __future__ import annotations

from typing import Any, Final

from tests.conformance.case import (
    JSON_PATCH,
    STRATEGIC,
    Case,
    delete,
    get,
    patch,
    post,
    put,
    watch,
)

_ALL: Final = "/api/v1/namespaces/{ns}/configmaps"
_ONE: Final = _ALL + "/a"


def _map(name: str = "a", labels: dict[str, str] | None = None, **data: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name}
    if labels:
        metadata["labels"] = labels
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    return {**body, "data": data} if data else body


_MAKE: Final = post(_ALL, _map(x="1"))

CASES: Final[list[Case]] = [
    Case("core: create, read, delete, read", [_MAKE, get(_ONE), delete(_ONE), get(_ONE)]),
    Case("core: create twice", [_MAKE, _MAKE]),
    Case(
        "core: an update that leaves out what a name was generated from",
        [
            post(_ALL, {"metadata": {"generateName": "a-"}}),
            put(f"{_ALL}/{{0.metadata.name}}", {"metadata": {"name": "{0.metadata.name}"}}),
        ],
    ),
    Case("core: create with a generated name", [post(_ALL, {"metadata": {"generateName": "a-"}})]),
    Case("core: create without a name", [post(_ALL, {"metadata": {}})]),
    Case("core: create with a name that is none", [post(_ALL, _map("No_Name"))]),
    Case(
        "core: create in an absent namespace",
        [
            post("/api/v1/namespaces/{name}/configmaps", _map()),
        ],
    ),
    Case(
        "core: create with another namespace in the body",
        [
            post(_ALL, {"metadata": {"name": "a", "namespace": "other"}}),
        ],
    ),
    Case(
        "core: create with a resource version",
        [
            post(_ALL, {"metadata": {"name": "a", "resourceVersion": "1"}}),
        ],
    ),
    Case("core: create as a dry run", [post(_ALL + "?dryRun=All", _map()), get(_ONE)]),
    Case("core: create from broken JSON", [post(_ALL, '{"metadata":')]),
    Case("core: create another kind", [post(_ALL, {**_map(), "kind": "Secret"})]),
    Case("core: update", [_MAKE, put(_ONE, _map(x="2"))]),
    Case(
        "core: update with a stale version",
        [
            _MAKE,
            put(_ONE, _map(x="2")),
            put(
                _ONE, {"metadata": {"name": "a", "resourceVersion": "{0.metadata.resourceVersion}"}}
            ),
        ],
    ),
    Case(
        "core: update with the current version",
        [
            _MAKE,
            put(
                _ONE, {"metadata": {"name": "a", "resourceVersion": "{0.metadata.resourceVersion}"}}
            ),
        ],
    ),
    Case("core: update of an absent object", [put(_ONE, _map())]),
    Case("core: update under another name", [_MAKE, put(_ONE, _map("b"))]),
    Case(
        "core: update with another uid",
        [
            _MAKE,
            put(_ONE, {"metadata": {"name": "a", "uid": "11111111-2222-3333-4444-555555555555"}}),
        ],
    ),
    Case("core: merge patch", [_MAKE, patch(_ONE, {"data": {"x": None, "y": "2"}})]),
    Case(
        "core: strategic merge patch",
        [
            _MAKE,
            patch(_ONE, {"metadata": {"labels": {"l": "1"}}}, STRATEGIC),
        ],
    ),
    Case(
        "core: JSON patch",
        [
            _MAKE,
            patch(_ONE, [{"op": "replace", "path": "/data/x", "value": "2"}], JSON_PATCH),
        ],
    ),
    Case(
        "core: JSON patch whose test fails",
        [
            _MAKE,
            patch(_ONE, [{"op": "test", "path": "/data/x", "value": "2"}], JSON_PATCH),
        ],
    ),
    Case("core: patch of an absent object", [patch(_ONE, {"data": {}})]),
    Case("core: delete of an absent object", [delete(_ONE)]),
    Case(
        "core: delete with another uid",
        [
            _MAKE,
            delete(_ONE, {"preconditions": {"uid": "11111111-2222-3333-4444-555555555555"}}),
        ],
    ),
    Case(
        "core: delete waits for finalizers",
        [
            post(_ALL, {"metadata": {"name": "a", "finalizers": ["example.com/hold"]}}),
            delete(_ONE),
            get(_ONE),
            patch(_ONE, {"metadata": {"finalizers": None}}),
            get(_ONE),
        ],
    ),
    Case(
        "core: list by label",
        [
            post(_ALL, _map("a", {"l": "1"})),
            post(_ALL, _map("b", {"l": "2"})),
            get(_ALL + "?labelSelector=l=2"),
            get(_ALL + "?labelSelector=l in (1,2),l!=2"),
        ],
    ),
    Case(
        "core: list by field",
        [
            post(_ALL, _map("a")),
            post(_ALL, _map("b")),
            get(_ALL + "?fieldSelector=metadata.name=b"),
            get(_ALL + "?fieldSelector=data.x=b"),
        ],
    ),
    Case(
        "core: list in pages",
        [
            post(_ALL, _map("a", {"l": "1"})),
            post(_ALL, _map("b", {"l": "1"})),
            post(_ALL, _map("c", {"l": "1"})),
            get(_ALL + "?limit=2&fieldSelector=metadata.name!=kube-root-ca.crt"),
            get(_ALL + "?limit=2&labelSelector=l=1"),
        ],
    ),
    Case(
        "core: watch from a version on",
        [
            _MAKE,
            patch(_ONE, {"data": {"x": "2"}}),
            delete(_ONE),
            watch(_ALL + "?resourceVersion={0.metadata.resourceVersion}", events=2),
        ],
    ),
    Case(
        "core: watch what happens while it is open",
        [
            watch(
                _ALL + "?fieldSelector=metadata.name=a",
                events=2,
                during=(_MAKE, delete(_ONE)),
            ),
        ],
    ),
    Case(
        "core: delete of all with a label",
        [
            post(_ALL, _map("a", {"l": "1"})),
            post(_ALL, _map("b", {"l": "2"})),
            delete(_ALL + "?labelSelector=l=1"),
            get(_ALL + "?labelSelector=l"),
        ],
    ),
    Case("core: an absent kind", [get("/api/v1/namespaces/{ns}/absent")]),
    Case("core: an absent group", [get("/apis/absent.example.com/v1/things")]),
]
