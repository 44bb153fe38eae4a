"""Printed columns of what runs pods: deployments and their kin, jobs, autoscalers, budgets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from capim.api.columns.definitions import (
    AGE,
    NAME,
    NONE,
    UNKNOWN,
    UNSET,
    Column,
    at,
    container_columns,
    count,
    human_duration,
    items_at,
    label_text,
    number,
    selector_column,
    since,
    text,
)
from capim.api.gvk import split_api_version
from capim.api.meta import get_condition, parse_time

if TYPE_CHECKING:
    from capim.api.columns.definitions import CellOf
    from capim.api.meta import JsonObject


def _ready_of(desired: str) -> CellOf:
    return lambda obj, _: f"{at(obj, 'status.readyReplicas') or 0}/{at(obj, desired) or 0}"


def _labels(path: str) -> CellOf:
    return lambda obj, _: label_text(at(obj, path))


DEPLOYMENTS: Final = (
    NAME,
    Column("Ready", _ready_of("spec.replicas"), "Pods that are ready, of those wanted"),
    Column("Up-to-date", number("status.updatedReplicas"), "Pods made from the present template"),
    Column("Available", number("status.availableReplicas"), "Pods that are available"),
    AGE,
    *container_columns(),
    selector_column(empty=""),
)
STATEFUL_SETS: Final = (
    NAME,
    Column("Ready", _ready_of("spec.replicas"), "Pods that are ready, of those wanted"),
    AGE,
    *container_columns(),
)
_REPLICAS: Final = (
    NAME,
    Column("Desired", number("spec.replicas"), "Pods that are wanted", "integer"),
    Column("Current", number("status.replicas"), "Pods that exist", "integer"),
    Column("Ready", number("status.readyReplicas"), "Pods that are ready", "integer"),
    AGE,
    *container_columns(),
)
REPLICA_SETS: Final = (*_REPLICAS, selector_column())
REPLICATION_CONTROLLERS: Final = (
    *_REPLICAS,
    Column("Selector", _labels("spec.selector"), "Selects the pods", priority=1),
)
DAEMON_SETS: Final = (
    NAME,
    Column("Desired", number("status.desiredNumberScheduled"), "Nodes that want a pod", "integer"),
    Column("Current", number("status.currentNumberScheduled"), "Nodes that have one", "integer"),
    Column("Ready", number("status.numberReady"), "Pods that are ready", "integer"),
    Column("Up-to-date", number("status.updatedNumberScheduled"), "Pods of this form", "integer"),
    Column("Available", number("status.numberAvailable"), "Pods that are available", "integer"),
    Column("Node Selector", _labels("spec.template.spec.nodeSelector"), "Selects the nodes"),
    AGE,
    *container_columns(),
    selector_column(),
)
POD_TEMPLATES: Final = (
    NAME,
    *(
        Column(one.name, one.cell, one.description) for one in container_columns("template")
    ),  # not wide here
    Column("Pod Labels", _labels("template.metadata.labels"), "Labels of the pods"),
)
SCALES: Final = (
    Column("Name", text("metadata.name"), "Unique within a namespace"),
    Column("Desired", number("spec.replicas"), "Pods that are wanted", "integer"),
    Column("Available", number("status.replicas"), "Pods that exist", "integer"),
    AGE,
)


def _controller(revision: JsonObject, _: float) -> str:
    owners = items_at(revision, "metadata.ownerReferences")
    owner = next((one for one in owners if one.get("controller")), None)
    if owner is None:
        return NONE
    group, _version = split_api_version(owner["apiVersion"])
    kind = f"{owner['kind']}.{group}" if group else owner["kind"]
    return f"{kind.lower()}/{owner['name']}"


CONTROLLER_REVISIONS: Final = (
    NAME,
    Column("Controller", _controller, "Whose history it is"),
    Column("Revision", number("revision"), "Counts up"),
    AGE,
)


# --- jobs --------------------------------------------------------------------------------------------


def _job_status(job: JsonObject, _: float) -> str:
    def holds(*kinds: str) -> str:
        conditions = ((kind, get_condition(job, kind) or {}) for kind in kinds)
        return next((kind for kind, found in conditions if found.get("status") == "True"), "")

    if ended := holds("Complete", "Failed"):
        return ended
    if at(job, "metadata.deletionTimestamp"):
        return "Terminating"
    return holds("Suspended", "FailureTarget", "SuccessCriteriaMet") or "Running"


def _job_completions(job: JsonObject, _: float) -> str:
    succeeded = at(job, "status.succeeded") or 0
    wanted = at(job, "spec.completions")
    if wanted is not None:
        return f"{succeeded}/{wanted}"
    parallel = at(job, "spec.parallelism") or 0
    return f"{succeeded}/1 of {parallel}" if parallel > 1 else f"{succeeded}/1"


def _job_duration(job: JsonObject, now: float) -> str:
    began, ended = at(job, "status.startTime"), at(job, "status.completionTime")
    if not began:
        return ""
    return human_duration((parse_time(ended) if ended else now) - parse_time(began))


JOBS: Final = (
    NAME,
    Column("Status", _job_status, "What the job is at"),
    Column("Completions", _job_completions, "Pods that succeeded, of those wanted"),
    Column("Duration", _job_duration, "How long it took, or has taken"),
    AGE,
    *container_columns(),
    selector_column(),
)


def _last_schedule(job: JsonObject, now: float) -> str:
    last = at(job, "status.lastScheduleTime")
    return since(last, now) if last else NONE


def _suspended(job: JsonObject, _: float) -> str:
    suspended = at(job, "spec.suspend")
    return UNSET if suspended is None else str(bool(suspended))


CRON_JOBS: Final = (
    NAME,
    Column("Schedule", text("spec.schedule"), "When it runs, as cron writes it"),
    Column("Timezone", text("spec.timeZone", NONE), "Whose clock that is"),
    Column("Suspend", _suspended, "Whether it pauses", "boolean"),
    Column("Active", count("status.active"), "Jobs that run now", "integer"),
    Column("Last Schedule", _last_schedule, "When it last ran"),
    AGE,
    *container_columns("spec.jobTemplate.spec.template"),
    selector_column("spec.jobTemplate.spec.selector"),
)


# --- budgets and autoscalers -------------------------------------------------------------------------


def _int_or_string(path: str) -> CellOf:
    return lambda obj, _: "N/A" if (value := at(obj, path)) is None else str(value)


POD_DISRUPTION_BUDGETS: Final = (
    NAME,
    Column("Min Available", _int_or_string("spec.minAvailable"), "How many must stay"),
    Column("Max Unavailable", _int_or_string("spec.maxUnavailable"), "How many may go"),
    Column(
        "Allowed Disruptions", number("status.disruptionsAllowed"), "How many may go now", "integer"
    ),
    AGE,
)

#: metric type -> the field that describes it
_METRIC_FIELDS: Final = {
    "External": "external",
    "Pods": "pods",
    "Object": "object",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}


def _targets(autoscaler: JsonObject, _: float) -> str:
    metrics = items_at(autoscaler, "spec.metrics")
    current = items_at(autoscaler, "status.currentMetrics")
    texts = [
        _metric(metric, current[index] if index < len(current) else {})
        for index, metric in enumerate(metrics)
    ]
    more = f" + {len(texts) - 2} more..." if len(texts) > 2 else ""
    return ", ".join(texts[:2]) + more if texts else NONE


def _metric(metric: JsonObject, current: JsonObject) -> str:
    """Write `current/target` of one metric; those of a resource name it."""
    field = _METRIC_FIELDS.get(metric.get("type", ""))
    if field is None:
        return "<unknown type>"
    target: JsonObject = at(metric, f"{field}.target") or {}
    value: JsonObject = at(current, f"{field}.current") or {}
    if "esource" in field:
        return f"{at(metric, f'{field}.name')}: {_resource_metric(target, value)}"
    if field == "pods":
        return f"{value.get('averageValue', UNKNOWN)}/{target.get('averageValue')}"
    if target.get("averageValue") is not None:
        return f"{value.get('averageValue', UNKNOWN)}/{target['averageValue']} (avg)"
    return f"{value.get('value', UNKNOWN)}/{target.get('value')}"


def _resource_metric(target: JsonObject, value: JsonObject) -> str:
    if target.get("averageValue") is not None:
        return f"{value.get('averageValue', UNKNOWN)}/{target['averageValue']}"

    def percent(of: JsonObject, missing: str) -> str:
        share: Any = of.get("averageUtilization")
        return missing if share is None else f"{share}%"

    return f"{percent(value, UNKNOWN)}/{percent(target, '<auto>')}"


def _scale_target(autoscaler: JsonObject, _: float) -> str:
    target = autoscaler["spec"]["scaleTargetRef"]
    return f"{target['kind']}/{target['name']}"


def _least(autoscaler: JsonObject, _: float) -> str:
    least = at(autoscaler, "spec.minReplicas")
    return UNSET if least is None else str(least)


AUTOSCALERS: Final = (
    NAME,
    Column("Reference", _scale_target, "What is scaled"),
    Column("Targets", _targets, "Metrics as they are and should be"),
    Column("MinPods", _least, "The least number of pods"),
    Column("MaxPods", number("spec.maxReplicas"), "The largest number of pods"),
    Column("Replicas", number("status.currentReplicas"), "Pods now"),
    AGE,
)
