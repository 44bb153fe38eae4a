"""Server-side apply, and who manages which fields after any write."""

from __future__ import annotations

import json
from typing import Any, Final

from tests.conformance.case import (
    APPLY,
    JSON_PATCH,
    STRATEGIC,
    Answer,
    Case,
    Step,
    get,
    patch,
    post,
    put,
)

_MAPS: Final = "/api/v1/namespaces/{ns}/configmaps"
_MAP: Final = _MAPS + "/a"
_DEPLOYMENTS: Final = "/apis/apps/v1/namespaces/{ns}/deployments"
_DEPLOYMENT: Final = _DEPLOYMENTS + "/a"
_TEMPLATES: Final = "/api/v1/namespaces/{ns}/podtemplates"
_TEMPLATE: Final = _TEMPLATES + "/a"
_SERVICE: Final = "/api/v1/namespaces/{ns}/services/a"


def _map(labels: dict[str, str] | None = None, **data: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": "a"}
    if labels is not None:
        metadata["labels"] = labels
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    return {**body, "data": data} if data else body


def _deployment(replicas: int | None = 1, image: str = "i:1", **container: Any) -> dict[str, Any]:
    labels = {"app": "a"}
    spec: dict[str, Any] = {
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "c", "image": image, **container}]},
        },
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": spec}


def _apply(path: str, body: object, manager: str = "one", query: str = "", **more: Any) -> Step:
    joint = "&" if "?" in path else "?"
    return patch(f"{path}{joint}fieldManager={manager}{query}", body, APPLY, **more)


def _managed(name: str, *steps: Step) -> Case:
    return Case(f"apply: {name}", list(steps), managed_fields=True)


def _plain(name: str, *steps: Step) -> Case:
    return Case(f"apply: {name}", list(steps))


def _template(image: str = "i:1", **container: Any) -> dict[str, Any]:
    """Return a pod template: containers as in a Deployment, and no controller that touches it."""
    spec = {"containers": [{"name": "c", "image": image, **container}]}
    template = {"metadata": {"labels": {"app": "a"}}, "spec": spec}
    metadata = {"name": "a"}
    return {
        "apiVersion": "v1",
        "kind": "PodTemplate",
        "metadata": metadata,
        "template": template,
    }


def _by_kubectl(text: str) -> dict[str, Any]:
    """Return an object as `kubectl apply` sends it."""
    applied = json.dumps(_map(x=text), separators=(",", ":"), sort_keys=True) + "\n"
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": applied}
    return {**_map(x=text), "metadata": {"name": "a", "annotations": annotations}}


_FORCE: Final = "&force=true"
_BY_CURL: Final = {"User-Agent": "curl/8.1 (linux)"}

_TRACKING: Final = [
    _managed("create by user agent", post(_MAPS, _map(x="1"), headers=_BY_CURL)),
    _managed("create by field manager", post(_MAPS + "?fieldManager=me", _map({"l": "1"}, x="1"))),
    _managed(
        "update by another",
        post(_MAPS + "?fieldManager=one", _map(x="1", y="1")),
        put(_MAP + "?fieldManager=two", _map(x="1", y="2", z="1")),
    ),
    _managed(
        "update by the same",
        post(_MAPS + "?fieldManager=one", _map(x="1", y="1")),
        put(_MAP + "?fieldManager=one", _map(x="1", z="2")),
    ),
    _managed(
        "update that takes a field away",
        post(_MAPS + "?fieldManager=one", _map(x="1")),
        put(_MAP + "?fieldManager=two", _map()),
    ),
    _managed(
        "update that changes nothing",
        post(_MAPS + "?fieldManager=one", _map(x="1")),
        put(_MAP + "?fieldManager=two", _map(x="1")),
    ),
    _managed(
        "merge patch",
        post(_MAPS + "?fieldManager=one", _map(x="1")),
        patch(_MAP + "?fieldManager=two", {"data": {"x": "2"}, "metadata": {"labels": {"l": "1"}}}),
    ),
    _managed(
        "JSON patch",
        post(_MAPS + "?fieldManager=one", _map(x="1")),
        patch(
            _MAP + "?fieldManager=two",
            [{"op": "add", "path": "/data/y", "value": "1"}],
            JSON_PATCH,
        ),
    ),
    _managed(
        "strategic patch",
        post(_TEMPLATES + "?fieldManager=one", _template()),
        patch(
            _TEMPLATE + "?fieldManager=two",
            {"template": {"spec": {"containers": [{"name": "c", "image": "i:2"}]}}},
            STRATEGIC,
        ),
    ),
    _managed("create of a deployment", post(_DEPLOYMENTS + "?fieldManager=one", _deployment())),
    _managed(
        "reset with one empty entry",
        post(_MAPS + "?fieldManager=one", _map(x="1")),
        patch(_MAP, {"metadata": {"managedFields": [{}]}}),
        get(_MAP),
        put(_MAP, _map(x="2")),
    ),
    _managed(
        "reset with an empty list",
        post(_MAPS + "?fieldManager=one", _map(x="1")),
        patch(
            _MAP,
            [{"op": "replace", "path": "/metadata/managedFields", "value": []}],
            JSON_PATCH,
        ),
    ),
    _managed(
        "null is no reset",
        post(_MAPS + "?fieldManager=one", _map(x="1")),
        patch(_MAP, {"metadata": {"managedFields": None}}),
    ),
    _managed(
        "entries by hand",
        post(_MAPS + "?fieldManager=one", _map(x="1")),
        patch(
            _MAP + "?fieldManager=two",
            {
                "metadata": {
                    "managedFields": [
                        {
                            "manager": "hand",
                            "operation": "Apply",
                            "apiVersion": "v1",
                            "time": "2024-01-01T00:00:00Z",
                            "fieldsType": "FieldsV1",
                            "fieldsV1": {"f:data": {"f:y": {}, "f:x": {".": {}}}},
                        }
                    ]
                }
            },
        ),
    ),
    _managed(
        "entries by hand that are none",
        post(_MAPS + "?fieldManager=one", _map(x="1")),
        patch(
            _MAP + "?fieldManager=two",
            {"metadata": {"managedFields": [{"manager": "hand", "operation": "Guess"}]}},
        ),
    ),
    _managed(
        "entries by hand of another fields type",
        post(_MAPS + "?fieldManager=one", _map(x="1")),
        patch(
            _MAP + "?fieldManager=two",
            {
                "metadata": {
                    "managedFields": [
                        {"operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV2"}
                    ]
                }
            },
        ),
    ),
    _plain("manager too long", post(_MAPS + "?fieldManager=" + "x" * 129, _map(x="1"))),
    _plain("manager that cannot be printed", post(_MAPS + "?fieldManager=a%07b", _map(x="1"))),
    _managed(
        "more than ten managers",
        post(_MAPS + "?fieldManager=a", _map(x="0")),
        *(patch(f"{_MAP}?fieldManager={name}", {"data": {name: "1"}}) for name in "bcdefghijklm"),
    ),
    _managed(
        "status by its subresource",
        post(_DEPLOYMENTS + "?fieldManager=one", _deployment(0)),
        patch(
            _DEPLOYMENT + "/status?fieldManager=two",
            {"status": {"conditions": [{"type": "Odd", "status": "True"}]}},
            STRATEGIC,
            mask=("metadata.generation", "metadata.annotations"),
            compare=False,
        ),
    ),
]

_APPLY: Final = [
    _managed("creates", _apply(_MAP, _map(x="1")), get(_MAP)),
    _plain("without a manager", patch(_MAP, _map(x="1"), APPLY)),
    _plain("a YAML body", _apply(_MAP, "apiVersion: v1\nkind: ConfigMap\ndata: {x: '1'}\n")),
    _plain("broken YAML", _apply(_MAP, "a: [", mask=("message",))),
    _plain("a list", _apply(_MAP, "[]")),
    _plain("an empty body", _apply(_MAP, "")),
    _plain("another kind", _apply(_MAP, {"apiVersion": "v1", "kind": "Secret"})),
    _plain("another version", _apply(_MAP, {"apiVersion": "v2", "kind": "ConfigMap"})),
    _plain("no kind", _apply(_MAP, {"apiVersion": "v1"})),
    _plain("no apiVersion", _apply(_MAP, {"kind": "ConfigMap"})),
    _plain("another name", _apply(_MAPS + "/b", _map(x="1"))),
    _plain("no name", _apply(_MAP, {"apiVersion": "v1", "kind": "ConfigMap", "data": {"x": "1"}})),
    _plain(
        "another namespace",
        _apply(
            _MAP,
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "a", "namespace": "other"},
            },
        ),
    ),
    _plain(
        "managed fields in the body",
        _apply(
            _MAP,
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "a", "managedFields": []},
            },
        ),
    ),
    _plain(
        "a uid of an object that is not there",
        _apply(
            _MAP,
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "uid": "u-1"}},
        ),
    ),
    _plain("force of another patch", patch(_MAP + "?force=true", {"data": {"x": "1"}})),
    _plain("CBOR", patch(_MAP + "?fieldManager=one", b"\xa0", "application/apply-patch+cbor")),
    _managed("as a dry run", _apply(_MAP, _map(x="1"), query="&dryRun=All"), get(_MAP)),
    _managed(
        "again changes nothing",
        _apply(_MAP, _map(x="1")),
        _apply(_MAP, _map(x="1")),
        put(
            _MAP,
            {
                **_map(x="1"),
                "metadata": {"name": "a", "resourceVersion": "{0.metadata.resourceVersion}"},
            },
        ),
    ),
    _managed(
        "gives a field up", _apply(_MAP, _map(x="1", y="1")), _apply(_MAP, _map(x="1")), get(_MAP)
    ),
    _managed(
        "gives all fields up", _apply(_MAP, _map(x="1", y="1")), _apply(_MAP, _map()), get(_MAP)
    ),
    _managed(
        "gives up a field that another applies too",
        _apply(_MAP, _map(x="1", y="1")),
        _apply(_MAP, _map(y="1"), "two"),
        _apply(_MAP, _map(x="1")),
    ),
    _managed(
        "two managers of disjoint fields",
        _apply(_MAP, _map(x="1")),
        _apply(_MAP, _map(y="1"), "two"),
    ),
    _managed(
        "two managers of one value", _apply(_MAP, _map(x="1")), _apply(_MAP, _map(x="1"), "two")
    ),
    _managed(
        "conflict with an applier",
        _apply(_MAP, _map(x="1")),
        _apply(_MAP, _map(x="2"), "two"),
        get(_MAP),
    ),
    _managed(
        "conflict with an updater",
        post(_MAPS + "?fieldManager=up", _map(x="1")),
        _apply(_MAP, _map(x="2")),
    ),
    _managed(
        "conflicts, several of one manager",
        post(_MAPS + "?fieldManager=up", _map({"l": "1"}, x="1", y="1")),
        _apply(_MAP, _map({"l": "2"}, x="2", y="2")),
    ),
    _managed(
        "conflicts forced",
        post(_MAPS + "?fieldManager=up", _map({"l": "1"}, x="1", y="1")),
        _apply(_MAP, _map({"l": "2"}, x="2"), query=_FORCE),
    ),
    _managed(
        "the last owner loses all",
        _apply(_MAP, _map(x="1")),
        _apply(_MAP, _map(x="2"), "two", _FORCE),
    ),
    _managed(
        "an applied field that an update changes",
        _apply(_MAP, _map(x="1", y="1")),
        patch(_MAP + "?fieldManager=two", {"data": {"x": "2"}}),
        _apply(_MAP, _map(x="1", y="1")),
    ),
    _managed(
        "an applied field that an update takes away",
        _apply(_MAP, _map(x="1", y="1")),
        patch(_MAP + "?fieldManager=two", {"data": {"x": None}}),
        _apply(_MAP, _map(x="1", y="1")),
    ),
    _managed(
        "one manager applies and updates",
        post(_MAPS + "?fieldManager=one", _map(x="1", y="1")),
        _apply(_MAP, _map(x="1")),
        _apply(_MAP, _map()),
    ),
    _managed(
        "before the first apply",
        post(_MAPS, _map({"l": "1"}, x="1")),
        patch(_MAP, {"metadata": {"managedFields": [{}]}}),
        _apply(_MAP, _map(y="1")),
    ),
    _managed(
        "kubectl takes over what it applied on the client's side",
        post(_MAPS + "?fieldManager=kubectl-client-side-apply", _by_kubectl("1")),
        _apply(_MAP, _map(x="2"), "kubectl"),
        patch(_MAP + "?fieldManager=other", {"data": {"x": "3"}}),
        _apply(_MAP, _map(x="4"), "kubectl"),
        _apply(_MAP, _map(x="4"), "kubectl", _FORCE),
    ),
    _managed(
        "nobody else takes over what kubectl applied",
        post(_MAPS + "?fieldManager=kubectl-client-side-apply", _by_kubectl("1")),
        _apply(_MAP, _map(x="2"), "one"),
    ),
    _managed(
        "with an older version",
        _apply(_MAP, _map(x="1")),
        patch(_MAP, {"data": {"z": "1"}}),
        _apply(
            _MAP,
            {
                **_map(x="2"),
                "metadata": {"name": "a", "resourceVersion": "{0.metadata.resourceVersion}"},
            },
        ),
    ),
    _plain(
        "a field of a wrong type",
        _apply(_MAP, {**_map(), "data": ["x"]}),
        _apply(_MAP, {**_map(), "data": {"x": 1}}),
    ),
    _plain("an unknown field", _apply(_MAP, {**_map(), "dta": {"x": "1"}})),
    _plain("in an absent namespace", _apply("/api/v1/namespaces/{name}/configmaps/a", _map())),
]

_LISTS: Final = [
    _managed("creates a deployment", _apply(_DEPLOYMENT, _deployment())),
    _managed(
        "a container by another",
        _apply(_TEMPLATE, _template()),
        _apply(
            _TEMPLATE,
            {
                "apiVersion": "v1",
                "kind": "PodTemplate",
                "metadata": {"name": "a"},
                "template": {"spec": {"containers": [{"name": "side", "image": "s:1"}]}},
            },
            "two",
        ),
        _apply(
            _TEMPLATE, {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "a"}}, "two"
        ),
    ),
    _managed(
        "conflict in a container",
        _apply(_DEPLOYMENT, _deployment()),
        _apply(_DEPLOYMENT, _deployment(2, "i:2"), "two"),
    ),
    _managed(
        "ports by key with a default",
        _apply(
            _DEPLOYMENT,
            _deployment(ports=[{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}]),
        ),
    ),
    _managed(
        "order of a merged list",
        _apply(_TEMPLATE, _template(env=[{"name": "A"}, {"name": "B"}, {"name": "C"}])),
        _apply(_TEMPLATE, _template(env=[{"name": "C"}, {"name": "X"}, {"name": "A"}]), "two"),
        _apply(_TEMPLATE, _template(env=[{"name": "X"}, {"name": "B"}]), "xtra"),
    ),
    _plain(
        "an item twice",
        _apply(_DEPLOYMENT, _deployment(env=[{"name": "A"}, {"name": "A"}])),
    ),
    _plain("an item without its key", _apply(_DEPLOYMENT, _deployment(env=[{"value": "A"}]))),
    _managed(
        "finalizers are a set",
        _apply(_MAP, {**_map(), "metadata": {"name": "a", "finalizers": ["x.io/a"]}}),
        _apply(_MAP, {**_map(), "metadata": {"name": "a", "finalizers": ["x.io/b"]}}, "two"),
        _apply(_MAP, _map()),
        _apply(_MAP, _map(), "two"),
    ),
    _managed(
        "owner references are atomic",
        _apply(
            _MAP,
            {
                **_map(),
                "metadata": {
                    "name": "a",
                    "ownerReferences": [
                        {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u-1"}
                    ],
                },
            },
        ),
    ),
    _managed(
        "a selector is atomic",
        _apply(
            _SERVICE,
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "a"},
                "spec": {"ports": [{"port": 80}], "selector": {"a": "1"}},
            },
        ),
        _apply(
            _SERVICE,
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "a"},
                "spec": {"selector": {"b": "1"}},
            },
            "two",
        ),
    ),
]

_GROUP: Final = "{name}.example.com"
_DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_DEFINITION: Final = f"{_DEFINITIONS}/things.{_GROUP}"
_THING: Final = f"/apis/{_GROUP}/v1/namespaces/{{ns}}/things/a"
_TEXT: Final = {"type": "string"}
_SCHEMA: Final = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "plain": {"type": "array", "items": _TEXT},
                "set": {"type": "array", "items": _TEXT, "x-kubernetes-list-type": "set"},
                "keyed": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["port", "protocol"],
                    "items": {
                        "type": "object",
                        "required": ["port", "protocol"],
                        "properties": {
                            "port": {"type": "integer"},
                            "protocol": _TEXT,
                            "note": _TEXT,
                        },
                    },
                },
                "whole": {
                    "type": "object",
                    "x-kubernetes-map-type": "atomic",
                    "properties": {"a": _TEXT, "b": _TEXT},
                },
                "map": {"type": "object", "additionalProperties": _TEXT},
                "either": {"x-kubernetes-int-or-string": True},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            },
        },
        "status": {"type": "object", "properties": {"phase": _TEXT}},
    },
}


def _definition(schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things." + _GROUP},
        "spec": {
            "group": _GROUP,
            "scope": "Namespaced",
            "names": {"plural": "things", "kind": "Thing"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def _thing(**parts: Any) -> dict[str, Any]:
    return {"apiVersion": _GROUP + "/v1", "kind": "Thing", "metadata": {"name": "a"}, **parts}


def _custom(name: str, *steps: Step, schema: dict[str, Any] = _SCHEMA) -> Case:
    """Make a case of a custom resource, whose definition is served before it begins."""
    before = [
        post(_DEFINITIONS, _definition(schema), compare=False),
        get(
            _THING.rpartition("/")[0],
            until=lambda answer: answer.status == 200,
            compare=False,
        ),
        # served by one storage before the definition's condition is, by another after it
        get(_DEFINITION, until=_is_established, compare=False),
    ]
    return Case(f"apply: {name}", [*before, *steps], (_DEFINITION,), managed_fields=True)


def _is_established(answer: Answer) -> bool:
    conditions = answer.at("status.conditions") or []
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)


_FREE: Final = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_CUSTOM: Final = [
    _custom(
        "custom: create by POST",
        post(_THING.rpartition("/")[0] + "?fieldManager=one", _thing(spec={"map": {"a": "1"}})),
    ),
    _custom(
        "custom: every topology",
        _apply(
            _THING,
            _thing(
                spec={
                    "plain": ["a", "b"],
                    "set": ["a", "b"],
                    "keyed": [
                        {"port": 80, "protocol": "TCP"},
                        {"port": 80, "protocol": "UDP", "note": "x"},
                    ],
                    "whole": {"a": "1"},
                    "map": {"a": "1"},
                    "either": 1,
                    "free": {"x": {"y": [1, 2]}},
                }
            ),
        ),
        _apply(
            _THING,
            _thing(
                spec={
                    "set": ["c"],
                    "keyed": [{"port": 90, "protocol": "TCP"}],
                    "map": {"b": "1"},
                    "free": {"x": {"z": 1}},
                }
            ),
            "two",
        ),
        _apply(_THING, _thing(spec={"whole": {"b": "1"}}), "xtra"),
    ),
    _custom(
        "custom: all of a map given up",
        _apply(_THING, _thing(spec={"map": {"a": "1"}, "either": "x"})),
        _apply(_THING, _thing(spec={"either": "x"})),
        _apply(_THING, _thing()),
    ),
    _custom(
        "custom: status",
        _apply(_THING, _thing(spec={"either": 1}, status={"phase": "ignored"})),
        _apply(_THING + "/status", _thing(spec={"either": 2}, status={"phase": "x"}), "two"),
        patch(_THING + "/status?fieldManager=xtra", {"status": {"phase": "y"}}),
        _apply(_THING + "/status", _thing(status={"phase": "x"}), "two"),
    ),
    _custom(
        "custom: status of what is not there",
        _apply(_THING + "/status", _thing(status={"phase": "x"})),
    ),
    _custom(
        "custom: without a schema",
        _apply(_THING, _thing(spec={"list": [{"name": "a"}], "map": {"a": {"b": 1}}, "none": {}})),
        _apply(_THING, _thing(spec={"map": {"a": {"c": 1}}}), "two"),
        _apply(_THING, _thing(spec={"list": [{"name": "b"}]}), "two"),
        schema=_FREE,
    ),
    _custom(
        "custom: an item twice",
        _apply(_THING, _thing(spec={"set": ["a", "a"]})),
    ),
    _custom("custom: an unknown field", _apply(_THING, _thing(spec={"odd": 1}))),
    _custom(
        "custom: an update that drops everything",
        post(_THING.rpartition("/")[0] + "?fieldManager=one", _thing(spec={"map": {"a": "1"}})),
        patch(_THING + "?fieldManager=two", {"spec": None}),
    ),
]


def _scale(replicas: int) -> dict[str, Any]:
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {"name": "a"},
        "spec": {"replicas": replicas},
    }


_CONTROLLED: Final = ("status", "metadata.generation")
_SCALES: Final = [
    _plain(
        "scale: by patch, applied, forced",
        post(_DEPLOYMENTS + "?fieldManager=one", _deployment(1), compare=False),
        patch(_DEPLOYMENT + "/scale?fieldManager=two", {"spec": {"replicas": 2}}, mask=_CONTROLLED),
        _apply(_DEPLOYMENT + "/scale", _scale(3), "xtra", mask=_CONTROLLED),
        _apply(_DEPLOYMENT + "/scale", _scale(3), "xtra", _FORCE, mask=_CONTROLLED),
        _apply(_DEPLOYMENT, _deployment(4), "four", mask=_CONTROLLED),
    ),
    *(
        _plain(
            f"characters that YAML does not allow, {what}",
            _apply("/api/v1/namespaces/{ns}/configmaps/a", body),
        )
        for what, body in (
            ("in JSON", '{"apiVersion":"v1","kind":"ConfigMap","data":{"k":"\x7f"}}'),
            ("in a key", '{"apiVersion":"v1","\x7find":"ConfigMap"}'),
            ("in YAML", 'apiVersion: v1\nkind: ConfigMap\ndata:\n  k: "\x01"\n'),
        )
    ),
    _plain("scale: of what is not there", _apply(_DEPLOYMENT + "/scale", _scale(3))),
    _plain("scale: another kind", _apply(_DEPLOYMENT + "/scale", _deployment(3))),
    _plain("status of what is not there", _apply(_DEPLOYMENT + "/status", _deployment(3))),
]

CASES: Final[list[Case]] = [*_TRACKING, *_APPLY, *_LISTS, *_CUSTOM, *_SCALES]
