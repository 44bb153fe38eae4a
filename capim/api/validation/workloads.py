"""What is refused of apps, batch, autoscaling and policy. Source: their `validation` in k8s.io/kubernetes."""

from __future__ import annotations

import re
import zoneinfo
from typing import TYPE_CHECKING, Final

from capim.api.validation import common, field, names, pods
from capim.api.validation.core import claim_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from capim.api.meta import JsonObject
    from capim.api.validation.field import Cause

_METRICS: Final = ("ContainerResource", "External", "Object", "Pods", "Resource")
_METRIC_FIELDS: Final = {kind: kind[0].lower() + kind[1:] for kind in _METRICS}
_LONGEST_CRON_NAME: Final = 52
_NEVER_EMPTY: Final = {
    "Deployment": "deployment",
    "ReplicaSet": "deployment",
    "StatefulSet": "statefulset",
    "DaemonSet": "daemonset",
}
_CRON_FIELD: Final = re.compile(r"(\*|\?|\w+)(-\w+)?(/\d+)?(,(\*|\?|\w+)(-\w+)?(/\d+)?)*")
_CRON_NAMES: Final = re.compile(r"@(yearly|annually|monthly|weekly|daily|midnight|hourly|every .+)")


def _selector(spec: JsonObject, owner: str) -> Iterator[Cause]:
    """Check that a workload's selector is there and selects something; a DaemonSet may have none."""
    selector = spec.get("selector")
    if selector is None:
        if owner != "DaemonSet":
            yield field.required("spec.selector")
        return
    yield from common.label_selector("spec.selector", selector)
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        text = f"empty selector is invalid for {_NEVER_EMPTY[owner]}"
        yield field.invalid("spec.selector", selector, text)


def _template(spec: JsonObject, owner: str) -> Iterator[Cause]:
    """Check a workload's template against its selector, unless the selector is none."""
    selector: JsonObject | None = spec.get("selector") or {}
    if selector and any(common.label_selector("", selector)):
        text = "invalid label selector"
        yield field.invalid("spec.selector", selector, text)
        return
    empty = not selector and "selector" in spec and spec["selector"] is not None
    # no selector selects nothing, an empty one is told above
    wanted = {"matchExpressions": [{"key": "x", "operator": "In", "values": ()}]}
    chosen = None if empty else (selector or wanted)
    owner = "ReplicaSet" if owner == "Deployment" else owner
    yield from pods.template("spec.template", spec.get("template") or {}, chosen, owner)


def _deployment(obj: JsonObject) -> Iterator[Cause]:
    spec: JsonObject = obj["spec"]
    yield from common.not_negative("spec", spec, "replicas")
    yield from _selector(spec, "Deployment")
    yield from _template(spec, "Deployment")
    yield from _deployment_strategy(spec["strategy"])
    yield from common.not_negative("spec", spec, "minReadySeconds", "revisionHistoryLimit")
    yield from common.not_negative("spec", spec, "progressDeadlineSeconds")
    deadline = spec["progressDeadlineSeconds"]
    if deadline <= spec.get("minReadySeconds", 0):
        text = "must be greater than minReadySeconds"
        yield field.invalid("spec.progressDeadlineSeconds", deadline, text)


def _deployment_strategy(strategy: JsonObject) -> Iterator[Cause]:
    kind, rolling = strategy["type"], strategy.get("rollingUpdate")
    if kind == "RollingUpdate":
        yield from _rolling("spec.strategy.rollingUpdate", rolling or {})
    elif kind != "Recreate":
        shown = common.go_struct(strategy, "type", "rollingUpdate")
        yield field.unsupported("spec.strategy", shown, ("Recreate", "RollingUpdate"))
    elif rolling is not None:
        text = "may not be specified when strategy `type` is 'Recreate'"
        yield field.forbidden("spec.strategy.rollingUpdate", text)


def _rolling(path: str, rolling: JsonObject) -> Iterator[Cause]:
    unavailable, surge = rolling["maxUnavailable"], rolling["maxSurge"]
    yield from common.int_or_percent(f"{path}.maxUnavailable", unavailable)
    yield from common.int_or_percent(f"{path}.maxSurge", surge)
    if common.is_none(unavailable) and common.is_none(surge):
        text = "may not be 0 when `maxSurge` is 0"
        yield field.invalid(f"{path}.maxUnavailable", unavailable, text)
    yield from common.not_over_all(f"{path}.maxUnavailable", unavailable)


def _replica_set(obj: JsonObject) -> Iterator[Cause]:
    spec: JsonObject = obj["spec"]
    yield from common.not_negative("spec", spec, "replicas", "minReadySeconds")
    yield from _selector(spec, "ReplicaSet")
    yield from _template(spec, "ReplicaSet")


def _daemon_set(obj: JsonObject) -> Iterator[Cause]:
    spec: JsonObject = obj["spec"]
    yield from _selector(spec, "DaemonSet")
    yield from _template(spec, "DaemonSet")
    yield from common.not_negative("spec", spec, "minReadySeconds")
    strategy = spec["updateStrategy"]
    if strategy["type"] == "RollingUpdate":
        rolling, path = strategy.get("rollingUpdate") or {}, "spec.updateStrategy.rollingUpdate"
        both = common.is_none(rolling["maxUnavailable"]), common.is_none(rolling["maxSurge"])
        if both == (True, True):
            text = "cannot be 0 when maxSurge is 0"
            yield field.required(f"{path}.maxUnavailable", text)
        elif both == (False, False):
            text = "may not be set when maxUnavailable is non-zero"
            yield field.invalid(f"{path}.maxSurge", rolling["maxSurge"], text)
    elif strategy["type"] != "OnDelete":
        shown = common.go_struct(strategy, "type", "rollingUpdate")
        yield field.unsupported("spec.updateStrategy", shown, ("RollingUpdate", "OnDelete"))
    yield from common.not_negative("spec", spec, "revisionHistoryLimit")


def _stateful_set(obj: JsonObject) -> Iterator[Cause]:
    spec: JsonObject = obj["spec"]
    policy, strategy = spec["podManagementPolicy"], spec["updateStrategy"]
    if policy not in {"OrderedReady", "Parallel"}:
        text = "must be 'OrderedReady' or 'Parallel'"
        yield field.invalid("spec.podManagementPolicy", policy, text)
    if strategy["type"] not in {"RollingUpdate", "OnDelete"}:
        shown = common.go_struct(strategy, "type", "rollingUpdate")
        text = "must be 'RollingUpdate' or 'OnDelete'"
        yield field.invalid("spec.updateStrategy", shown, text)
    elif strategy["type"] == "OnDelete" and strategy.get("rollingUpdate") is not None:
        shown = common.go_struct(strategy["rollingUpdate"], "partition", "maxUnavailable")
        text = "only allowed for updateStrategy 'RollingUpdate'"
        yield field.invalid("spec.updateStrategy.rollingUpdate", shown, text)
    yield from common.not_negative("spec", spec, "replicas", "minReadySeconds")
    yield from _selector(spec, "StatefulSet")
    yield from _template(spec, "StatefulSet")
    if spec.get("serviceName"):
        yield from names.dns_label("spec.serviceName", spec["serviceName"])
    for index, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
        yield from claim_spec(f"spec.volumeClaimTemplates[{index}].spec", claim.get("spec") or {})


def _revision(obj: JsonObject) -> Iterator[Cause]:
    yield from common.not_negative("", obj, "revision")
    if obj.get("data") is None:
        yield field.required("data", "data is mandatory")


def job_spec(path: str, spec: JsonObject) -> Iterator[Cause]:
    """Check a job's spec, or that of a cron job's template, but for its selector."""
    yield from common.not_negative(
        path,
        spec,
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
    )
    modes = ("NonIndexed", "Indexed")
    yield from common.maybe_one_of(path, spec, "completionMode", modes)
    if spec.get("completionMode") == "Indexed" and spec.get("completions") is None:
        text = "when completion mode is Indexed"
        yield field.required(f"{path}.completions", text)
    held: JsonObject = (spec.get("template") or {}).get("spec") or {}
    yield from pods.pod_spec(f"{path}.template.spec", held)
    restart = held.get("restartPolicy")
    if restart == "Always":
        text = 'valid values: "OnFailure", "Never"'
        yield field.required(f"{path}.template.spec.restartPolicy", text)


def _job(obj: JsonObject) -> Iterator[Cause]:
    spec: JsonObject = obj["spec"]
    selector = spec.get("selector")
    if selector is None:
        yield field.required("spec.selector")
    else:
        yield from _job_selector(obj, spec, selector)
    yield from job_spec("spec", spec)


def _job_selector(obj: JsonObject, spec: JsonObject, selector: JsonObject) -> Iterator[Cause]:
    yield from common.label_selector("spec.selector", selector)
    uid = obj["metadata"].get("uid")
    own = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    old = {"matchLabels": {"controller-uid": uid}}
    if not spec.get("manualSelector") and selector not in (own, old):
        yield field.invalid("spec.selector", selector, "`selector` not auto-generated")
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if not common.selects(selector, labels or {}):
        shown = common.ordered(labels)
        yield field.invalid("spec.template.metadata.labels", shown, common.MISMATCH)


def _cron_job(obj: JsonObject) -> Iterator[Cause]:
    spec, name = obj["spec"], obj["metadata"]["name"]
    yield from _schedule(spec.get("schedule", ""))
    yield from common.not_negative("spec", spec, "startingDeadlineSeconds")
    yield from _time_zone(spec.get("timeZone"))
    policies = ("Allow", "Forbid", "Replace")
    yield from common.one_of("spec.concurrencyPolicy", spec.get("concurrencyPolicy"), policies)
    yield from job_spec("spec.jobTemplate.spec", (spec.get("jobTemplate") or {}).get("spec") or {})
    yield from common.not_negative(
        "spec", spec, "successfulJobsHistoryLimit", "failedJobsHistoryLimit"
    )
    if len(name) > _LONGEST_CRON_NAME:
        text = f"must be no more than {_LONGEST_CRON_NAME} characters"
        yield field.invalid("metadata.name", name, text)


def _schedule(schedule: str) -> Iterator[Cause]:
    if not schedule:
        yield field.required("spec.schedule")
        return
    if _CRON_NAMES.fullmatch(schedule):
        return
    fields = schedule.split()
    if len(fields) != 5:
        shown = f"[{' '.join(fields)}]"
        text = f"expected exactly 5 fields, found {len(fields)}: {shown}"
        yield field.invalid("spec.schedule", schedule, text)
        return
    for each in fields:
        if not _CRON_FIELD.fullmatch(each):
            text = (
                f'failed to parse int from {each}: strconv.Atoi: parsing "{each}": invalid syntax'
            )
            yield field.invalid("spec.schedule", schedule, text)
            return


def _time_zone(zone: str | None) -> Iterator[Cause]:
    if zone is None:
        return
    if not zone:
        yield field.invalid("spec.timeZone", zone, "must be nil or non-empty string")
    elif zone not in zoneinfo.available_timezones():
        yield field.invalid("spec.timeZone", zone, f"unknown time zone {zone}")


def _autoscaler(obj: JsonObject) -> Iterator[Cause]:
    spec: JsonObject = obj["spec"]
    least, most = spec["minReplicas"], spec.get("maxReplicas", 0)
    if least < 1:
        text = "must be greater than or equal to 1"
        yield field.invalid("spec.minReplicas", least, text)
    if most < 1:
        yield field.invalid("spec.maxReplicas", most, "must be greater than 0")
    if most < least:
        text = "must be greater than or equal to `minReplicas`"
        yield field.invalid("spec.maxReplicas", most, text)
    target: JsonObject = spec.get("scaleTargetRef") or {}
    yield from common.needed("spec.scaleTargetRef", target, "kind", "name")
    if not target.get("apiVersion"):
        text = "apiVersion must specify API group"
        yield field.invalid("spec.scaleTargetRef.apiVersion", "", text)
    for index, metric in enumerate(spec.get("metrics") or ()):
        yield from _metric(f"spec.metrics[{index}]", metric)


def _metric(path: str, metric: JsonObject) -> Iterator[Cause]:
    kind = metric.get("type", "")
    if not kind:
        yield field.required(f"{path}.type", "must specify a metric source type")
        return
    if kind not in _METRICS:
        # a rule of the field and one of the list: both are listed
        yield field.unsupported(f"{path}.type", kind, _METRICS)
        yield field.unsupported(f"{path}.type", kind, _METRICS)
        return
    source = metric.get(_METRIC_FIELDS[kind])
    if source is None:
        text = "must populate information for the given metric source"
        yield field.required(f"{path}.{_METRIC_FIELDS[kind]}", text)
    elif kind == "Resource":
        yield from _resource_metric(f"{path}.resource", source)


def _resource_metric(path: str, source: JsonObject) -> Iterator[Cause]:
    if not source.get("name"):
        yield field.required(f"{path}.name", "must specify a resource name")
    target = source.get("target") or {}
    if target.get("averageUtilization") is None and target.get("averageValue") is None:
        text = "must set either a target raw value or a target utilization"
        yield field.required(f"{path}.target.averageUtilization", text)


def _budget(obj: JsonObject) -> Iterator[Cause]:
    spec: JsonObject = obj.get("spec") or {}
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    if least is not None and most is not None:
        shown = common.go_struct(
            spec, "minAvailable", "selector", "maxUnavailable", "unhealthyPodEvictionPolicy"
        )
        text = "minAvailable and maxUnavailable cannot be both set"
        yield field.invalid("spec", shown, text)
    for key, value in (("minAvailable", least), ("maxUnavailable", most)):
        if value is not None:
            yield from common.int_or_percent(f"spec.{key}", value)
            yield from common.not_over_all(f"spec.{key}", value)
    if spec.get("selector") is not None:
        yield from common.label_selector("spec.selector", spec["selector"])
    policies = ("AlwaysAllow", "IfHealthyBudget")
    yield from common.maybe_one_of("spec", spec, "unhealthyPodEvictionPolicy", policies)


APPS: Final[dict[str, Callable[[JsonObject], Iterator[Cause]]]] = {
    "controllerrevisions": _revision,
    "daemonsets": _daemon_set,
    "deployments": _deployment,
    "replicasets": _replica_set,
    "statefulsets": _stateful_set,
}
AUTOSCALING: Final = {"horizontalpodautoscalers": _autoscaler}
BATCH: Final = {"cronjobs": _cron_job, "jobs": _job}
POLICY: Final = {"poddisruptionbudgets": _budget}
