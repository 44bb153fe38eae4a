"""Watches: first states, history, selections, bookmarks, and how a stream begins and ends."""

from __future__ import annotations

from typing import Any, Final

from tests.conformance.case import Case, Step, delete, get, patch, post, watch

_ALL: Final = "/api/v1/namespaces/{ns}/configmaps"
_NOT_OLDER: Final = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
_TABLE: Final = "application/json;as=Table;g=meta.k8s.io;v=v1"
_PARTIAL: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
#: numbers of versions stand in these texts
_VERSIONS: Final = ("*.object.message",)


def _make(name: str, **labels: str) -> Step:
    metadata = {"name": name, "labels": {"case": "x", **labels}}
    return post(_ALL, {"metadata": metadata, "data": {"k": "v"}}, compare=False)


def _label(name: str, **labels: str | None) -> Step:
    return patch(f"{_ALL}/{name}", {"metadata": {"labels": labels}}, compare=False)


def _watch(query: str, events: int, **options: Any) -> Step:
    return watch(f"{_ALL}?labelSelector=case&{query}&timeoutSeconds=5", events, **options)


def _after(step: int, query: str, events: int, **options: Any) -> Step:
    version = f"resourceVersion={{{step}.metadata.resourceVersion}}"
    return _watch(f"{version}&{query}", events, **options)


_HISTORY: Final = (_make("b"), _label("a", more="y"), delete(f"{_ALL}/a"))

CASES: Final[list[Case]] = [
    Case("watches: from no version", [_make("a"), _make("b"), _watch("", 2)]),
    Case("watches: from version 0", [_make("a"), _watch("resourceVersion=0", 1)]),
    Case("watches: history after a version", [_make("a"), *_HISTORY, _after(0, "", 3)]),
    Case("watches: changes as they come", [_make("a"), _after(0, "", 3, during=_HISTORY)]),
    Case(
        "watches: entering and leaving by labels",
        [
            _make("a"),
            watch(
                _ALL + "?labelSelector=tier=x&resourceVersion={0.metadata.resourceVersion}"
                "&timeoutSeconds=5",
                3,
                during=(_label("a", tier="x"), _label("a", more="y"), _label("a", tier=None)),
            ),
        ],
    ),
    Case(
        "watches: leaving is a deletion in the past too",
        [
            _make("a", tier="x"),
            _label("a", tier="y"),
            watch(
                _ALL + "?labelSelector=tier=x&resourceVersion={0.metadata.resourceVersion}"
                "&timeoutSeconds=5",
                1,
            ),
        ],
    ),
    Case(
        "watches: one by its name",
        [
            _make("a"),
            _make("b"),
            watch(f"{_ALL}?fieldSelector=metadata.name=b&timeoutSeconds=5", 1),
        ],
    ),
    Case(
        "watches: one by its old path",
        [_make("a"), watch("/api/v1/watch/namespaces/{ns}/configmaps/a?timeoutSeconds=5", 1)],
    ),
    Case(
        "watches: a collection by its old path",
        [
            _make("a"),
            watch(
                "/api/v1/watch/namespaces/{ns}/configmaps?labelSelector=case&timeoutSeconds=5", 1
            ),
        ],
    ),
    Case("watches: an object is no stream", [_make("a"), get(f"{_ALL}/a?watch=true")]),
    Case("watches: nothing to see", [watch(f"{_ALL}?labelSelector=none&timeoutSeconds=1", 1)]),
    Case(
        "watches: the first state ends with a bookmark",
        [_make("a"), _watch(f"{_NOT_OLDER}&allowWatchBookmarks=true", 2)],
    ),
    Case(
        "watches: so it does unasked",
        [_make("a"), _watch("allowWatchBookmarks=true", 2)],
    ),
    Case(
        "watches: no bookmark without asking",
        [_make("a"), watch(f"{_ALL}?labelSelector=case&{_NOT_OLDER}&timeoutSeconds=1", 2)],
    ),
    Case(
        "watches: bookmark of an empty state",
        [watch(f"{_ALL}?labelSelector=none&{_NOT_OLDER}&allowWatchBookmarks=true", 1)],
    ),
    Case(
        "watches: no first state",
        [
            _make("a"),
            watch(
                f"{_ALL}?labelSelector=case&sendInitialEvents=false"
                "&resourceVersionMatch=NotOlderThan&timeoutSeconds=5",
                1,
                during=(_make("b"),),
            ),
        ],
    ),
    Case("watches: a version long gone", [_watch("resourceVersion=1", 1, mask=_VERSIONS)]),
    Case(
        "watches: a version long gone, without a first state",
        [
            _watch(
                "sendInitialEvents=false&resourceVersionMatch=NotOlderThan&resourceVersion=1",
                1,
                mask=_VERSIONS,
            )
        ],
    ),
    Case(
        "watches: a first state from a version long gone",
        [_make("a"), _watch(f"{_NOT_OLDER}&resourceVersion=1", 1)],
    ),
    Case(
        "watches: a first state from a version to come",
        [_watch(f"{_NOT_OLDER}&resourceVersion=99999999999", 1, mask=_VERSIONS)],
    ),
    Case(
        "watches: as a Table",
        [
            _make("a"),
            _watch(
                "",
                1,
                accept=_TABLE,
                mask=("*.object.columnDefinitions.*.description",),
            ),
        ],
    ),
    Case(
        "watches: bookmark among partial objects",
        [_make("a"), _watch(f"{_NOT_OLDER}&allowWatchBookmarks=true", 2, accept=_PARTIAL)],
    ),
    *(
        Case(f"watches: refused with {query}", [get(f"{_ALL}?watch=true&{query}")])
        for query in (
            "resourceVersionMatch=Exact",
            "resourceVersionMatch=Other",
            "sendInitialEvents=false",
            "continue=abc",
            "fieldSelector=foo=bar",
            "timeoutSeconds=99999999999999999999",
            f"{_NOT_OLDER}&continue=abc",
        )
    ),
    Case("watches: a post to the old path", [post("/api/v1/watch/namespaces/{ns}/configmaps", {})]),
    *(
        Case(f"watches: watch={value} says yes", [watch(f"{_ALL}?watch={value}&{rest}", 1)])
        for value, rest in (
            ("1", "labelSelector=none&timeoutSeconds=1"),
            ("yes", "labelSelector=none&timeoutSeconds=1"),
        )
    ),
    *(
        Case(f"watches: watch={value} says no", [get(f"{_ALL}?labelSelector=none&watch={value}")])
        for value in ("0", "false", "FALSE")
    ),
]
