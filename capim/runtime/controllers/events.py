"""Events as controllers record them: the same one again counts up instead of making another."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

from capim.api.meta import format_micro_time, format_time
from capim.runtime.controllers.kinds import EVENTS

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.runtime.controllers.base import Context


def record(
    context: Context,
    about: JsonObject,
    component: str,
    reason: str,
    message: str,
    *,
    kind: str = "Normal",
    host: str = "",
) -> None:
    """Record that something happened to an object.

    Args:
        context: the cluster.
        about: the object; a cluster's own objects have their events in `default`.
        component: who says so.
        reason: in one word.
        message: for a person.
        kind: Normal or Warning.
        host: the node of a kubelet.

    Without pods nobody has anything to tell.
    """
    if not context.makes_pods:
        return
    metadata, time = about["metadata"], format_time(context.now())
    seed = f"{metadata['uid']}/{component}/{reason}/{message}".encode()
    # the name is where the same event is found again
    name = f"{metadata['name']}.{crc32(seed):08x}{crc32(seed[::-1]):08x}"
    namespace = metadata.get("namespace") or "default"
    found = context.get(EVENTS, namespace, name)
    if found is not None:
        context.save(EVENTS, found | {"count": found.get("count", 1) + 1, "lastTimestamp": time})
        return
    made = _event(about, reason, message) | {
        "metadata": {"name": name, "namespace": namespace},
        "type": kind,
        "count": 1,
        "firstTimestamp": time,
        "lastTimestamp": time,
        "source": {"component": component} | ({"host": host} if host else {}),
        "reportingComponent": component,
        "reportingInstance": host,
        "eventTime": None,
    }
    context.create(EVENTS, made)


def record_scheduling(context: Context, pod: JsonObject, reason: str, message: str) -> None:
    """Record what the scheduler did: it speaks the newer events API."""
    bound = reason == "Scheduled"
    metadata, now = pod["metadata"], context.now()
    seed = f"{metadata['uid']}/{reason}/{message}".encode()
    made = _event(pod, reason, message) | {
        "metadata": {
            "name": f"{metadata['name']}.{crc32(seed):08x}{crc32(seed[::-1]):08x}",
            "namespace": metadata["namespace"],
        },
        "type": "Normal" if bound else "Warning",
        "action": "Binding" if bound else "Scheduling",
        "eventTime": format_micro_time(now),
        "firstTimestamp": None,
        "lastTimestamp": None,
        "source": {},
        "reportingComponent": "default-scheduler",
        "reportingInstance": "default-scheduler-capim",
    }
    context.create(EVENTS, made)


def _event(about: JsonObject, reason: str, message: str) -> JsonObject:
    metadata = about["metadata"]
    involved = {"apiVersion": about["apiVersion"], "kind": about["kind"]}
    for key in ("name", "namespace", "uid", "resourceVersion"):
        if metadata.get(key):
            involved[key] = metadata[key]
    return {"involvedObject": involved, "reason": reason, "message": message}
