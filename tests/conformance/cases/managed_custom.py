"""Managers of fields of custom resources: what their schemas say of lists, maps, defaults and versions."""

from __future__ import annotations

from typing import Any, Final

from tests.conformance.case import APPLY, Answer, Case, Step, get, patch, post, put

_DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_GROUP: Final = "{name}.example.com"
_DEFINITION: Final = f"{_DEFINITIONS}/things.{_GROUP}"
_TEXT: Final = {"type": "string"}
_FORCE: Final = "&force=true"
#: their order depends on the second in which a manager came again
_ENTRIES: Final = ("metadata.managedFields",)
_TABLE: Final = "application/json;as=Table;v=v1;g=meta.k8s.io"
_METADATA: Final = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"


def _path(version: str = "v1") -> str:
    return f"/apis/{_GROUP}/{version}/namespaces/{{ns}}/things"


_THINGS: Final = _path()
_THING: Final = _THINGS + "/a"


def _thing(version: str = "v1", **parts: Any) -> dict[str, Any]:
    metadata = {"name": "a", **parts.pop("metadata", {})}
    return {"apiVersion": f"{_GROUP}/{version}", "kind": "Thing", "metadata": metadata, **parts}


def _keyed(*keys: str, **properties: Any) -> dict[str, Any]:
    return {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": [*keys],
        "items": {"type": "object", "required": [*keys], "properties": properties},
    }


_INNER: Final = _keyed("name", name=_TEXT, value=_TEXT)
_SPEC: Final = {
    "type": "object",
    "properties": {
        "replicas": {"type": "integer", "format": "int32"},
        "size": {"type": "integer", "default": 3},
        "nested": {
            "type": "object",
            "default": {},
            "properties": {"mode": {"type": "string", "default": "fast"}, "other": _TEXT},
        },
        "defaulted": _keyed(
            "port",
            "protocol",
            port={"type": "integer"},
            protocol={"type": "string", "default": "TCP"},
            note=_TEXT,
        ),
        "outer": _keyed("name", name=_TEXT, inner=_INNER, tags={**_INNER, "maxItems": 9}),
        "set": {"type": "array", "items": {"type": "integer"}, "x-kubernetes-list-type": "set"},
        "atomic": {"type": "array", "items": _TEXT, "x-kubernetes-list-type": "atomic"},
        "objects": {"type": "array", "items": {"type": "object", "properties": {"a": _TEXT}}},
        "granular": {
            "type": "object",
            "x-kubernetes-map-type": "granular",
            "additionalProperties": {"type": "object", "properties": {"a": _TEXT, "b": _TEXT}},
        },
        "embedded": {
            "type": "object",
            "x-kubernetes-embedded-resource": True,
            "x-kubernetes-preserve-unknown-fields": True,
        },
        "anything": {"x-kubernetes-preserve-unknown-fields": True},
    },
}
_STATUS: Final = {
    "type": "object",
    "properties": {
        "replicas": {"type": "integer"},
        "conditions": _keyed("type", type=_TEXT, status=_TEXT, reason=_TEXT),
    },
}
_SCHEMA: Final = {"type": "object", "properties": {"spec": _SPEC, "status": _STATUS}}


def _version(name: str, *, storage: bool) -> dict[str, Any]:
    paths = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
    return {
        "name": name,
        "served": True,
        "storage": storage,
        "subresources": {"status": {}, "scale": paths},
        "schema": {"openAPIV3Schema": _SCHEMA},
    }


_BODY: Final = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "things." + _GROUP},
    "spec": {
        "group": _GROUP,
        "scope": "Namespaced",
        "names": {"plural": "things", "kind": "Thing"},
        "versions": [_version("v1", storage=True), _version("v2", storage=False)],
    },
}


def _is_established(answer: Answer) -> bool:
    conditions = answer.at("status.conditions") or []
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)


def _is_served(answer: Answer) -> bool:
    return answer.status == 200


def _case(name: str, *steps: Step) -> Case:
    """Make a case of a custom resource, whose definition is served before it begins."""
    before = [
        post(_DEFINITIONS, _BODY, compare=False),
        get(_THINGS, until=_is_served, compare=False),
        get(_path("v2"), until=_is_served, compare=False),
        get(_DEFINITION, until=_is_established, compare=False),
    ]
    return Case(f"managed: custom: {name}", [*before, *steps], (_DEFINITION,), managed_fields=True)


def _apply(path: str, body: object, manager: str = "m1", query: str = "", **more: Any) -> Step:
    joint = "&" if "?" in path else "?"
    return patch(f"{path}{joint}fieldManager={manager}{query}", body, APPLY, **more)


def _conditions(**states: str) -> dict[str, Any]:
    return {"conditions": [{"type": name, "status": state} for name, state in states.items()]}


_SCALE: Final = {
    "apiVersion": "autoscaling/v1",
    "kind": "Scale",
    "metadata": {"name": "a"},
    "spec": {"replicas": 3},
}

CASES: Final[list[Case]] = [
    _case(
        "defaults are the creator's",
        post(_THINGS + "?fieldManager=m1", _thing(spec={})),
        patch(_THING + "?fieldManager=m2", {"spec": {"nested": {"mode": "slow"}}}),
    ),
    _case(
        "defaults are nobody's when they are applied",
        _apply(_THING, _thing(spec={})),
        _apply(_THING, _thing(spec={"size": 4}), "m2"),
        _apply(_THING, _thing(spec={}), "m2"),
    ),
    _case(
        "a key that has a default",
        _apply(_THING, _thing(spec={"defaulted": [{"port": 80, "note": "a"}]})),
        _apply(
            _THING, _thing(spec={"defaulted": [{"port": 80, "protocol": "TCP", "note": "b"}]}), "m2"
        ),
        _apply(_THING, _thing(spec={"defaulted": [{"port": 80, "protocol": "UDP"}]}), "m3"),
        _apply(_THING, _thing(spec={}), mask=_ENTRIES),
    ),
    _case(
        "lists in lists",
        _apply(
            _THING,
            _thing(
                spec={
                    "outer": [
                        {"name": "x", "inner": [{"name": "p", "value": "1"}]},
                        {"name": "y", "tags": [{"name": "q", "value": "1"}]},
                    ]
                }
            ),
        ),
        _apply(
            _THING,
            _thing(
                spec={
                    "outer": [
                        {"name": "y", "tags": [{"name": "r", "value": "1"}]},
                        {"name": "z"},
                    ]
                }
            ),
            "m2",
        ),
        _apply(_THING, _thing(spec={"outer": [{"name": "x"}]}), mask=_ENTRIES),
        patch(
            _THING + "?fieldManager=m3",
            {"spec": {"outer": [{"name": "z", "inner": []}]}},
            mask=_ENTRIES,
        ),
    ),
    _case(
        "conflict in a list in a list",
        _apply(
            _THING, _thing(spec={"outer": [{"name": "x", "inner": [{"name": "p", "value": "1"}]}]})
        ),
        _apply(
            _THING,
            _thing(spec={"outer": [{"name": "x", "inner": [{"name": "p", "value": "2"}]}]}),
            "m2",
        ),
        _apply(
            _THING,
            _thing(spec={"outer": [{"name": "x", "inner": [{"name": "p", "value": "2"}]}]}),
            "m2",
            _FORCE,
        ),
    ),
    _case(
        "a set of numbers",
        _apply(_THING, _thing(spec={"set": [1, 2]})),
        _apply(_THING, _thing(spec={"set": [3, 2]}), "m2"),
        _apply(_THING, _thing(spec={"set": [2]}), mask=_ENTRIES),
        put(_THING + "?fieldManager=m3", _thing(spec={"set": [5]}), compare=False),
        patch(_THING + "?fieldManager=m3", {"spec": {"set": [5, 1]}}, mask=_ENTRIES),
    ),
    _case(
        "atomic lists",
        _apply(_THING, _thing(spec={"atomic": ["a"], "objects": [{"a": "1"}]})),
        _apply(_THING, _thing(spec={"atomic": ["a", "b"]}), "m2"),
        _apply(_THING, _thing(spec={"objects": [{"a": "2"}]}), "m2", _FORCE),
    ),
    _case(
        "a map of objects",
        _apply(_THING, _thing(spec={"granular": {"x": {"a": "1"}, "y": {}}})),
        _apply(_THING, _thing(spec={"granular": {"x": {"b": "1"}}}), "m2"),
        _apply(_THING, _thing(spec={"granular": {"y": {}}}), mask=_ENTRIES),
        _apply(_THING, _thing(spec={}), "m2", mask=_ENTRIES),
    ),
    _case(
        "an object in an object",
        _apply(
            _THING,
            _thing(
                spec={
                    "embedded": {
                        "apiVersion": "v1",
                        "kind": "ConfigMap",
                        "metadata": {"name": "x", "labels": {"a": "b"}},
                        "data": {"k": "v"},
                    }
                }
            ),
        ),
        patch(
            _THING + "?fieldManager=m2",
            {"spec": {"embedded": {"metadata": {"labels": {"c": "d"}}, "data": {"k": "w"}}}},
        ),
    ),
    _case(
        "anything",
        _apply(_THING, _thing(spec={"anything": {"a": [1], "b": {"c": "d"}}})),
        _apply(_THING, _thing(spec={"anything": "text"}), "m2"),
        _apply(_THING, _thing(spec={"anything": "text"}), "m2", _FORCE),
    ),
    _case(
        "status by appliers",
        _apply(_THING, _thing(spec={"size": 1})),
        _apply(_THING + "/status", _thing(status=_conditions(A="True")), "m2"),
        _apply(_THING + "/status", _thing(status=_conditions(B="True")), "m3"),
        _apply(_THING + "/status", _thing(status=_conditions(A="False")), "m3"),
        _apply(_THING + "/status", _thing(status=_conditions(A="False")), "m3", _FORCE),
        _apply(_THING + "/status?dryRun=All", _thing(status=_conditions(C="False")), "m4"),
        get(_THING + "/status"),
    ),
    _case(
        "metadata by a status",
        _apply(_THING, _thing(spec={"size": 1}, metadata={"labels": {"a": "b"}})),
        _apply(
            _THING + "/status",
            _thing(status=_conditions(A="True"), metadata={"labels": {"a": "c"}}),
            "m2",
        ),
    ),
    _case(
        "scale",
        _apply(_THING, _thing(spec={"replicas": 1})),
        patch(_THING + "/scale?fieldManager=m2", {"spec": {"replicas": 2}}),
        get(_THING),
        _apply(_THING + "/scale", _SCALE, "m3"),
        _apply(_THING + "/scale", _SCALE, "m3", _FORCE),
        get(_THING),
        _apply(_THING, _thing(spec={"replicas": 4})),
    ),
    _case(
        "two versions",
        _apply(_THING, _thing(spec={"set": [1]})),
        _apply(_path("v2") + "/a", _thing("v2", spec={"set": [2], "size": 5})),
        _apply(_path("v2") + "/a", _thing("v2", spec={"set": [3]}), "m2"),
        patch(_path("v2") + "/a?fieldManager=m3", {"spec": {"atomic": ["x"]}}),
        patch(_THING + "?fieldManager=m3", {"spec": {"atomic": ["y"]}}),
        get(_THING),
        get(_path("v2") + "/a"),
    ),
    _case(
        "in a table and in metadata",
        _apply(_THING, _thing(spec={"size": 1})),
        get(_THING, accept=_TABLE, mask=("columnDefinitions.*.description",)),
        get(_THING, accept=_METADATA),
    ),
    _case(
        "as a dry run",
        _apply(_THING + "?dryRun=All", _thing(spec={"size": 1})),
        get(_THING),
        _apply(_THING, _thing(spec={"size": 1})),
        _apply(_THING + "?dryRun=All", _thing(spec={"size": 2}), "m2"),
        _apply(_THING + "?dryRun=All", _thing(spec={"size": 2}), "m2", _FORCE),
        get(_THING),
    ),
    _case("a wrong type", _apply(_THING, _thing(spec={"size": "x"}))),
    _case("a list for an object", _apply(_THING, _thing(spec=[1]))),
    _case("a missing key", _apply(_THING, _thing(spec={"outer": [{"inner": []}]}))),
    _case(
        "a key twice",
        _apply(_THING, _thing(spec={"outer": [{"name": "x"}, {"name": "x"}]})),
    ),
    _case(
        "another uid",
        _apply(_THING, _thing(spec={"size": 1})),
        _apply(_THING, _thing(metadata={"uid": "11111111-2222-3333-4444-555555555555"})),
        put(
            _THING,
            _thing(
                metadata={
                    "uid": "11111111-2222-3333-4444-555555555555",
                    "resourceVersion": "{4.metadata.resourceVersion}",
                }
            ),
        ),
        patch(_THING, {"metadata": {"uid": "11111111-2222-3333-4444-555555555555"}}),
        patch(_THING, {"metadata": {"resourceVersion": "1"}, "spec": {"size": 9}}),
    ),
]
