"""Definitions: what is refused, what is defaulted, names that are taken, changes, and the end."""

from __future__ import annotations

from typing import Any, Final

from tests.conformance.case import JSON_PATCH, Case, delete, get, patch, post, put
from tests.conformance.definitions import (
    ANYTHING,
    DEFINITIONS,
    GROUP,
    NAME,
    NAMES,
    ONE,
    WIDGET,
    WIDGETS,
    case,
    definition,
    fields,
    served,
    settled,
    version,
    widget,
)

_SCHEMALESS: Final = {"name": "v1", "served": True, "storage": True}
_STATUS: Final[dict[str, Any]] = {"status": {}}


def _text(**more: Any) -> dict[str, Any]:
    return {"type": "string", **more}


def _listed(*keys: str, **items: Any) -> dict[str, Any]:
    rules = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}
    return {"type": "array", "items": {"type": "object", **items}, **rules}


#: what is wrong -> the definition
_REFUSED: Final[dict[str, dict[str, Any]]] = {
    "no schema": definition(_SCHEMALESS),
    "no schema in one of two": definition(version(), {**_SCHEMALESS, "name": "v2"}),
    "no versions": {**definition(), "spec": {**definition()["spec"], "versions": []}},
    "no storage": definition(version(storage=False)),
    "two storages": definition(version(), version("v2")),
    "one version twice": definition(version(), version(storage=False)),
    "a version's name": definition(version("V_1")),
    "no names": definition(names={}),
    "names that are none": definition(
        names={"plural": "widgets", "kind": "Wid_get", "shortNames": ["W!"], "singular": "A"}
    ),
    "kind and list kind alike": definition(names={**NAMES, "listKind": "Widget"}),
    "a category that is none": definition(names={**NAMES, "categories": ["All"]}),
    "another name": {**definition(), "metadata": {"name": "gadgets.{name}.example.com"}},
    "no scope": definition(scope=""),
    "another scope": definition(scope="Galactic"),
    "a group that is none": definition(group="Example_Com"),
    "a group without a dot": definition(group="example"),
    "a protected group": {
        **definition(group="{name}.k8s.io"),
        "metadata": {"name": "widgets.{name}.k8s.io"},
    },
    "preserving all": definition(preserveUnknownFields=True),
    "no type": definition(version(schema={"properties": {"spec": {"type": "object"}}})),
    "no type inside": definition(version(schema=fields(size={}))),
    "no type of items": definition(version(schema=fields(sizes={"type": "array", "items": {}}))),
    "no items": definition(version(schema=fields(sizes={"type": "array"}))),
    "an unknown type": definition(version(schema=fields(size={"type": "text"}))),
    "a reference": definition(version(schema=fields(size={"$ref": "#/definitions/a"}))),
    "unique items": definition(
        version(schema=fields(sizes={"type": "array", "uniqueItems": True, "items": _text()}))
    ),
    "properties and others": definition(
        version(
            schema=fields(
                a={"type": "object", "properties": {"b": _text()}, "additionalProperties": _text()}
            )
        )
    ),
    "others at the root": definition(
        version(schema={"type": "object", "additionalProperties": _text()})
    ),
    "a pattern that is none": definition(version(schema=fields(size=_text(pattern="a(b")))),
    "a default of another type": definition(version(schema=fields(size=_text(default=1)))),
    "a default that is no choice": definition(
        version(schema=fields(size=_text(default="x", enum=["a", "b"])))
    ),
    "a default with unknown fields": definition(
        version(schema=fields(a={"type": "object", "default": {"b": 1}}))
    ),
    "a default of metadata": definition(
        version(
            schema={
                "type": "object",
                "properties": {
                    "metadata": {
                        "type": "object",
                        "properties": {"name": {"type": "string", "default": "a"}},
                    }
                },
            }
        )
    ),
    "rules of metadata": definition(
        version(
            schema={
                "type": "object",
                "properties": {
                    "metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}
                },
            }
        )
    ),
    "types in branches": definition(
        version(schema=fields(size={"type": "string", "anyOf": [{"type": "string"}]}))
    ),
    "a branch about what is not there": definition(
        version(schema={**fields(), "oneOf": [{"properties": {"spec": {"properties": {"a": {}}}}}]})
    ),
    "a set of objects": definition(
        version(
            schema=fields(
                a={"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "set"}
            )
        )
    ),
    "a map list without keys": definition(version(schema=fields(a=_listed()))),
    "a map list with an unknown key": definition(version(schema=fields(a=_listed("b")))),
    "a map list with an optional key": definition(
        version(schema=fields(a=_listed("b", properties={"b": _text()})))
    ),
    "a map list with a key twice": definition(
        version(schema=fields(a=_listed("b", "b", properties={"b": _text()}, required=["b"])))
    ),
    "a list type of a string": definition(
        version(schema=fields(a=_text(**{"x-kubernetes-list-type": "set"})))
    ),
    "an unknown list type": definition(
        version(
            schema=fields(a={"type": "array", "items": _text(), "x-kubernetes-list-type": "bag"})
        )
    ),
    "an unknown map type": definition(
        version(schema=fields(a={"type": "object", "x-kubernetes-map-type": "loose"}))
    ),
    "int-or-string with a type": definition(
        version(schema=fields(a=_text(**{"x-kubernetes-int-or-string": True})))
    ),
    "preserving nothing": definition(
        version(schema=fields(a={"type": "object", "x-kubernetes-preserve-unknown-fields": False}))
    ),
    "embedded without a type": definition(
        version(schema=fields(a={"x-kubernetes-embedded-resource": True}))
    ),
    "nullable at the root": definition(version(schema={**ANYTHING, "nullable": True})),
    "a root that is no object": definition(
        version(schema={"type": "array", "items": _text()}, subresources=_STATUS)
    ),
    "columns": definition(
        version(
            additionalPrinterColumns=[
                {"name": "", "type": "text", "jsonPath": "spec.a"},
                {"name": "B", "type": "integer", "format": "big", "jsonPath": ""},
            ]
        )
    ),
    "a column with a bad path": definition(
        version(additionalPrinterColumns=[{"name": "A", "type": "string", "jsonPath": ".a["}])
    ),
    "scale without paths": definition(
        version(subresources={"scale": {"specReplicasPath": "", "statusReplicasPath": ".spec.r"}})
    ),
    "scale with paths elsewhere": definition(
        version(
            subresources={
                "scale": {
                    "specReplicasPath": ".status.replicas",
                    "statusReplicasPath": ".status.replicas[0]",
                    "labelSelectorPath": ".metadata.labels",
                }
            }
        )
    ),
    "selectable fields": definition(
        version(
            schema=fields(size=_text(), many={"type": "array", "items": _text()}),
            selectableFields=[
                {"jsonPath": ".spec.odd"},
                {"jsonPath": ".spec.many"},
                {"jsonPath": ".metadata.name"},
                {"jsonPath": ".spec.size"},
                {"jsonPath": ".spec.size"},
                {"jsonPath": ".spec['size']"},
            ],
        )
    ),
    "a warning without deprecation": definition(version(deprecationWarning="old")),
    "an empty warning": definition(version(deprecated=True, deprecationWarning="")),
    "an unknown conversion": definition(conversion={"strategy": "Magic"}),
    "a webhook without a client": definition(conversion={"strategy": "Webhook"}),
    "a webhook by an odd address": definition(
        conversion={
            "strategy": "Webhook",
            "webhook": {
                "clientConfig": {"url": "http://me@example.com/a?b#c"},
                "conversionReviewVersions": ["v9"],
            },
        }
    ),
    "a webhook for no conversion": definition(
        conversion={
            "strategy": "None",
            "webhook": {
                "clientConfig": {"url": "https://example.com"},
                "conversionReviewVersions": ["v1"],
            },
        }
    ),
}

_OTHER: Final = f"{DEFINITIONS}/gadgets.{GROUP}"


def _rival(**names: Any) -> dict[str, Any]:
    """Make a definition that wants a name which Widgets have."""
    made = definition(names={"plural": "gadgets", "kind": "Gadget", **names})
    return {**made, "metadata": {"name": f"gadgets.{GROUP}"}}


def _conflict(name: str, **names: Any) -> Case:
    first = definition(names={**NAMES, "singular": "widget", "shortNames": ["wi"]})
    steps = [
        *served(first),
        post(DEFINITIONS, _rival(**names)),
        get(_OTHER, until=settled),
        get(f"/apis/{GROUP}/v1"),
    ]
    return Case(f"customresources: taken {name}", steps, (ONE, _OTHER))


_LIFE: Final = [
    Case(
        "customresources: definition made, established, read",
        [
            post(DEFINITIONS, definition()),
            get(ONE, until=settled),
            get(f"{ONE}/status"),
        ],
        (ONE,),
    ),
    Case(
        "customresources: definition as a dry run",
        [post(f"{DEFINITIONS}?dryRun=All", definition()), get(ONE)],
    ),
    Case(
        "customresources: definition of two versions, of which one stores",
        [
            post(DEFINITIONS, definition(version(storage=False), version("v2"))),
            get(ONE, until=settled),
        ],
        (ONE,),
    ),
    Case(
        "customresources: definition with a webhook to a service",
        [
            post(
                DEFINITIONS,
                definition(
                    conversion={
                        "strategy": "Webhook",
                        "webhook": {
                            "clientConfig": {"service": {"name": "a", "namespace": "b"}},
                            "conversionReviewVersions": ["v1"],
                        },
                    }
                ),
            ),
        ],
        (ONE,),
    ),
    Case(
        "customresources: rival gets the names when the holder goes",
        [
            *served(definition()),
            post(DEFINITIONS, _rival(shortNames=["widgets"]), compare=False),
            get(_OTHER, until=settled),
            delete(ONE, compare=False),
            get(ONE, until=lambda answer: answer.status == 404, timeout_s=60),
            get(
                _OTHER,
                until=lambda answer: (
                    settled(answer) and answer.at("status.acceptedNames.shortNames") is not None
                ),
                timeout_s=60,
            ),
        ],
        (ONE, _OTHER),
    ),
    case(
        "definition's names, scope and group do not change",
        definition(),
        patch(ONE, {"spec": {"names": {"plural": "others", "kind": "Other"}}}),
        patch(ONE, {"spec": {"scope": "Cluster"}}),
        patch(ONE, {"spec": {"group": "other.example.com"}}),
        patch(ONE, {"spec": {"names": {"kind": "Other", "listKind": "OtherList"}}}),
    ),
    case(
        "definition's short names and categories change",
        definition(),
        patch(ONE, {"spec": {"names": {"shortNames": ["wi"], "categories": ["all"]}}}),
        get(ONE, until=lambda answer: answer.at("status.acceptedNames.shortNames")),
    ),
    case(
        "another version stores",
        definition(version(), version("v2", storage=False)),
        patch(
            ONE,
            [
                {"op": "replace", "path": "/spec/versions/0/storage", "value": False},
                {"op": "replace", "path": "/spec/versions/1/storage", "value": True},
            ],
            JSON_PATCH,
        ),
        patch(ONE, {"spec": {"versions": [version("v2")]}}),
        patch(f"{ONE}/status", {"status": {"storedVersions": ["v2"]}}),
        patch(ONE, {"spec": {"versions": [version("v2")]}}),
        get(ONE),
    ),
    case(
        "status of a definition is written alone",
        definition(),
        patch(f"{ONE}/status", {"status": {"storedVersions": []}}),
        patch(f"{ONE}/status", {"status": {"storedVersions": ["v9"]}}),
        patch(f"{ONE}/status", {"spec": {"scope": "Cluster"}, "metadata": {"labels": {"a": "b"}}}),
        patch(ONE, {"status": {"acceptedNames": {"plural": "other", "kind": "Other"}}}),
    ),
    case(
        "definition put again without what is defaulted",
        definition(),
        get(ONE, until=settled, compare=False),
        put(
            ONE,
            {
                **definition(),
                "metadata": {"name": NAME, "resourceVersion": "{3.metadata.resourceVersion}"},
            },
        ),
    ),
    case(
        "objects go with their definition",
        definition(),
        post(WIDGETS, widget(), compare=False),
        delete(ONE),
        get(ONE, until=lambda answer: answer.status == 404, timeout_s=60),
        get(WIDGETS, until=lambda answer: answer.status == 404, timeout_s=60),
    ),
    case(
        "definition waits for objects with finalizers",
        definition(),
        post(
            WIDGETS,
            {**widget(), "metadata": {"name": "a", "finalizers": ["example.com/hold"]}},
            compare=False,
        ),
        delete(ONE, compare=False),
        get(WIDGET, until=lambda answer: answer.at("metadata.deletionTimestamp"), timeout_s=60),
        get(
            ONE,
            until=lambda answer: "InstanceDeletionInProgress" in str(answer.body),
            timeout_s=60,
        ),
        post(WIDGETS, widget("b")),
        patch(WIDGET, {"metadata": {"finalizers": None}}, compare=False),
        get(ONE, until=lambda answer: answer.status == 404, timeout_s=60),
    ),
]

CASES: Final[list[Case]] = [
    *(
        Case(f"customresources: refused for {name}", [post(DEFINITIONS, made)], (ONE,))
        for name, made in _REFUSED.items()
    ),
    _conflict("plural as a short name", shortNames=["widgets"]),
    _conflict("singular", singular="widget"),
    _conflict("short name", shortNames=["wi", "ga"]),
    _conflict("kind", kind="Widget"),
    _conflict("list kind", listKind="WidgetList"),
    *_LIFE,
]
