"""The kubelets of simulated machines: a pod bound to one runs at once, and never stops by itself.

A Job's pods end well after a moment. Nodes that clients made have no kubelet; their pods stay as they are.
A pod that is deleted ends at once, whatever time it is given. Departures: images are never pulled,
probes never fail.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from capim.api.meta import format_time, get_condition, parse_time
from capim.runtime.controllers import events
from capim.runtime.controllers.base import Controller, controller_of
from capim.runtime.controllers.kinds import PODS
from capim.runtime.controllers.podstate import is_deleting, node_of, phase
from capim.runtime.controllers.scheduler import is_bound
from capim.runtime.graceful import is_given_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject
    from capim.runtime.controllers.base import Context, Key
    from capim.runtime.controllers.nodefit import NodeInfo
    from capim.runtime.objects import Change

_JOB_RUNS_S: Final = 1.0
_CONDITIONS: Final = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady")
_MIRROR: Final = "kubernetes.io/config.mirror"


def _reconcile(context: Context, namespace: str, name: str) -> float | None:
    pod = context.get(PODS, namespace, name)
    node = context.nodes.get(context, node_of(pod)) if pod is not None else None
    if pod is None or node is None or not node.simulated or node.name in context.taken_over:
        return None
    if is_deleting(pod):
        if node.name not in context.holding:
            _stop(context, pod)
        return None
    return None if _is_mirror(pod) else _run(context, pod, node)


def _run(context: Context, pod: JsonObject, node: NodeInfo) -> float | None:
    """Let a pod go on; return when it has done its work, None where it runs for ever or has ended."""
    if phase(pod) == "Pending":
        _start(context, pod, node)
        return _ends_at(context, pod)
    if phase(pod) != "Running":
        return None
    ends_at = _ends_at(context, pod)
    if ends_at is not None and ends_at <= context.now():
        _end(context, pod)
        return None
    _follow(context, pod)
    return ends_at


def _is_mirror(pod: JsonObject) -> bool:
    return _MIRROR in (pod["metadata"].get("annotations") or {})


def _ends_at(context: Context, pod: JsonObject) -> float | None:
    """Return when a pod has done its work, None for one that runs for ever."""
    owner = controller_of(pod)
    if owner is None or owner["kind"] != "Job":
        return None
    started = (pod.get("status") or {}).get("startTime")
    return (parse_time(started) if started else context.now()) + _JOB_RUNS_S


def _start(context: Context, pod: JsonObject, node: NodeInfo) -> None:
    spec, time = pod["spec"], format_time(context.now())
    address = node.address
    if not spec.get("hostNetwork"):
        address = context.nodes.take_address(node, pod["metadata"]["uid"])
    status = dict(pod.get("status") or {})
    scheduled = get_condition(pod, "PodScheduled") or _condition("PodScheduled", time)
    status |= {
        "phase": "Running",
        "conditions": [*(_condition(kind, time) for kind in _CONDITIONS), scheduled],
        "startTime": time,
        "containerStatuses": [_running(pod, one, time) for one in spec["containers"]],
    }
    if spec.get("initContainers"):
        status["initContainerStatuses"] = [_started(pod, o, time) for o in spec["initContainers"]]
    if node.address:
        status |= {"hostIP": node.address, "hostIPs": [{"ip": node.address}]}
    if address:
        status |= {"podIP": address, "podIPs": [{"ip": address}]}
    pod["status"] = status
    _judge_readiness(pod, time)
    _report_start(context, context.save(PODS, pod), node)


def _report_start(context: Context, pod: JsonObject, node: NodeInfo) -> None:
    for container in (*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]):
        name, image = container["name"], container.get("image", "")
        for reason, text in (
            ("Pulled", f'Container image "{image}" already present on machine'),
            ("Created", f"Container created: {name}"),
            ("Started", f"Container started: {name}"),
        ):
            events.record(context, pod, "kubelet", reason, text, host=node.name)


def _follow(context: Context, pod: JsonObject) -> None:
    """Follow what may change in a running pod: images, ephemeral containers, readiness gates."""
    status, time = dict(pod["status"]), format_time(context.now())
    before = {one["name"]: one for one in status.get("containerStatuses") or ()}
    current = [_kept(pod, before.get(o["name"]), o, time) for o in pod["spec"]["containers"]]
    status["containerStatuses"] = current
    ephemeral = pod["spec"].get("ephemeralContainers") or ()
    if ephemeral:
        known = {one["name"]: one for one in status.get("ephemeralContainerStatuses") or ()}
        status["ephemeralContainerStatuses"] = [
            known.get(one["name"]) or _running(pod, one, time) for one in ephemeral
        ]
    changed = pod | {"status": status}
    _judge_readiness(changed, time)
    if changed != pod:
        context.save(PODS, changed)


def _kept(
    pod: JsonObject, before: JsonObject | None, container: JsonObject, time: str
) -> JsonObject:
    if before is not None and before.get("image") == container.get("image"):
        return before
    return _running(pod, container, time) | {
        "restartCount": before.get("restartCount", 0) + 1 if before else 0
    }


def _judge_readiness(pod: JsonObject, time: str) -> None:
    """Let a pod be ready once all its readiness gates say so."""
    gates = [gate["conditionType"] for gate in pod["spec"].get("readinessGates") or ()]
    if not gates:
        return
    open_gates = [
        gate for gate in gates if (get_condition(pod, gate) or {}).get("status") != "True"
    ]
    made = _condition("Ready", time, "False" if open_gates else "True")
    if open_gates:
        made["reason"] = "ReadinessGatesNotReady"
        made["message"] = (
            f'corresponding condition of pod readiness gate "{open_gates[0]}" does not exist.'
        )
    current = get_condition(pod, "Ready")
    if current is None or current["status"] != made["status"]:
        conditions = pod["status"]["conditions"]
        kept = [made if c["type"] == "Ready" else c for c in conditions]
        pod["status"] = pod["status"] | {"conditions": kept}


def _stop(context: Context, pod: JsonObject) -> None:
    """End a pod that is to be deleted: its containers stop as soon as they are told."""
    if not is_given_time(pod):
        return
    if phase(pod) == "Running" and pod["metadata"].get("finalizers"):
        _end(context, pod)  # somebody waits to read how it ended
    context.delete(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"], at_once=True)


def _end(context: Context, pod: JsonObject) -> None:
    """Let all containers end well."""
    status, time = dict(pod["status"]), format_time(context.now())
    status["containerStatuses"] = [
        one | {"ready": False, "started": False, "state": _terminated(one, time)}
        for one in status.get("containerStatuses") or ()
    ]
    ended = {"Ready", "ContainersReady", "PodReadyToStartContainers"}
    completed = {"lastTransitionTime": time, "reason": "PodCompleted"}
    status["conditions"] = [
        c | {"status": "False"} | completed if c["type"] in ended else c
        for c in status.get("conditions") or ()
    ]
    status["phase"] = "Succeeded"
    context.save(PODS, pod | {"status": status})


def _condition(kind: str, time: str, value: str = "True") -> JsonObject:
    return {"type": kind, "status": value, "lastProbeTime": None, "lastTransitionTime": time}


def _container(pod: JsonObject, container: JsonObject) -> JsonObject:
    seed = f"{pod['metadata']['uid']}/{container['name']}"
    digest = hashlib.sha256(seed.encode()).hexdigest()
    return {
        "name": container["name"],
        "image": container.get("image", ""),
        "imageID": f"capim://{container.get('image', '')}",
        "containerID": f"capim://{digest}",
        "lastState": {},
        "restartCount": 0,
    }


def _running(pod: JsonObject, container: JsonObject, time: str) -> JsonObject:
    state = {"running": {"startedAt": time}}
    return _container(pod, container) | {"ready": True, "started": True, "state": state}


def _started(pod: JsonObject, container: JsonObject, time: str) -> JsonObject:
    """Return an init container's status: it has ended, but for a sidecar."""
    if container.get("restartPolicy") == "Always":
        return _running(pod, container, time)
    made = _running(pod, container, time)
    return made | {"started": False, "state": _terminated(made, time)}


def _terminated(status: JsonObject, time: str) -> JsonObject:
    started = (status["state"].get("running") or {}).get("startedAt", time)
    return {
        "terminated": {
            "containerID": status["containerID"],
            "exitCode": 0,
            "finishedAt": time,
            "reason": "Completed",
            "startedAt": started,
        }
    }


def _of_pod(context: Context, change: Change) -> Iterator[Key]:
    stored = change.stored
    ended = change.type == "DELETED"
    if b'"podIP"' in stored.rest and (ended or change.previous is None):
        address = str((stored.json().get("status") or {}).get("podIP") or "")
        if ended:
            context.nodes.give_back(address, stored.uid)
        else:
            context.nodes.keep_address(address, stored.uid)
    if is_bound(stored) and not ended:
        yield stored.namespace, stored.name


CONTROLLER: Final = Controller("kubelet", None, _reconcile, watches=((PODS, _of_pod),))
