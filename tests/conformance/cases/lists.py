"""Lists: selections, parts, versions, and which parameters go together."""

from __future__ import annotations

from typing import Final

from tests.conformance.case import Case, Step, delete, get, post

_ALL: Final = "/api/v1/namespaces/{ns}/configmaps"
_CASE: Final = "labelSelector=case"
#: the version that is known stands in these texts
_CURRENT: Final = ("message",)


def _make(name: str, **labels: str) -> Step:
    return post(
        _ALL, {"metadata": {"name": name, "labels": {"case": "x", **labels}}}, compare=False
    )


_FOUR: Final = (_make("a", x="1"), _make("b", x="2", y="1"), _make("c", y="2"), _make("d", x="3"))


def _list(query: str, **options: tuple[str, ...]) -> Step:
    return get(f"{_ALL}?{_CASE}&{query}", **options)


_LABELS: Final = (
    "x",
    "!x",
    "x=1",
    "x==1",
    "x!=1",
    "x in (1,2)",
    "x notin (1)",
    "x>1",
    "x<3",
    "x,y",
    "x,!y",
    "x in (1),y",
    "none=",
    "x in (",
    "x in",
    "x in ()",
    "!",
    "a=b=c",
    "-a",
    "a=-",
    "a>b",
    "a,,b",
    "a foo b",
    "a/b/c=d",
    "(",
)
_FIELDS: Final = (
    "metadata.name=a",
    "metadata.name==a",
    "metadata.name!=a",
    "metadata.name=a,metadata.name=b",
    "metadata.namespace=elsewhere",
    "metadata.name=a=b",
    "metadata.name",
    "data.k=v",
    "metadata.labels=x",
    ",",
)
_OTHER_FIELDS: Final = (
    "nodes?fieldSelector=spec.unschedulable=true",
    "nodes?fieldSelector=metadata.namespace=x",
    "nodes?fieldSelector=spec.foo=1",
    "namespaces?fieldSelector=status.phase=None",
    "namespaces?fieldSelector=spec.foo=1",
    "pods?fieldSelector=spec.foo=1",
    "pods?fieldSelector=status.phase=None",
    "secrets?fieldSelector=type=none",
    "events?fieldSelector=involvedObject.kind=None",
    "services?fieldSelector=spec.foo=1",
)
_VERSIONS: Final = (
    "resourceVersion=0",
    "resourceVersion=0&limit=1",
    "resourceVersion=1",
    "resourceVersion=0&resourceVersionMatch=NotOlderThan",
    "resourceVersion=0&resourceVersionMatch=NotOlderThan&limit=1",
    "resourceVersion=1&resourceVersionMatch=NotOlderThan",
    "resourceVersion=99999999999999999999999",
    "resourceVersionMatch=NotOlderThan",
    "resourceVersionMatch=Other",
    "resourceVersionMatch=Exact&resourceVersion=abc",
    "resourceVersionMatch=NotOlderThan&sendInitialEvents=true",
    "sendInitialEvents=false",
    "allowWatchBookmarks=true",
    "timeoutSeconds=-1",
    "timeout=1s",
    "foo=bar",
)
_TOKENS: Final = {
    "that is no base64": "*",
    "that is cut off": "eyJ2",
    "of another kind": "eyJ2IjoieCIsInJ2IjoxLCJzdGFydCI6ImEifQ",
    "without a version": "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MCwic3RhcnQiOiJhIn0",
    "without a start": "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIifQ",
    "that climbs": "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIuLi9hIn0",
}

CASES: Final[list[Case]] = [
    *(
        Case(f"lists: labels {text}", [*_FOUR, get(f"{_ALL}?labelSelector={text},case")])
        for text in _LABELS
    ),
    *(Case(f"lists: fields {text}", [*_FOUR, _list(f"fieldSelector={text}")]) for text in _FIELDS),
    *(Case(f"lists: {path}", [get(f"/api/v1/{path}")]) for path in _OTHER_FIELDS),
    *(Case(f"lists: with {query}", [_make("a"), _make("b"), _list(query)]) for query in _VERSIONS),
    *(
        Case(f"lists: token {name}", [get(f"{_ALL}?limit=1&continue={token}")])
        for name, token in _TOKENS.items()
    ),
    Case(
        "lists: token with a version",
        [
            *_FOUR,
            _list("limit=2"),
            _list("limit=2&continue={4.metadata.continue}&resourceVersion=1"),
            _list("limit=2&continue={4.metadata.continue}&resourceVersion=0"),
            _list("continue={4.metadata.continue}&resourceVersionMatch=Exact&resourceVersion=1"),
            _list("continue={4.metadata.continue}&resourceVersionMatch=NotOlderThan"),
        ],
    ),
    Case(
        "lists: parts show one version",
        [
            *_FOUR,
            _list("limit=1"),
            delete(f"{_ALL}/c", compare=False),
            _make("cc"),
            _list("limit=1&continue={4.metadata.continue}"),
            _list("continue={7.metadata.continue}"),
        ],
    ),
    Case(
        "lists: parts without a selection count what remains",
        [
            get("/api/v1/namespaces/{ns}/secrets?limit=1"),
            *(
                post(
                    "/api/v1/namespaces/{ns}/secrets",
                    {"metadata": {"name": name}},
                    compare=False,
                )
                for name in "abc"
            ),
            get("/api/v1/namespaces/{ns}/secrets?limit=1"),
            get("/api/v1/namespaces/{ns}/secrets?limit=1&continue={4.metadata.continue}"),
            get("/api/v1/namespaces/{ns}/secrets?limit=1&continue={5.metadata.continue}"),
        ],
    ),
    Case(
        "lists: an exact version",
        [
            _make("a"),
            _make("b"),
            _list("resourceVersion={0.metadata.resourceVersion}&resourceVersionMatch=Exact"),
            _list("resourceVersion={0.metadata.resourceVersion}&limit=5"),
            _list("resourceVersion={0.metadata.resourceVersion}"),
        ],
    ),
    Case(
        "lists: a version to come",
        [
            get(f"{_ALL}?resourceVersion=99999999999", mask=_CURRENT),
            get(f"{_ALL}?resourceVersion=99999999999&resourceVersionMatch=Exact", mask=_CURRENT),
        ],
    ),
    Case("lists: an empty namespace", [get("/api/v1/namespaces/{ns}/pods")]),
    Case("lists: a namespace that is not there", [get("/api/v1/namespaces/no-such/configmaps")]),
    Case(
        "lists: every namespace",
        [*_FOUR, get(f"/api/v1/configmaps?{_CASE}&fieldSelector=metadata.namespace={{ns}}")],
    ),
    Case("lists: a path with a slash at its end", [*_FOUR, get(f"{_ALL}/?{_CASE}")]),
]
