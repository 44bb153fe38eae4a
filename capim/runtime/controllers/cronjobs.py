"""CronJobs: a job at each time of a schedule.

Source: kube-controller-manager's cronjob controller. Of several times that were missed only the last is made
up for, unless it is past `startingDeadlineSeconds`.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Final

from capim.api.meta import format_time, get_condition, owner_reference, parse_time
from capim.runtime.controllers import events
from capim.runtime.controllers.base import Controller
from capim.runtime.controllers.cron import Schedule
from capim.runtime.controllers.jobs import is_finished
from capim.runtime.controllers.kinds import CRON_JOBS, JOBS
from capim.runtime.controllers.podstate import is_deleting

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.runtime.controllers.base import Context

_COMPONENT: Final = "cronjob-controller"
_SCHEDULED: Final = "batch.kubernetes.io/cronjob-scheduled-timestamp"
_HISTORY: Final = (
    ("Complete", "successfulJobsHistoryLimit", 3),
    ("Failed", "failedJobsHistoryLimit", 1),
)


def _reconcile(context: Context, namespace: str, name: str) -> float | None:
    body = context.get(CRON_JOBS, namespace, name)
    if body is None or is_deleting(body):
        return None
    jobs = sorted(context.controlled(body, JOBS), key=lambda job: str(job["metadata"]["name"]))
    body = _note_finished(context, body, jobs)
    _clean_up(context, body, jobs)
    if body["spec"].get("suspend"):
        return None
    try:
        schedule = Schedule.parse(body["spec"]["schedule"], body["spec"].get("timeZone") or "")
    except (ValueError, KeyError) as error:
        text = f"unparseable schedule: {error}"
        events.record(context, body, _COMPONENT, "UnparseableSchedule", text, kind="Warning")
        return None
    due = _last_due(context, body, schedule)
    if due is not None:
        _start(context, body, jobs, due)
    return schedule.next_after(context.now())


def _last_due(context: Context, body: JsonObject, schedule: Schedule) -> float | None:
    """Return the newest time that has come and was not served yet."""
    metadata, now = body["metadata"], context.now()
    last = (body.get("status") or {}).get("lastScheduleTime")
    since = parse_time(last or metadata["creationTimestamp"])
    deadline = body["spec"].get("startingDeadlineSeconds")
    if deadline is not None:
        since = max(since, now - int(deadline))
    due, upcoming = None, schedule.next_after(since)
    while upcoming is not None and upcoming <= now:
        due, upcoming = upcoming, schedule.next_after(upcoming)
    return due


def _start(context: Context, body: JsonObject, jobs: list[JsonObject], due: float) -> None:
    policy = body["spec"].get("concurrencyPolicy", "Allow")
    active = [job for job in jobs if not is_finished(job)]
    if policy == "Forbid" and active:
        text = (
            "Not starting job because prior execution is running and concurrency policy is Forbid"
        )
        events.record(context, body, _COMPONENT, "JobAlreadyActive", text)
        return
    if policy == "Replace":
        for job in active:
            _delete(context, body, job)
    made = context.create(JOBS, _job(body, due))
    if made is None:
        return
    name = made["metadata"]["name"]
    events.record(context, body, _COMPONENT, "SuccessfulCreate", f"Created job {name}")
    kept = [] if policy == "Replace" else list((body.get("status") or {}).get("active") or ())
    status = (body.get("status") or {}) | {
        "active": [*kept, _reference(made)],
        "lastScheduleTime": format_time(due),
    }
    context.save(CRON_JOBS, body | {"status": status})


def _job(body: JsonObject, due: float) -> JsonObject:
    template: JsonObject = copy.deepcopy(body["spec"]["jobTemplate"])
    wanted: JsonObject = template.get("metadata") or {}
    metadata = body["metadata"]
    return {
        "metadata": {
            "name": f"{metadata['name']}-{int(due) // 60}",
            "namespace": metadata["namespace"],
            "labels": wanted.get("labels") or {},
            "annotations": (wanted.get("annotations") or {}) | {_SCHEDULED: format_time(due)},
            "ownerReferences": [owner_reference(body)],
        },
        "spec": template["spec"],
    }


def _note_finished(context: Context, body: JsonObject, jobs: list[JsonObject]) -> JsonObject:
    """Take jobs that have ended or gone from the list of active ones."""
    status: JsonObject = body.get("status") or {}
    by_uid = {job["metadata"]["uid"]: job for job in jobs}
    active, changed = [], dict(status)
    for reference in status.get("active") or ():
        job = by_uid.get(reference["uid"])
        ended = is_finished(job) if job else ""
        if job is not None and not ended:
            active.append(reference)
        elif job is not None:
            text = f"Saw completed job: {reference['name']}, condition: {ended}"
            events.record(context, body, _COMPONENT, "SawCompletedJob", text)
            finished = (get_condition(job, ended) or {})["lastTransitionTime"]
            if ended == "Complete":
                changed["lastSuccessfulTime"] = max(status.get("lastSuccessfulTime", ""), finished)
    changed.pop("active", None)
    if active:
        changed["active"] = active
    return body if changed == status else context.save(CRON_JOBS, body | {"status": changed})


def _clean_up(context: Context, body: JsonObject, jobs: list[JsonObject]) -> None:
    for kind, field, default in _HISTORY:
        limit = body["spec"].get(field)
        ended = [job for job in jobs if is_finished(job) == kind]
        surplus = len(ended) - (default if limit is None else int(limit))
        for job in ended[: max(surplus, 0)]:
            _delete(context, body, job)


def _delete(context: Context, body: JsonObject, job: JsonObject) -> None:
    metadata = job["metadata"]
    context.delete(JOBS, metadata["namespace"], metadata["name"])
    events.record(context, body, _COMPONENT, "SuccessfulDelete", f"Deleted job {metadata['name']}")


def _reference(job: JsonObject) -> JsonObject:
    metadata = job["metadata"]
    reference = {"apiVersion": "batch/v1", "kind": "Job"}
    return reference | {k: metadata[k] for k in ("name", "namespace", "resourceVersion", "uid")}


CONTROLLER: Final = Controller("cron job", CRON_JOBS, _reconcile, owns=(JOBS,))
