"""Autoscalers of autoscaling/v1: what v1 has no fields for goes into annotations, and comes back from them.

The texts of the annotations are what a real server writes: v1's own forms in the order of Go's fields,
except for the behaviour, which has the names of Go's internal type.
Source: k8s.io/kubernetes pkg/apis/autoscaling/v1 (conversion).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from capim.api.views import View

if TYPE_CHECKING:
    from collections.abc import Callable

    from capim.api.meta import JsonObject

_PREFIX: Final = "autoscaling.alpha.kubernetes.io/"
_METRICS: Final = f"{_PREFIX}metrics"
_CURRENT: Final = f"{_PREFIX}current-metrics"
_CONDITIONS: Final = f"{_PREFIX}conditions"
_BEHAVIOR: Final = f"{_PREFIX}behavior"
_OWN: Final = (
    _METRICS,
    _CURRENT,
    _CONDITIONS,
    _BEHAVIOR,
    f"{_PREFIX}scale-down-tolerance",
    f"{_PREFIX}scale-up-tolerance",
)
_DEFAULT_CPU: Final = 80
_ESCAPES: Final = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
_RULES: Final = ("stabilizationWindowSeconds", "selectPolicy", "policies", "tolerance")
_POLICY: Final = ("type", "value", "periodSeconds")
_DIRECTIONS: Final = ("scaleUp", "scaleDown")


def _of_stored(autoscaler: JsonObject) -> JsonObject:
    spec: JsonObject = autoscaler.get("spec") or {}
    status: JsonObject = autoscaler.get("status") or {}
    metrics, current = spec.get("metrics") or [], status.get("currentMetrics") or []
    notes: JsonObject = {}
    if other := [_metric(it, "target", _TARGETS) for it in metrics if not _is_cpu(it, "target")]:
        notes[_METRICS] = _text(other)
    if current:
        notes[_CURRENT] = _text([_metric(it, "current", _CURRENTS) for it in current])
    if behavior := spec.get("behavior"):
        notes[_BEHAVIOR] = _text({_go(it): _rules(behavior.get(it)) for it in _DIRECTIONS})
    if conditions := status.get("conditions"):
        notes[_CONDITIONS] = _text([_condition(it) for it in conditions])
    shown = _only(spec, "scaleTargetRef", "minReplicas", "maxReplicas")
    cpu = (_utilization(it, "target") for it in metrics if _is_cpu(it, "target"))
    if (percent := next(cpu, None)) is not None:
        shown["targetCPUUtilizationPercentage"] = percent
    state = _only(
        status, "observedGeneration", "lastScaleTime", "currentReplicas", "desiredReplicas"
    )
    for metric in current:
        if _is_cpu(metric, "current"):
            state["currentCPUUtilizationPercentage"] = _utilization(metric, "current")
    metadata = _annotated(autoscaler["metadata"], notes)
    return autoscaler | {"metadata": metadata, "spec": shown, "status": state}


def _to_stored(autoscaler: JsonObject) -> JsonObject:
    spec: JsonObject = dict(autoscaler.get("spec") or {})
    status: JsonObject = dict(autoscaler.get("status") or {})
    notes: JsonObject = autoscaler["metadata"].get("annotations") or {}
    percent = spec.pop("targetCPUUtilizationPercentage", None)
    metrics = [_metric_back(it, "target", _TARGETS) for it in _list_of(notes, _METRICS)]
    if percent is not None or not metrics:
        metrics.append(_cpu("target", _DEFAULT_CPU if percent is None else percent))
    spec["metrics"] = metrics
    spec.setdefault("minReplicas", 1)
    if behavior := _parsed(notes, _BEHAVIOR, dict):
        spec["behavior"] = {it: _rules_back(behavior[_go(it)]) for it in _set(behavior)}
    used = status.pop("currentCPUUtilizationPercentage", None)
    current = [_cpu("current", used)] if used is not None else []
    if _CURRENT in notes:
        current = [_metric_back(it, "current", _CURRENTS) for it in _list_of(notes, _CURRENT)]
    if current:
        status["currentMetrics"] = current
    if conditions := _list_of(notes, _CONDITIONS):
        status["conditions"] = conditions
    metadata = _annotated(autoscaler["metadata"], {})
    return autoscaler | {"metadata": metadata, "spec": spec, "status": status}


VIEW: Final = View(of_stored=_of_stored, to_stored=_to_stored)


def _annotated(metadata: JsonObject, notes: JsonObject) -> JsonObject:
    """Return metadata with these of our annotations and no others."""
    kept = {k: v for k, v in (metadata.get("annotations") or {}).items() if k not in _OWN} | notes
    rest = {key: value for key, value in metadata.items() if key != "annotations"}
    return rest | ({"annotations": kept} if kept else {})


def _text(value: Any) -> str:
    """Write JSON as Go does."""
    return orjson.dumps(value).decode().translate(_ESCAPES)


def _parsed(notes: JsonObject, key: str, kind: type) -> Any:
    """Read an annotation; what cannot be read counts for nothing, as in a real server."""
    try:
        value = orjson.loads(notes.get(key, ""))
    except (orjson.JSONDecodeError, TypeError):
        return kind()
    return value if isinstance(value, kind) else kind()


def _list_of(notes: JsonObject, key: str) -> list[JsonObject]:
    return [it for it in _parsed(notes, key, list) if isinstance(it, dict)]


def _only(held: JsonObject, *keys: str) -> JsonObject:
    return {key: held[key] for key in keys if key in held}


def _present(**fields: Any) -> JsonObject:
    return {key: value for key, value in fields.items() if value is not None}


def _go(name: str) -> str:
    """Return the name of a Go field whose JSON name this is."""
    return name[:1].upper() + name[1:]


def _cpu(side: str, percent: int) -> JsonObject:
    values: JsonObject = {"averageUtilization": percent}
    if side == "target":
        values = {"type": "Utilization"} | values
    return {"type": "Resource", "resource": {"name": "cpu", side: values}}


def _utilization(metric: JsonObject, side: str) -> int | None:
    held: JsonObject = (metric.get("resource") or {}).get(side) or {}
    return held.get("averageUtilization")


def _is_cpu(metric: JsonObject, side: str) -> bool:
    """Tell whether a metric is what v1 has a field for."""
    is_cpu = (metric.get("resource") or {}).get("name") == "cpu"
    return metric.get("type") == "Resource" and is_cpu and _utilization(metric, side) is not None


def _condition(condition: JsonObject) -> JsonObject:
    made = _only(condition, "type", "status")
    made["lastTransitionTime"] = condition.get("lastTransitionTime")
    return made | _only(condition, "reason", "message")


def _rules(rules: JsonObject | None) -> JsonObject | None:
    if rules is None:
        return None
    made: JsonObject = {_go(key): rules.get(key) or None for key in _RULES}
    made["StabilizationWindowSeconds"] = rules.get("stabilizationWindowSeconds")
    if policies := rules.get("policies"):
        made["Policies"] = [{_go(key): it.get(key) for key in _POLICY} for it in policies]
    return made


def _set(behavior: JsonObject) -> list[str]:
    return [it for it in _DIRECTIONS if isinstance(behavior.get(_go(it)), dict)]


def _rules_back(rules: JsonObject) -> JsonObject:
    made = {key: rules[_go(key)] for key in _RULES if rules.get(_go(key)) is not None}
    if policies := made.get("policies"):
        made["policies"] = [{key: it.get(_go(key)) for key in _POLICY} for it in policies]
    return made


# --- metrics: what is wanted has `target` and type, what is measured has `current` ---------------------


def _metric(metric: JsonObject, side: str, names: dict[str, str]) -> JsonObject:
    """Return one metric as v1 writes it."""
    kind = metric.get("type", "")
    source = kind[:1].lower() + kind[1:]
    held: JsonObject = metric.get(source) or {}
    convert = _SOURCES.get(source)
    if convert is None:
        return {"type": kind}
    return {"type": kind, source: convert(held, held.get(side) or {}, names)}


def _object(held: JsonObject, values: JsonObject, names: dict[str, str]) -> JsonObject:
    metric: JsonObject = held.get("metric") or {}
    described = _only(held.get("describedObject") or {}, "kind", "name", "apiVersion")
    made = {"target": described, "metricName": metric.get("name", "")}
    made[names["value"]] = values.get("value", "0")
    return made | _present(selector=metric.get("selector"), averageValue=values.get("averageValue"))


def _pods(held: JsonObject, values: JsonObject, names: dict[str, str]) -> JsonObject:
    metric: JsonObject = held.get("metric") or {}
    made = {"metricName": metric.get("name", ""), names["average"]: values.get("averageValue", "0")}
    return made | _present(selector=metric.get("selector"))


def _resource(held: JsonObject, values: JsonObject, names: dict[str, str]) -> JsonObject:
    average = values.get("averageValue", None if names is _TARGETS else "0")
    made = {
        "name": held.get("name", ""),
        names["utilization"]: values.get("averageUtilization"),
        names["average"]: average,
        "container": held.get("container"),
    }
    return {key: value for key, value in made.items() if value is not None}


def _external(held: JsonObject, values: JsonObject, names: dict[str, str]) -> JsonObject:
    metric: JsonObject = held.get("metric") or {}
    made = {
        "metricName": metric.get("name", ""),
        "metricSelector": metric.get("selector"),
        names["value"]: values.get("value", None if names is _TARGETS else "0"),
        names["average"]: values.get("averageValue"),
    }
    return {key: value for key, value in made.items() if value is not None}


def _metric_back(metric: JsonObject, side: str, names: dict[str, str]) -> JsonObject:
    """Return one metric of v1 as it is stored."""
    kind = str(metric.get("type", ""))
    source = kind[:1].lower() + kind[1:]
    held = metric.get(source)
    if not isinstance(held, dict) or source not in _SOURCES:
        return {"type": kind}
    plain = source == "object"
    values = _present(
        value=held.get(names["value"]),
        averageValue=held.get("averageValue" if plain else names["average"]),
        averageUtilization=held.get(names["utilization"]),
    )
    if side == "target":
        values = {"type": _target_type(values)} | values
    made: JsonObject = {side: values}
    if "metricName" in held:
        selector = held.get("metricSelector") or held.get("selector")
        made["metric"] = _present(name=held["metricName"], selector=selector)
    if plain:
        made["describedObject"] = held.get("target") or {}
    return {"type": kind, source: made | _only(held, "name", "container")}


def _target_type(values: JsonObject) -> str:
    if "averageUtilization" in values:
        return "Utilization"
    return "Value" if "value" in values and "averageValue" not in values else "AverageValue"


_TARGETS: Final = {
    "value": "targetValue",
    "average": "targetAverageValue",
    "utilization": "targetAverageUtilization",
}
_CURRENTS: Final = {
    "value": "currentValue",
    "average": "currentAverageValue",
    "utilization": "currentAverageUtilization",
}
_SOURCES: Final[dict[str, Callable[[JsonObject, JsonObject, dict[str, str]], JsonObject]]] = {
    "object": _object,
    "pods": _pods,
    "resource": _resource,
    "containerResource": _resource,
    "external": _external,
}
