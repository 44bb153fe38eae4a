"""Defaults of apps, batch and autoscaling. Source: `defaults.go` of these groups in k8s.io/kubernetes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from capim.api.defaults.pods import CLAIM_SPEC, TEMPLATE
from capim.api.defaults.shape import Shape

if TYPE_CHECKING:
    from capim.api.meta import JsonObject

_NO_LIMIT: Final = (1 << 31) - 1
_ROLLING: Final = "RollingUpdate"


def _strategy(**rolling: int | str) -> Shape:
    """Return a strategy that rolls by default, with these values while it does."""

    def complete(strategy: JsonObject) -> None:
        if strategy["type"] == _ROLLING:
            held = strategy.setdefault("rollingUpdate", {})
            for key, value in rolling.items():
                held.setdefault(key, value)

    return Shape({"type": _ROLLING}, last=complete)


def _stateful_strategy(strategy: JsonObject) -> None:
    if not strategy.get("type"):
        strategy["type"] = _ROLLING
        strategy.setdefault("rollingUpdate", {})
    if strategy["type"] == _ROLLING and "rollingUpdate" in strategy:
        strategy["rollingUpdate"].setdefault("partition", 0)


def _claim_template(claim: JsonObject) -> None:
    """Show a claim template whole: it is an object of its own kind, which waits to be one."""
    claim["apiVersion"], claim["kind"] = "v1", "PersistentVolumeClaim"
    claim.setdefault("status", {}).setdefault("phase", "Pending")


def _job_spec(spec: JsonObject) -> None:
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    per_index = spec.get("backoffLimitPerIndex") is not None
    spec.setdefault("backoffLimit", _NO_LIMIT if per_index else 6)
    replace = "Failed" if spec.get("podFailurePolicy") is not None else "TerminatingOrFailed"
    spec.setdefault("podReplacementPolicy", replace)


def _job(job: JsonObject) -> None:
    labels = ((job["spec"].get("template") or {}).get("metadata") or {}).get("labels")
    if labels and not job["metadata"].get("labels"):
        job["metadata"]["labels"] = dict(labels)


_POD_CONDITIONS: Final = {"onPodConditions": Shape({"status": "True"})}
JOB_SPEC: Final = Shape(
    {"completionMode": "NonIndexed", "suspend": False, "manualSelector": False},
    parts={
        "template": TEMPLATE,
        "podFailurePolicy": Shape(each={"rules": Shape(each=_POD_CONDITIONS)}),
    },
    first=_job_spec,
)
_JOB: Final = Shape(parts={"spec": JOB_SPEC}, last=_job)
#: a job template's spec gets a job's defaults but those that are of the object: counts and modes
_CRON_SPEC: Final = Shape(
    {"concurrencyPolicy": "Allow", "suspend": False},
    parts={
        "jobTemplate": Shape(parts={"spec": Shape(parts={"template": TEMPLATE})}),
    },
)


def _cron_spec(spec: JsonObject) -> None:
    spec.setdefault("successfulJobsHistoryLimit", 3)
    spec.setdefault("failedJobsHistoryLimit", 1)


def _autoscaler(spec: JsonObject) -> None:
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    behavior = spec.get("behavior")
    if behavior is not None:
        behavior["scaleUp"] = _scale_up() | (behavior.get("scaleUp") or {})
        behavior["scaleDown"] = _scale_down() | (behavior.get("scaleDown") or {})


def _policy(kind: str, value: int) -> dict[str, Any]:
    return {"type": kind, "value": value, "periodSeconds": 15}


def _scale_up() -> dict[str, Any]:
    policies = [_policy("Pods", 4), _policy("Percent", 100)]
    return {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": policies}


def _scale_down() -> dict[str, Any]:
    return {"selectPolicy": "Max", "policies": [_policy("Percent", 100)]}


def _spec(shape: Shape) -> Shape:
    return Shape(parts={"spec": shape})


APPS: Final = {
    "daemonsets": _spec(
        Shape(
            {"revisionHistoryLimit": 10},
            parts={
                "template": TEMPLATE,
                "updateStrategy": _strategy(maxUnavailable=1, maxSurge=0),
            },
        )
    ),
    "deployments": _spec(
        Shape(
            {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600},
            parts={
                "template": TEMPLATE,
                "strategy": _strategy(maxUnavailable="25%", maxSurge="25%"),
            },
        )
    ),
    "replicasets": _spec(Shape({"replicas": 1}, parts={"template": TEMPLATE})),
    "statefulsets": _spec(
        Shape(
            {
                "podManagementPolicy": "OrderedReady",
                "replicas": 1,
                "revisionHistoryLimit": 10,
                "persistentVolumeClaimRetentionPolicy": {},
            },
            parts={
                "template": TEMPLATE,
                "updateStrategy": Shape(last=_stateful_strategy),
                "persistentVolumeClaimRetentionPolicy": Shape(
                    {"whenDeleted": "Retain", "whenScaled": "Retain"}
                ),
            },
            each={"volumeClaimTemplates": Shape(parts={"spec": CLAIM_SPEC}, last=_claim_template)},
        )
    ),
}
BATCH: Final = {
    "cronjobs": _spec(
        Shape(_CRON_SPEC.values, parts=_CRON_SPEC.parts, last=_cron_spec),
    ),
    "jobs": _JOB,
}
AUTOSCALING: Final = {
    "horizontalpodautoscalers": _spec(Shape({"minReplicas": 1}, last=_autoscaler)),
}
