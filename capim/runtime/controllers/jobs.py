"""Jobs: pods that end, counted until there are enough of them.

Source: kube-controller-manager's job controller: how finished pods are counted through their finalizer,
conditions in their order, reasons and messages. Departures: failed pods are replaced without a delay, and
there are no pod failure or success policies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api.meta import format_time, get_condition, parse_time, with_condition
from capim.runtime.controllers import events
from capim.runtime.controllers.base import Controller, controller_of
from capim.runtime.controllers.claims import claim
from capim.runtime.controllers.kinds import JOBS, PODS
from capim.runtime.controllers.podstate import (
    is_active,
    is_deleting,
    is_ready,
    label_selector,
    phase,
    pod_from,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject
    from capim.runtime.controllers.base import Context, Key
    from capim.runtime.objects import Change

_COMPONENT: Final = "job-controller"
_TRACKING: Final = "batch.kubernetes.io/job-tracking"
_INDEX: Final = "batch.kubernetes.io/job-completion-index"
_DEFAULT_BACKOFF: Final = 6
_INDEX_VARIABLE: Final = {
    "name": "JOB_COMPLETION_INDEX",
    "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{_INDEX}']"}},
}


def _reconcile(context: Context, namespace: str, name: str) -> float | None:
    body = context.get(JOBS, namespace, name)
    if body is None:
        return None
    if is_finished(body):
        return _expire(context, body)
    work = _Work(context, body)
    if not is_deleting(body):
        work.step()
    return work.save()


def is_finished(job: JsonObject) -> str:
    """Return the condition a job has ended with, Complete or Failed; empty while it has not."""
    for kind in ("Complete", "Failed"):
        found = get_condition(job, kind)
        if found is not None and found["status"] == "True":
            return kind
    return ""


def _expire(context: Context, body: JsonObject) -> float | None:
    """Delete a job that has ended long enough ago; return when."""
    seconds = body["spec"].get("ttlSecondsAfterFinished")
    if seconds is None or is_deleting(body):
        return None
    condition = get_condition(body, is_finished(body)) or {}
    at = parse_time(condition["lastTransitionTime"]) + int(seconds)
    if at > context.now():
        return at
    metadata = body["metadata"]
    context.delete(JOBS, metadata["namespace"], metadata["name"])
    return None


class _Work:
    """One look at a Job that has not ended."""

    def __init__(self, context: Context, body: JsonObject) -> None:
        self._context = context
        self._body = body
        self._spec: JsonObject = body["spec"]
        self._status: JsonObject = dict(body.get("status") or {})
        self._again_at: float | None = None

    def step(self) -> None:
        """Count what has ended, then make, delete or finish."""
        if self._context.makes_pods:
            claim(self._context, self._body, PODS, label_selector(self._spec.get("selector")))
        self._set_suspended()
        if not self._spec.get("suspend"):
            self._status.setdefault("startTime", format_time(self._context.now()))
        self._count()
        why = self._why_failed()
        if why is not None:
            self._finish("FailureTarget", "Failed", *why)
        elif self._is_done():
            text = "Reached expected number of succeeded pods"
            self._finish("SuccessCriteriaMet", "Complete", "CompletionsReached", text)
        elif self._context.makes_pods:
            self._scale()

    def save(self) -> float | None:
        """Write the status; return when its deadline is."""
        active = [pod for pod in self._pods() if is_active(pod)]
        status = self._status | {
            "terminating": sum(map(is_deleting, self._pods())),
            "uncountedTerminatedPods": {},
            "ready": sum(map(is_ready, active)),
        }
        status.pop("active", None)
        if active:
            status["active"] = len(active)
        self._context.save_status(JOBS, self._body, status)
        return self._again_at

    # --- counting ---

    def _count(self) -> None:
        """Count the pods that have ended, and let them go; without pods all succeed."""
        if not self._context.makes_pods:
            if not self._spec.get("suspend"):
                wanted = self._completions()
                self._status["succeeded"] = 1 if wanted is None else wanted
            return
        done = self._indexes()
        for pod in self._pods():
            finalizers = pod["metadata"].get("finalizers") or []
            if _TRACKING not in finalizers or is_active(pod):
                continue
            field = "succeeded" if phase(pod) == "Succeeded" else "failed"
            index = _index_of(pod)
            if field == "failed" or index is None or index not in done:
                self._status[field] = self._status.get(field, 0) + 1
            if field == "succeeded" and index is not None:
                done.add(index)
            pod["metadata"]["finalizers"] = [f for f in finalizers if f != _TRACKING]
            self._context.save(PODS, pod)
        if self._is_indexed() and done:
            self._status["completedIndexes"] = _ranges(done)

    def _indexes(self) -> set[int]:
        found: set[int] = set()
        for part in filter(None, str(self._status.get("completedIndexes") or "").split(",")):
            first, _, last = part.partition("-")
            found |= set(range(int(first), int(last or first) + 1))
        return found

    def _is_indexed(self) -> bool:
        return bool(self._spec.get("completionMode") == "Indexed")

    def _completions(self) -> int | None:
        completions = self._spec.get("completions")
        return None if completions is None else int(completions)

    def _is_done(self) -> bool:
        succeeded, wanted = self._status.get("succeeded", 0), self._completions()
        if wanted is not None:
            return bool(succeeded >= wanted)
        return succeeded > 0 and not any(is_active(pod) for pod in self._pods())

    def _why_failed(self) -> tuple[str, str] | None:
        limit = self._spec.get("backoffLimit")
        if self._status.get("failed", 0) > (_DEFAULT_BACKOFF if limit is None else int(limit)):
            return "BackoffLimitExceeded", "Job has reached the specified backoff limit"
        seconds, started = self._spec.get("activeDeadlineSeconds"), self._status.get("startTime")
        if seconds is None or started is None or self._spec.get("suspend"):
            return None
        end = parse_time(started) + int(seconds)
        if end <= self._context.now():
            return "DeadlineExceeded", "Job was active longer than specified deadline"
        self._again_at = end
        return None

    # --- acting ---

    def _scale(self) -> None:
        active = [pod for pod in self._pods() if is_active(pod)]
        wanted = self._wanted()
        for pod in active[wanted:]:
            self._delete(pod)
        if wanted <= len(active):
            return
        taken = {_index_of(pod) for pod in active} | self._indexes()
        free = (i for i in range(self._completions() or 0) if i not in taken)
        for _ in range(wanted - len(active)):
            self._make(next(free, None) if self._is_indexed() else None)

    def _wanted(self) -> int:
        """Return how many pods should be active."""
        if self._spec.get("suspend"):
            return 0
        parallel = self._spec.get("parallelism")
        parallelism = 1 if parallel is None else int(parallel)
        completions = self._completions()
        if completions is None:  # a work queue: once one has succeeded no other is made
            active = sum(map(is_active, self._pods()))
            return active if self._status.get("succeeded") else parallelism
        return min(parallelism, completions - int(self._status.get("succeeded", 0)))

    def _make(self, index: int | None) -> None:
        pod = pod_from(self._body, self._spec["template"])
        metadata = pod["metadata"]
        metadata["finalizers"] = [*(metadata.get("finalizers") or ()), _TRACKING]
        if index is not None:
            for key in ("labels", "annotations"):
                metadata[key] = (metadata.get(key) or {}) | {_INDEX: str(index)}
            own = self._body["metadata"]["name"]
            metadata["generateName"] = f"{own}-{index}-"
            pod["spec"]["hostname"] = f"{own}-{index}"
            for container in _containers(pod):
                container["env"] = [*(container.get("env") or ()), _INDEX_VARIABLE]
        made = self._context.make(PODS, pod)
        self._tell("SuccessfulCreate", f"Created pod: {made['metadata']['name']}")

    def _delete(self, pod: JsonObject) -> None:
        metadata = pod["metadata"]
        finalizers = [f for f in metadata.get("finalizers") or () if f != _TRACKING]
        self._context.save(PODS, pod | {"metadata": metadata | {"finalizers": finalizers}})
        self._context.delete(PODS, metadata["namespace"], metadata["name"])
        self._tell("SuccessfulDelete", f"Deleted pod: {metadata['name']}")

    def _finish(self, first: str, kind: str, reason: str, text: str) -> None:
        for pod in self._pods():
            if is_active(pod):
                self._delete(pod)
                if kind == "Failed":
                    self._status["failed"] = self._status.get("failed", 0) + 1
        for condition in (first, kind):
            self._set_condition(condition, "True", reason, text)
        if kind == "Complete":
            self._status["completionTime"] = format_time(self._context.now())
            self._tell("Completed", "Job completed")
        else:
            self._tell(reason, text, "Warning")

    def _set_suspended(self) -> None:
        current = get_condition({"status": self._status}, "Suspended")
        if self._spec.get("suspend"):
            if current is None or current["status"] != "True":
                self._set_condition("Suspended", "True", "JobSuspended", "Job suspended")
                self._status.pop("startTime", None)
                self._tell("Suspended", "Job suspended")
        elif current is not None and current["status"] == "True":
            self._set_condition("Suspended", "False", "JobResumed", "Job resumed")
            self._tell("Resumed", "Job resumed")

    def _set_condition(self, kind: str, value: str, reason: str, text: str) -> None:
        time = format_time(self._context.now())
        made = {"type": kind, "status": value, "reason": reason, "message": text}
        made |= {"lastProbeTime": time, "lastTransitionTime": time}
        self._status = with_condition(self._status, made)

    def _pods(self) -> list[JsonObject]:
        pods = self._context.controlled(self._body, PODS)
        return sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))

    def _tell(self, reason: str, text: str, kind: str = "Normal") -> None:
        events.record(self._context, self._body, _COMPONENT, reason, text, kind=kind)


def _index_of(pod: JsonObject) -> int | None:
    text = (pod["metadata"].get("annotations") or {}).get(_INDEX, "")
    return int(text) if text.isdecimal() else None


def _containers(pod: JsonObject) -> list[JsonObject]:
    return [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]


def _ranges(indexes: set[int]) -> str:
    """Write `1,3-5`: two neighbours are a pair, three a range."""
    parts: list[list[int]] = []
    for index in sorted(indexes):
        if parts and parts[-1][-1] == index - 1:
            parts[-1].append(index)
        else:
            parts.append([index])
    separators = {1: "", 2: ","}
    return ",".join(
        str(part[0]) if len(part) == 1 else f"{part[0]}{separators.get(len(part), '-')}{part[-1]}"
        for part in parts
    )


def _let_go(context: Context, namespace: str, name: str) -> None:
    """Drop the finalizer of a pod whose job is gone: nobody counts it any more."""
    pod = context.get(PODS, namespace, name)
    if pod is None:
        return
    owner = controller_of(pod)
    if owner is not None and owner["kind"] == "Job":
        job = context.group.find(JOBS, namespace, owner["name"])
        if job is not None and job.uid == owner["uid"]:
            return
    metadata = pod["metadata"]
    finalizers = [f for f in metadata.get("finalizers") or () if f != _TRACKING]
    context.save(PODS, pod | {"metadata": metadata | {"finalizers": finalizers}})


def _tracked(_: Context, change: Change) -> Iterator[Key]:
    stored = change.stored
    if _TRACKING in stored.finalizers and (stored.deleting or not stored.owners):
        yield stored.namespace, stored.name


CONTROLLERS: Final = (
    Controller("job", JOBS, _reconcile, owns=(PODS,)),
    Controller("job orphans", None, _let_go, watches=((PODS, _tracked),)),
)
