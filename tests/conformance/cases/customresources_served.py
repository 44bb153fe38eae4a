"""How a defined kind is served: discovery, versions, Tables, scale, selectable fields, OpenAPI."""

from __future__ import annotations

from typing import Any, Final

from tests.conformance.case import Answer, Case, delete, get, patch, post, put, watch
from tests.conformance.definitions import (
    GROUP,
    NAMES,
    ONE,
    WIDGET,
    WIDGETS,
    case,
    definition,
    fields,
    served,
    version,
    widget,
)

_TABLE: Final = "application/json;as=Table;v=v1;g=meta.k8s.io"
_TEXT: Final[dict[str, Any]] = {"type": "string"}
_NUMBER: Final[dict[str, Any]] = {"type": "integer"}
_V1: Final = f"/apis/{GROUP}/v1"
_V2: Final = f"/apis/{GROUP}/v2"
_V2_WIDGETS: Final = f"{_V2}/namespaces/{{ns}}/widgets"
_V2_WIDGET: Final = f"{_V2_WIDGETS}/a"
_CLUSTER_WIDGETS: Final = f"{_V1}/widgets"
_SCALE: Final = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".status.selector",
}


#: of all built-in groups, and of the minor version
_OTHERS_SCHEMAS: Final = tuple(
    "**.io\\.k8s\\.apimachinery\\.pkg\\.apis\\.meta\\.v1\\." + name
    for name in ("DeleteOptions", "ListMeta", "ShardInfo")
)


def _found(answer: Answer) -> bool:
    return answer.status == 200


def _both(**spec: Any) -> dict[str, Any]:
    """Make a definition of v1, stored, with fields a and b, and of v2 with a and c."""
    newer = fields(a=_TEXT, c={**_NUMBER, "default": 5})
    return definition(
        version(schema=fields(a=_TEXT, b=_NUMBER)), version("v2", newer, storage=False), **spec
    )


_DISCOVERY: Final = [
    case(
        "discovery of a group",
        _both(names={**NAMES, "shortNames": ["wi"], "categories": ["all"], "singular": "widget"}),
        get(f"/apis/{GROUP}"),
        get(_V1),
        get(_V2, until=_found),
    ),
    case(
        "discovery of subresources",
        definition(version(subresources={"status": {}, "scale": _SCALE})),
        get(_V1),
    ),
    case(
        "discovery of versions in order",
        definition(
            version("v1alpha1", storage=False),
            version("v2beta1", storage=False),
            version("odd", storage=False),
            version("v1"),
            version("v10", storage=False),
        ),
        get(f"/apis/{GROUP}", until=lambda answer: len(answer.at("versions") or ()) == 5),
    ),
    case(
        "version that is not served",
        definition(version(), {**version("v2", storage=False), "served": False}),
        get(_V2),
        get(_V2_WIDGETS),
        get(f"/apis/{GROUP}"),
    ),
    Case(
        "customresources: kind of the cluster's scope",
        [
            *served(definition(scope="Cluster"), _CLUSTER_WIDGETS),
            get(_V1),
            post(_CLUSTER_WIDGETS, widget()),
            get(f"{_CLUSTER_WIDGETS}/a"),
            get(WIDGETS),
            delete(f"{_CLUSTER_WIDGETS}/a"),
        ],
        (ONE,),
    ),
    case(
        "group goes with its last kind",
        definition(),
        delete(ONE, compare=False),
        get(f"/apis/{GROUP}", until=lambda answer: answer.status == 404, timeout_s=60),
        get(WIDGETS),
        get(WIDGET),
    ),
    case(
        "OpenAPI of a kind",
        definition(
            version(
                schema=fields(
                    a={**_TEXT, "default": "x"},
                    b={"x-kubernetes-int-or-string": True},
                    c={
                        "type": "object",
                        "x-kubernetes-embedded-resource": True,
                        "x-kubernetes-preserve-unknown-fields": True,
                    },
                    d={"type": "array", "items": _TEXT, "x-kubernetes-list-type": "set"},
                    e={**_TEXT, "nullable": True, "enum": ["x"]},
                ),
                subresources={"status": {}, "scale": _SCALE},
            )
        ),
        get(
            f"/openapi/v3{_V1}",
            until=_found,
            mask=("**.description", *_OTHERS_SCHEMAS),
        ),
    ),
]

_VERSIONS: Final = [
    case(
        "object in another version",
        _both(),
        get(_V2_WIDGETS, until=_found, compare=False),
        post(WIDGETS, widget(spec={"a": "x", "b": 1})),
        get(_V2_WIDGET),
        get(_V2_WIDGETS),
        put(_V2_WIDGET, widget(api="v2", spec={"a": "y", "c": 7})),
        get(WIDGET),
        patch(_V2_WIDGET, {"spec": {"c": "no"}}),
        post(_V2_WIDGETS, widget("b", api="v2", spec={"a": "x"})),
        get(f"{WIDGETS}/b"),
        delete(f"{_V2_WIDGETS}/b"),
    ),
    case(
        "watch in another version",
        _both(),
        get(_V2_WIDGETS, until=_found, compare=False),
        watch(
            f"{_V2_WIDGETS}?timeoutSeconds=5",
            2,
            during=(
                post(WIDGETS, widget(spec={"a": "x", "b": 1})),
                patch(WIDGET, {"spec": {"a": "y"}}),
            ),
        ),
    ),
    case(
        "deprecated versions warn",
        definition(
            version(),
            version("v2", storage=False, deprecated=True, deprecationWarning="v2 is no more"),
            version("v1beta1", storage=False, deprecated=True),
        ),
        get(f"/apis/{GROUP}/v1beta1/namespaces/{{ns}}/widgets", until=_found),
        get(_V2_WIDGETS, until=_found),
        post(_V2_WIDGETS, widget(api="v2")),
        get(WIDGETS),
        get(_V2),
    ),
    case(
        "all versions deprecated",
        definition(version(deprecated=True)),
        get(WIDGETS),
    ),
    case(
        "version is taken from the service",
        _both(),
        post(WIDGETS, widget(spec={"a": "x", "b": 1}), compare=False),
        patch(
            ONE,
            {"spec": {"versions": [version(schema=fields(a=_TEXT, b=_NUMBER))]}},
            compare=False,
        ),
        get(_V2_WIDGETS, until=lambda answer: answer.status == 404, timeout_s=60),
        get(WIDGET),
    ),
    case(
        "schema that changes is a later read's",
        definition(version(schema=fields(a=_TEXT, b=_NUMBER))),
        post(WIDGETS, widget(spec={"a": "x", "b": 1}), compare=False),
        patch(
            ONE,
            {"spec": {"versions": [version(schema=fields(a=_TEXT, c={**_NUMBER, "default": 2}))]}},
            compare=False,
        ),
        get(WIDGET, until=lambda answer: answer.at("spec.c") == 2),
        patch(WIDGET, {"metadata": {"labels": {"a": "b"}}}),
    ),
]

_COLUMNS: Final = [
    {"name": "Text", "type": "string", "jsonPath": ".spec.a", "description": "a text"},
    {"name": "Number", "type": "integer", "jsonPath": ".spec.n", "priority": 1},
    {"name": "Share", "type": "number", "jsonPath": ".spec.f", "format": "double"},
    {"name": "Is", "type": "boolean", "jsonPath": ".spec.b"},
    {"name": "When", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    {
        "name": "Ready",
        "type": "string",
        "jsonPath": '.status.conditions[?(@.type=="Ready")].status',
    },
    {"name": "All", "type": "string", "jsonPath": ".spec.list[*]"},
    {"name": "First", "type": "string", "jsonPath": ".spec.list[0]"},
    {"name": "Map", "type": "string", "jsonPath": ".spec.map"},
    {"name": "Key", "type": "string", "jsonPath": ".metadata.labels['a\\.b/c']"},
    {"name": "Odd", "type": "integer", "jsonPath": ".spec.a"},
]
_ROW: Final[dict[str, Any]] = {
    "spec": {
        "a": "x",
        "n": 3,
        "f": 1.5,
        "b": True,
        "list": ["x", "y"],
        "map": {"k": 1},
    },
    "status": {"conditions": [{"type": "Other", "status": "False"}, {"type": "Ready"}]},
}

_TABLES: Final = [
    case(
        "Table without columns of its own",
        definition(),
        post(WIDGETS, widget(), compare=False),
        get(WIDGET, accept=_TABLE, mask=("rows.*.cells.1", "**.description")),
        get(WIDGETS, accept=_TABLE, mask=("rows.*.cells.1", "**.description")),
    ),
    case(
        "Table with columns",
        definition(version(additionalPrinterColumns=_COLUMNS)),
        post(WIDGETS, widget(), compare=False),
        post(WIDGETS, {**widget("b"), **_ROW}, compare=False),
        post(
            WIDGETS,
            {
                **widget("c", status={"conditions": [{"type": "Ready", "status": "True"}]}),
                "metadata": {"name": "c", "labels": {"a.b/c": "v"}},
                "spec": {"a": 5, "n": "text", "f": 2, "b": "yes", "list": []},
            },
            compare=False,
        ),
        get(
            f"{WIDGETS}?includeObject=None",
            accept=_TABLE,
            mask=("rows.*.cells.5", "columnDefinitions.*.description"),
        ),
    ),
]

_SCALES: Final = [
    case(
        "scale",
        definition(version(subresources={"scale": _SCALE, "status": {}})),
        post(WIDGETS, widget(spec={"replicas": 2}), compare=False),
        get(f"{WIDGET}/scale"),
        patch(f"{WIDGET}/status", {"status": {"replicas": 1, "selector": "a=b"}}, compare=False),
        get(f"{WIDGET}/scale"),
        patch(f"{WIDGET}/scale", {"spec": {"replicas": 5}}),
        get(WIDGET),
        patch(f"{WIDGET}/scale", {"spec": {"replicas": -1}}),
        put(
            f"{WIDGET}/scale",
            {
                "apiVersion": "autoscaling/v1",
                "kind": "Scale",
                "metadata": {"name": "a", "namespace": "{ns}"},
                "spec": {"replicas": 7},
                "status": {"replicas": 99},
            },
        ),
        get(WIDGET),
        get(f"{WIDGETS}/absent/scale"),
        patch(WIDGET, {"spec": {"replicas": -2}}),
    ),
    case(
        "scale of what has no replicas",
        definition(version(subresources={"scale": _SCALE})),
        post(WIDGETS, widget(), compare=False),
        get(f"{WIDGET}/scale"),
        patch(f"{WIDGET}/scale", {"spec": {"replicas": 3}}),
        get(WIDGET),
    ),
    case(
        "scale that is not there",
        definition(),
        post(WIDGETS, widget(), compare=False),
        get(f"{WIDGET}/scale"),
    ),
]

_SELECTED: Final = [
    case(
        "selectable fields",
        definition(
            version(
                schema=fields(size=_TEXT, on={"type": "boolean"}, n=_NUMBER),
                selectableFields=[
                    {"jsonPath": ".spec.size"},
                    {"jsonPath": ".spec.on"},
                    {"jsonPath": ".spec.n"},
                ],
            )
        ),
        post(WIDGETS, widget(spec={"size": "big", "on": True, "n": 3}), compare=False),
        post(WIDGETS, widget("b", spec={"size": "small"}), compare=False),
        *(
            get(f"{WIDGETS}?fieldSelector={selector}")
            for selector in (
                "spec.size=big",
                "spec.size!=big",
                "spec.on=true",
                "spec.n=3",
                "spec.on=",
                "metadata.name=b,spec.size=small",
                "spec.other=x",
                "metadata.namespace!=x",
                "metadata.labels=x",
            )
        ),
        delete(f"{WIDGETS}?fieldSelector=spec.size=big"),
        get(WIDGETS),
    ),
    case(
        "labels select",
        definition(),
        post(WIDGETS, {**widget(), "metadata": {"name": "a", "labels": {"x": "y"}}}, compare=False),
        get(f"{WIDGETS}?labelSelector=x=y"),
        get(f"{WIDGETS}?labelSelector=x!=y"),
        get(f"{WIDGETS}?fieldSelector=spec.size=big"),
    ),
]

_YAML: Final = """
apiVersion: {name}.example.com/v1
kind: Widget
metadata:
  name: a
"""

_OTHERS: Final = [
    case(
        "collection is deleted",
        definition(),
        post(WIDGETS, widget(), compare=False),
        post(WIDGETS, widget("b"), compare=False),
        delete(WIDGETS),
        get(WIDGETS),
    ),
    case(
        "delete answers and options",
        definition(),
        post(WIDGETS, widget(), compare=False),
        delete(WIDGET, {"preconditions": {"uid": "x"}}),
        delete(WIDGET, {"propagationPolicy": "Background"}),
        get(WIDGET, until=lambda answer: answer.status == 404, timeout_s=60),
        delete(WIDGET),
    ),
    case(
        "kinds of bodies",
        definition(),
        post(WIDGETS, _YAML, content_type="application/yaml"),
        get(WIDGETS, accept="application/vnd.kubernetes.protobuf"),
        get(WIDGETS, accept="application/yaml"),
        post(WIDGETS, widget("b"), content_type="text/plain"),
    ),
    case(
        "partial objects",
        definition(),
        post(WIDGETS, widget(), compare=False),
        get(WIDGET, accept="application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"),
        get(WIDGETS, accept="application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"),
    ),
    case(
        "pages of a list",
        definition(),
        *(post(WIDGETS, widget(name), compare=False) for name in "abc"),
        get(f"{WIDGETS}?limit=2"),
        get(f"{WIDGETS}?limit=2&continue={{6.metadata.continue}}"),
    ),
    case(
        "paths that are not there",
        definition(),
        get(f"{_V1}/gadgets"),
        get(f"{_V2}/widgets"),
        get(f"{WIDGET}/log"),
        post(WIDGET, widget()),
        put(WIDGETS, widget()),
        get(WIDGET),
    ),
    case(
        "webhook conversion that answers nothing",
        _both(
            conversion={
                "strategy": "Webhook",
                "webhook": {
                    "clientConfig": {"url": "https://127.0.0.1:1/convert"},
                    "conversionReviewVersions": ["v1"],
                },
            }
        ),
        post(WIDGETS, widget(spec={"a": "x"})),
        get(WIDGET),
        get(_V2_WIDGETS, until=lambda answer: answer.status != 404, mask=("message",)),
        get(_V2_WIDGET, mask=("message",)),
        post(_V2_WIDGETS, widget("b", api="v2"), mask=("message",)),
    ),
]

CASES: Final[list[Case]] = [
    *_DISCOVERY,
    *_VERSIONS,
    *_TABLES,
    *_SCALES,
    *_SELECTED,
    *_OTHERS,
]
