"""Cases: kinds that two groups or versions show, each a view of the same stored objects."""

from __future__ import annotations

from typing import Any, Final

from tests.conformance.case import (
    APPLY,
    JSON_PATCH,
    STRATEGIC,
    Case,
    Step,
    delete,
    get,
    patch,
    post,
    put,
    watch,
)

_CORE: Final = "/api/v1/namespaces/{ns}/events"
_NEW: Final = "/apis/events.k8s.io/v1/namespaces/{ns}/events"
_V1: Final = "/apis/autoscaling/v1/namespaces/{ns}/horizontalpodautoscalers"
_V2: Final = "/apis/autoscaling/v2/namespaces/{ns}/horizontalpodautoscalers"
_TABLE: Final = "application/json;as=Table;v=v1;g=meta.k8s.io"
_WORDS: Final = ("columnDefinitions.*.description",)

_POD: Final = {"kind": "Pod", "namespace": "{ns}", "name": "p", "uid": "u-1", "apiVersion": "v1"}
_NEW_EVENT: Final[dict[str, Any]] = {
    "metadata": {"name": "e", "labels": {"a": "b"}},
    "eventTime": "2026-01-02T03:04:05.000006Z",
    "reason": "Started",
    "action": "Start",
    "type": "Normal",
    "note": "it went well",
    "reportingController": "example.com/starter",
    "reportingInstance": "starter-1",
    "regarding": _POD,
}
_CORE_EVENT: Final[dict[str, Any]] = {
    "metadata": {"name": "e"},
    "reason": "Started",
    "type": "Normal",
    "message": "it went well",
    "source": {"component": "kubelet", "host": "n"},
    "firstTimestamp": "2026-01-02T03:04:05Z",
    "lastTimestamp": "2026-01-02T03:04:06Z",
    "count": 3,
    "involvedObject": _POD,
}
_TARGET: Final = {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}
_METRICS: Final[list[dict[str, Any]]] = [
    {
        "type": "Resource",
        "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}},
    },
    {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
    },
    {
        "type": "Pods",
        "pods": {
            "metric": {"name": "p<&>q", "selector": {"matchLabels": {"x": "y"}}},
            "target": {"type": "AverageValue", "averageValue": "10"},
        },
    },
    {
        "type": "Object",
        "object": {
            "metric": {"name": "o"},
            "describedObject": {"kind": "Service", "name": "s"},
            "target": {"type": "Value", "value": "3"},
        },
    },
    {
        "type": "External",
        "external": {"metric": {"name": "e"}, "target": {"type": "Value", "value": "7"}},
    },
    {
        "type": "ContainerResource",
        "containerResource": {
            "name": "cpu",
            "container": "c",
            "target": {"type": "Utilization", "averageUtilization": 60},
        },
    },
]
_BEHAVIOR: Final = {
    "scaleDown": {
        "stabilizationWindowSeconds": 60,
        "policies": [{"type": "Pods", "value": 1, "periodSeconds": 30}],
    }
}
_STATUS: Final = {
    "observedGeneration": 1,
    "currentReplicas": 2,
    "desiredReplicas": 3,
    "lastScaleTime": "2026-01-02T03:04:05Z",
    "currentMetrics": [
        {
            "type": "Resource",
            "resource": {
                "name": "cpu",
                "current": {"averageUtilization": 40, "averageValue": "400m"},
            },
        }
    ],
    "conditions": [
        {
            "type": "AbleToScale",
            "status": "True",
            "lastTransitionTime": "2026-01-02T03:04:05Z",
            "reason": "ReadyForNewScale",
            "message": "well",
        }
    ],
}


def _scaler(**spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "h", "annotations": {"own": "kept"}},
        "spec": {"scaleTargetRef": _TARGET, "maxReplicas": 5, **spec},
    }


_FULL: Final = _scaler(metrics=_METRICS, behavior=_BEHAVIOR)
_TWO_METRICS: Final = _scaler(metrics=_METRICS[:2], behavior=_BEHAVIOR)
_WITH_STATUS: Final = [
    post(_V2, _FULL, compare=False),
    put(f"{_V2}/h/status", {**_FULL, "status": _STATUS}, compare=False),
]


def _event(**changes: Any) -> dict[str, Any]:
    return {key: it for key, it in (_NEW_EVENT | changes).items() if it is not None}


def _refused(name: str, **changes: Any) -> Case:
    return Case(f"views: an event of events.k8s.io {name}", [post(_NEW, _event(**changes))])


def _update(name: str, step: Step) -> Case:
    return Case(f"views: {name}", [post(_NEW, _NEW_EVENT), step, get(f"{_CORE}/e")])


_SERIES: Final = {"count": 4, "lastObservedTime": "2026-01-02T03:05:05.000000Z"}

CASES: Final[list[Case]] = [
    Case(
        "views: an event of events.k8s.io is the core group's",
        [post(_NEW, _NEW_EVENT), get(f"{_CORE}/e"), get(_CORE), get(f"{_NEW}/e"), get(_NEW)],
        managed_fields=True,
    ),
    Case(
        "views: an event of the core group is events.k8s.io's",
        [post(_CORE, _CORE_EVENT), get(f"{_NEW}/e"), get(_NEW)],
        managed_fields=True,
    ),
    Case(
        "views: events of all namespaces",
        [get("/apis/events.k8s.io/v1/events?limit=1", mask=("items", "metadata"))],
    ),
    _refused("without anything", **(dict.fromkeys(_NEW_EVENT) | {"metadata": {"name": "e"}})),
    _refused("without a time", eventTime=None),
    _refused("without action and reason", action=None, reason=None),
    _refused("of a controller with no name", reportingController="a b"),
    _refused("without a controller", reportingController=None, reportingInstance=None),
    _refused("of another type", type="Odd"),
    _refused("with old fields", deprecatedCount=3, deprecatedSource={"component": "x"}),
    _refused("with old times", deprecatedFirstTimestamp="2026-01-02T03:04:05Z"),
    _refused("of a short series", series={"count": 1}),
    _refused("of another namespace", regarding={**_POD, "namespace": ""}),
    _refused("with a long note", note="x" * 1025),
    _refused("with a long action", action="x" * 129),
    _refused("with a wrong type", note=3),
    Case(
        "views: a new event through the core group",
        [post(_CORE, {**_CORE_EVENT, "eventTime": _NEW_EVENT["eventTime"]})],
    ),
    Case("views: an event twice", [post(_NEW, _NEW_EVENT), post(_NEW, _NEW_EVENT)]),
    Case("views: an event that is not there", [get(f"{_NEW}/none"), delete(f"{_NEW}/none")]),
    _update("a series is counted", patch(f"{_NEW}/e", {"series": _SERIES}, STRATEGIC)),
    _update("a series is patched", patch(f"{_NEW}/e", {"series": _SERIES})),
    _update("a note changes", patch(f"{_NEW}/e", {"note": "other"})),
    _update("regarding changes", patch(f"{_NEW}/e", {"regarding": {"name": "q"}})),
    _update("a label changes", patch(f"{_NEW}/e", {"metadata": {"labels": {"c": "d"}}})),
    _update(
        "an event by JSON patch",
        patch(f"{_NEW}/e", [{"op": "replace", "path": "/note", "value": "x"}], JSON_PATCH),
    ),
    _update("an event by update", put(f"{_NEW}/e", _event(series=_SERIES))),
    _update(
        "an event from another version",
        put(f"{_NEW}/e", _event(metadata={"name": "e", "resourceVersion": "1"})),
    ),
    _update("the core event changes", patch(f"{_CORE}/e", {"message": "other", "count": 2})),
    Case("views: an event is deleted", [post(_NEW, _NEW_EVENT), delete(f"{_NEW}/e"), get(_CORE)]),
    Case(
        "views: all events are deleted",
        [post(_CORE, _CORE_EVENT), delete(_NEW), get(_CORE), get(_NEW)],
    ),
    *(
        Case(
            f"views: events where {selector}",
            [post(_NEW, _NEW_EVENT), get(f"{_NEW}?fieldSelector={selector}")],
        )
        for selector in (
            "regarding.name=p",
            "regarding.name=q",
            "reportingController=example.com/starter",
            "reason=Started,type!=Warning",
            "metadata.name=e",
            "involvedObject.name=p",
            "source=x",
        )
    ),
    Case(
        "views: a table of events",
        [
            post(_NEW, _NEW_EVENT),
            get(_NEW, accept=_TABLE, mask=_WORDS),
            get(f"{_NEW}/e", accept=_TABLE, mask=_WORDS),
        ],
    ),
    Case(
        "views: a watch of events sees the core group's",
        [
            watch(
                _NEW,
                2,
                during=(
                    post(_CORE, _CORE_EVENT),
                    patch(f"{_CORE}/e", {"count": 4}),
                ),
            )
        ],
    ),
    Case(
        "views: a watch of the core group's events sees the others",
        [watch(_CORE, 2, during=(post(_NEW, _NEW_EVENT), delete(f"{_NEW}/e")))],
    ),
    Case(
        "views: a selective watch of events",
        [
            watch(
                f"{_NEW}?fieldSelector=regarding.name=p",
                1,
                during=(
                    post(_CORE, {**_CORE_EVENT, "involvedObject": {**_POD, "name": "q"}}),
                    post(_NEW, _event(metadata={"name": "f"})),
                ),
            )
        ],
    ),
    Case(
        "views: an event is applied",
        [
            patch(
                f"{_NEW}/e?fieldManager=k",
                {**_NEW_EVENT, "kind": "Event", "apiVersion": "events.k8s.io/v1"},
                APPLY,
            ),
            get(f"{_CORE}/e"),
        ],
        managed_fields=True,
    ),
    Case(
        "views: an autoscaler with everything",
        [post(_V2, _FULL), get(f"{_V1}/h"), get(_V1)],
        managed_fields=True,
    ),
    Case("views: an autoscaler of v1", [post(_V1, _scaler()), get(f"{_V2}/h"), get(f"{_V1}/h")]),
    Case(
        "views: an autoscaler of v1 with a target",
        [
            post(_V1, _scaler(targetCPUUtilizationPercentage=70, minReplicas=2)),
            get(f"{_V2}/h"),
            patch(f"{_V1}/h", {"spec": {"targetCPUUtilizationPercentage": 75}}),
            get(f"{_V2}/h"),
        ],
        managed_fields=True,
    ),
    Case(
        "views: an autoscaler's status in v1",
        [*_WITH_STATUS, get(f"{_V1}/h", mask=("status.lastScaleTime",)), get(f"{_V2}/h")],
    ),
    Case(
        "views: an autoscaler goes through v1 unchanged",
        [
            *_WITH_STATUS,
            get(f"{_V1}/h"),
            put(f"{_V1}/h", "{2}", compare=False),
            get(f"{_V2}/h"),
        ],
    ),
    Case(
        "views: an autoscaler's maximum through v1",
        [post(_V2, _FULL), patch(f"{_V1}/h", {"spec": {"maxReplicas": 9}}), get(f"{_V2}/h")],
    ),
    Case(
        "views: an autoscaler's status through v1",
        [
            post(_V2, _FULL),
            patch(
                f"{_V1}/h/status",
                {"status": {"currentReplicas": 4, "currentCPUUtilizationPercentage": 9}},
            ),
            get(f"{_V2}/h"),
        ],
    ),
    Case("views: a bad autoscaler of v1", [post(_V1, _scaler(maxReplicas=0))]),
    Case(
        "views: an autoscaler of v1 with annotations that are not read",
        [
            post(
                _V1,
                {
                    **_scaler(),
                    "metadata": {
                        "name": "h",
                        "annotations": {
                            "autoscaling.alpha.kubernetes.io/metrics": "no",
                            "autoscaling.alpha.kubernetes.io/behavior": "{}",
                        },
                    },
                },
            ),
            get(f"{_V2}/h"),
        ],
    ),
    Case(
        "views: a table of autoscalers",
        [
            post(
                _V2, _scaler(metrics=[_METRICS[0], _METRICS[1]], behavior=_BEHAVIOR), compare=False
            ),
            get(_V1, accept=_TABLE, mask=_WORDS),
            get(_V2, accept=_TABLE, mask=_WORDS),
        ],
    ),
    Case(
        "views: a watch of autoscalers",
        [watch(_V1, 2, during=(post(_V2, _FULL), patch(f"{_V2}/h", {"spec": {"maxReplicas": 6}})))],
    ),
    Case("views: autoscalers are deleted", [post(_V2, _FULL), delete(f"{_V1}/h"), get(_V2)]),
    Case(
        "views: discovery of both",
        [
            get("/apis/events.k8s.io/v1"),
            get("/apis/autoscaling/v1"),
            get("/apis/autoscaling"),
            get("/apis/events.k8s.io"),
        ],
    ),
]
