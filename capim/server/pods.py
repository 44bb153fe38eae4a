"""What a kubelet would answer for a pod, and bindings: there is no kubelet and nothing runs. No I/O.

Logs have a few lines that say so. What would need a process is refused with a sentence a person
understands; the checks before that are a kube-apiserver's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from capim.api.errors import APIError, bad_request, conflict, invalid, not_found
from capim.api.gvk import GVR
from capim.api.meta import format_time, parse_time, with_condition
from capim.runtime.graceful import has_ended
from capim.runtime.writes import check_uid
from capim.server.fieldvalidation import request_object
from capim.server.http import Response
from capim.server.options import check_write
from capim.server.routes import is_true
from capim.wire.selectors import FieldSelector

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.runtime.objects import WatchEvent
    from capim.server.endpoints import Asked

_TEXT: Final = b"text/plain"
#: parameter -> the least it may be, and how a message says so
_LEAST: Final = {
    "tailLines": (0, "must be greater than or equal to 0"),
    "limitBytes": (1, "must be greater than 0"),
    "sinceSeconds": (1, "must be greater than 0"),
}


def show_log(asked: Asked) -> Response | None:
    """Show the log of a container; with `follow` until the pod ends or goes.

    Raises:
        APIError: NotFound, Invalid options, BadRequest for a container that is none or has not started.
    """
    info, group = asked.info, asked.control.served.group
    stored = group.get(info.resource, info.namespace or "", info.name)
    numbers = _numbers(asked)
    pod = stored.json()
    container = _container(asked, pod)
    if not (pod.get("spec") or {}).get("nodeName"):
        return Response(204, b"", _TEXT)
    text = _cut(_lines(pod, container), asked, numbers)
    if not is_true(info.query.get("follow")) or has_ended(pod):
        return Response(200, text, _TEXT)
    _follow(asked, text)
    return None


def refuse_to_run(asked: Asked) -> Response:
    """Refuse exec and attach.

    Raises:
        APIError: always: why it cannot be.
    """
    info = asked.info
    stored = asked.control.served.group.get(info.resource, info.namespace or "", info.name)
    pod = stored.json()
    container = _container(asked, pod)
    node = (pod.get("spec") or {}).get("nodeName")
    if not node:
        raise bad_request(f"pod {info.name} does not have a host assigned")
    group = asked.control.served.group
    nodes: Any = group.resources.by_gvr(GVR("", "v1", "nodes"))
    if not group.list(nodes, None, fields=FieldSelector.parse(f"metadata.name={node}")).items:
        raise not_found("pods", "", node)  # a real server takes the node's name for a pod's here
    if b"upgrade" not in asked.exchange.headers:
        raise bad_request("Upgrade request required")
    what = f"container {container} of pod {info.name} is simulated: no process runs in it"
    raise bad_request(f"{what}, so {info.subresource} is not possible")


def refuse_proxy(asked: Asked) -> Response:
    """Refuse to relay a request: nothing listens behind a simulated node, pod or service.

    Raises:
        APIError: NotFound for the object, else ServiceUnavailable.
    """
    info = asked.info
    name = info.name.split(":")[1] if info.name.count(":") == 2 else info.name.split(":")[0]
    asked.control.served.group.get(info.resource, info.namespace or "", name)
    why = f"{info.resource.singular} {name} is simulated and nothing listens behind it"
    raise APIError("ServiceUnavailable", 503, f"error trying to reach service: {why}")


def bind(asked: Asked) -> Response:
    """Put a pod on a node.

    Raises:
        APIError: NotFound for the pod, Invalid target, Conflict for another pod or one that has a node.
    """
    info, group = asked.info, asked.control.served.group
    pods: Any = group.resources.by_gvr(GVR("", "v1", "pods"))
    bindings: Any = group.resources.by_gvr(GVR("", "v1", "bindings"))
    dry_run = check_write("CreateOptions", info.query)
    body = request_object(asked.exchange, bindings)
    target: JsonObject = body.get("target") or {}
    name = info.name or (body.get("metadata") or {}).get("name", "")
    if not target.get("name"):
        raise invalid("Binding", "", name, [("target.name", "Required value")])
    node, namespace = target["name"], info.namespace or ""
    was = group.get(pods, namespace, name).content()
    check_uid(pods, (body.get("metadata") or {}).get("uid"), was["metadata"])
    current = (was.get("spec") or {}).get("nodeName")
    if current:
        why = f'pod {name} is already assigned to node "{current}"'
        raise conflict("pods/binding", "", name, why)
    now = format_time(asked.control.clock())

    def assign(pod: JsonObject) -> JsonObject:
        scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": now}
        status = with_condition(pod.get("status") or {}, {**scheduled, "lastProbeTime": None})
        return {**pod, "spec": {**(pod.get("spec") or {}), "nodeName": node}, "status": status}

    if not dry_run:
        group.apply_own(pods, namespace, name, assign)
    head: JsonObject = {"kind": "Status", "apiVersion": "v1", "metadata": {}}
    return Response(201, orjson.dumps({**head, "status": "Success", "code": 201}))


def _numbers(asked: Asked) -> dict[str, int]:
    numbers: dict[str, int] = {}
    causes = []
    for name, (least, why) in _LEAST.items():
        text = asked.info.query.get(name)
        if not text:
            continue
        if not text.lstrip("-").isdecimal():
            raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
        numbers[name] = int(text)
        if numbers[name] < least:
            causes.append((name, f"Invalid value: {text}: {why}"))
    if causes:
        raise invalid("PodLogOptions", "", asked.info.name, causes)
    return numbers


def _container(asked: Asked, pod: JsonObject) -> str:
    """Return the name of the container that is meant."""
    spec, wanted = pod.get("spec") or {}, asked.info.query.get("container", "")
    names = [it["name"] for it in spec.get("containers") or ()]
    first = [it["name"] for it in spec.get("initContainers") or ()]
    ephemeral = [it["name"] for it in spec.get("ephemeralContainers") or ()]
    if wanted:
        if wanted not in (*names, *first, *ephemeral):
            raise bad_request(f"container {wanted} is not valid for pod {asked.info.name}")
        return wanted
    if len(names) <= 1:
        return str(names[0]) if names else ""
    choices = f"choose one of: [{' '.join(names)}]"
    if first:
        choices += f" or one of the init containers: [{' '.join(first)}]"
    why = "a container name must be specified for pod"
    raise bad_request(f"{why} {asked.info.name}, {choices}")


def _lines(pod: JsonObject, container: str) -> list[tuple[float, str]]:
    """Return when a container said what, in seconds since the epoch."""
    status: JsonObject = pod.get("status") or {}
    rows = [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]
    state: JsonObject = next((it.get("state") or {} for it in rows if it["name"] == container), {})
    name = pod["metadata"]["name"]
    if waiting := state.get("waiting"):
        reason = waiting.get("reason", "ContainerCreating")
        why = f'container "{container}" in pod "{name}" is waiting to start: {reason}'
        raise bad_request(why)
    ran = state.get("running") or state.get("terminated") or {}
    started = ran.get("startedAt") or status.get("startTime")
    start = parse_time(started or pod["metadata"]["creationTimestamp"])
    lines = [(start, f"{container}: started"), (start, f"{container}: simulated, no process runs")]
    if finished := ran.get("finishedAt"):
        lines.append((parse_time(finished), f"{container}: ended"))
    return lines


def _cut(lines: list[tuple[float, str]], asked: Asked, numbers: dict[str, int]) -> bytes:
    """Write the lines that the options leave."""
    query = asked.info.query
    since = 0.0
    if "sinceSeconds" in numbers:
        since = asked.control.clock() - numbers["sinceSeconds"]
    elif since_time := query.get("sinceTime"):
        since = parse_time(since_time)
    kept = [(at, text) for at, text in lines if at >= since]
    if "tailLines" in numbers:
        kept = kept[max(0, len(kept) - numbers["tailLines"]) :]
    stamped = is_true(query.get("timestamps"))
    made = [f"{format_time(at)} {text}\n" if stamped else f"{text}\n" for at, text in kept]
    text = "".join(made).encode()
    return text[: numbers["limitBytes"]] if "limitBytes" in numbers else text


def _follow(asked: Asked, text: bytes) -> None:
    """Keep the log open until its pod ends or goes, or nobody reads it."""
    info, group = asked.info, asked.control.served.group
    stream = asked.exchange.start_stream(200, _TEXT)
    stream.write(text)

    def changed(event: WatchEvent) -> None:
        if event.type == "DELETED" or has_ended(event.stored.json()):
            stream.close()

    watch = group.watch(
        info.resource,
        info.namespace,
        changed,
        fields=FieldSelector.parse(f"metadata.name={info.name}"),
        since=group.resource_version,
    )
    stream.on_lost = watch.close
