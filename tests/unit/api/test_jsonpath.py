"""Paths of printer columns: what they find, what they miss, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from capim.api import jsonpath

OBJECT: dict[str, Any] = {
    "metadata": {
        "name": "a",
        "labels": {"example.com/team": "red", "it's": "odd"},
        "ownerReferences": [{"kind": "Other", "name": "o"}, {"kind": "Machine", "name": "m"}],
    },
    "spec": {
        "replicas": 3,
        "paused": False,
        "ports": [{"port": 80}, {"port": 443}, {"port": 8080}],
        "empty": None,
    },
    "status": {
        "conditions": [
            {"type": "Ready", "status": "True", "meta": {"x.y": 1}},
            {"type": "Other", "status": "False"},
        ]
    },
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".metadata.name", ["a"]),
        ("metadata.name", ["a"]),
        ("{.metadata.name}", ["a"]),
        ("$.metadata.name", ["a"]),
        (".spec.replicas", [3]),
        (".spec.paused", [False]),
        (".spec.empty", [None]),
        (r".metadata.labels['example\.com/team']", ["red"]),
        (r'.metadata.labels["example\.com/team"]', ["red"]),
        (r".metadata.labels['it\'s']", ["odd"]),
        (r".metadata.labels.example\.com/team", ["red"]),
        (".spec.ports[0].port", [80]),
        (".spec.ports[-1].port", [8080]),
        (".spec.ports[*].port", [80, 443, 8080]),
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        (".status.conditions[?(@.type=='Other')].status", ["False"]),
        ('.status.conditions[?( @.type != "Ready" )].status', ["False"]),
        (r".status.conditions[?(@.meta['x\.y']==1)].type", ["Ready"]),
        (".status.conditions[?(@.meta)].type", ["Ready"]),
        (".spec.ports[?(@.port>=443)].port", [443, 8080]),
        (".spec.ports[?(@.port<80.5)].port", [80]),
        ('.metadata.ownerReferences[?(@.kind=="Machine")].name', ["m"]),
        (".metadata.ownerReferences.*", OBJECT["metadata"]["ownerReferences"]),
    ],
)
def test_path_finds(path: str, found: list[Any]) -> None:
    assert jsonpath.parse(path).find(OBJECT) == found


@pytest.mark.parametrize(
    "path",
    [
        ".metadata.nothing",
        ".metadata.name.deeper",
        ".spec.ports[3].port",
        ".spec.ports[-4]",
        ".spec.ports.port",
        ".spec.replicas[0]",
        ".spec.replicas[*]",
        '.status.conditions[?(@.type=="Absent")].status',
        '.status.conditions[?(@.absent=="x")].status',
        '.spec.ports[?(@.port>"x")]',
        '.spec[?(@.type=="Ready")]',
    ],
)
def test_what_is_missing_is_found_nowhere(path: str) -> None:
    assert jsonpath.parse(path).find(OBJECT) == []


def test_a_dot_is_the_whole_object() -> None:
    assert jsonpath.parse(".").find(OBJECT) == [OBJECT]


@pytest.mark.parametrize(
    "path",
    [
        "..name",
        ".a[",
        ".a[b]",
        ".a[1:2]",
        ".a['b'",
        ".a[?(@.b==)]",
        ".a[?(@.b==c)]",
        ".a[?(b)]",
        ".a.",
    ],
)
def test_other_paths_are_refused_by_name(path: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        jsonpath.parse(path)
