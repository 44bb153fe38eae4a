"""Endpoints and EndpointSlices of services: the addresses of the pods that a selector takes.

Source: kube-controller-manager's endpoint and endpointslice controllers. Departure: a service has slices of
one address family.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from capim.api.meta import get_condition, owner_reference
from capim.runtime.controllers.base import Controller
from capim.runtime.controllers.kinds import ENDPOINT_SLICES, ENDPOINTS, NODES, PODS, SERVICES
from capim.runtime.controllers.podstate import is_deleting, is_ready, label_selector, node_of
from capim.runtime.controllers.scheduler import bound_to
from capim.runtime.graceful import has_ended
from capim.runtime.objects import Change

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject
    from capim.runtime.controllers.base import Context, Key

_TRIGGERED: Final = "endpoints.kubernetes.io/last-change-trigger-time"
_SLICE_MANAGER: Final = {
    "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"
}
_MANAGER: Final = {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}
_SERVICE: Final = "kubernetes.io/service-name"
_HEADLESS: Final = {"service.kubernetes.io/headless": ""}
#: endpoints in one slice
_MOST: Final = 100


def _reconcile(context: Context, namespace: str, name: str) -> None:
    service = context.get(SERVICES, namespace, name)
    if service is None:
        context.delete(ENDPOINTS, namespace, name)
        return
    selector = (service.get("spec") or {}).get("selector")
    if not selector or service["spec"].get("type") == "ExternalName" or is_deleting(service):
        return
    chosen = label_selector(selector)
    found = (s.json() for s in context.stored(PODS, namespace) if chosen.matches(s.labels))
    pods = [pod for pod in found if _has_address(pod)]
    _write_endpoints(context, service, pods)
    _write_slices(context, service, [pod for pod in pods if _is_placed(context, pod)])


def _is_placed(context: Context, pod: JsonObject) -> bool:
    """Tell whether a pod may stand in a slice: not on a node that there is not."""
    return not node_of(pod) or context.group.find(NODES, "", node_of(pod)) is not None


def _has_address(pod: JsonObject) -> bool:
    return bool((pod.get("status") or {}).get("podIP")) and not has_ended(pod)


def _write_endpoints(context: Context, service: JsonObject, pods: list[JsonObject]) -> None:
    """Write the Endpoints of old: pods grouped by their ports."""
    by_ports: dict[str, tuple[list[JsonObject], list[JsonObject]]] = {}
    for pod in sorted(pods, key=lambda pod: str(pod["status"]["podIP"])):
        ports = _ports(service, pod)
        if not ports and service["spec"].get("ports"):
            continue
        by_ports.setdefault(repr(ports), (ports, []))[1].append(pod)
    subsets = []
    for ports, members in by_ports.values():
        subset: JsonObject = {}
        for field, ready in (("addresses", True), ("notReadyAddresses", False)):
            addresses = [_address(pod) for pod in members if _is_served(service, pod) == ready]
            if addresses:
                subset[field] = addresses
        subsets.append(subset | ({"ports": ports} if ports else {}))
    metadata = service["metadata"]
    body: JsonObject = {
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": _labels(service) | _MANAGER,
        }
    } | ({"subsets": subsets} if subsets else {})
    found = context.get(ENDPOINTS, metadata["namespace"], metadata["name"])
    if found is None:
        body["metadata"]["annotations"] = {_TRIGGERED: metadata["creationTimestamp"]}
        context.create(ENDPOINTS, body, complete=True)
    elif _differs(found, body, "subsets"):
        since = _changed_at(service, pods, _members_of_subsets(found))
        context.save(ENDPOINTS, _replaced(found, body, since, "subsets"))


def _write_slices(context: Context, service: JsonObject, pods: list[JsonObject]) -> None:
    """Write the slices: as many as there are hundreds of pods, and one where there is none."""
    by_ports: dict[str, tuple[list[JsonObject], list[JsonObject]]] = {}
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["name"])):
        ports = _ports(service, pod, named=True)
        by_ports.setdefault(repr(ports), (ports, []))[1].append(_endpoint(service, pod))
    wanted: list[tuple[Any, Any]] = [
        (ports, endpoints[start : start + _MOST])
        for ports, endpoints in by_ports.values()
        for start in range(0, len(endpoints), _MOST)
    ] or [(None, None)]
    metadata = service["metadata"]
    own = [
        one
        for one in context.controlled(service, ENDPOINT_SLICES)
        if _SLICE_MANAGER.items() <= (one["metadata"].get("labels") or {}).items()
    ]
    own.sort(key=lambda one: str(one["metadata"]["name"]))
    for ports, endpoints in wanted:
        body: JsonObject = {
            "metadata": {
                "namespace": metadata["namespace"],
                "labels": _labels(service) | _SLICE_MANAGER | {_SERVICE: metadata["name"]},
            },
            "addressType": _family(service),
            "endpoints": endpoints,
            "ports": ports,
        }
        if own:
            found = own.pop(0)
            if _differs(found, body, "endpoints", "ports"):
                since = _changed_at(service, pods, _members_of_slice(found))
                replaced = _replaced(found, body, since, "endpoints", "ports")
                context.save(ENDPOINT_SLICES, replaced)
            continue
        body["metadata"] |= {
            "generateName": f"{metadata['name']}-",
            "annotations": {_TRIGGERED: metadata["creationTimestamp"]},
            "ownerReferences": [owner_reference(service)],
        }
        context.create(ENDPOINT_SLICES, body)
    for one in own:
        context.delete(ENDPOINT_SLICES, metadata["namespace"], one["metadata"]["name"])


def _differs(found: JsonObject, body: JsonObject, *fields: str) -> bool:
    same_labels = (found["metadata"].get("labels") or {}) == body["metadata"]["labels"]
    return not same_labels or any((found.get(f) or []) != (body.get(f) or []) for f in fields)


def _replaced(found: JsonObject, body: JsonObject, since: str, *fields: str) -> JsonObject:
    metadata = found["metadata"] | {"labels": body["metadata"]["labels"]}
    annotations = dict(found["metadata"].get("annotations") or {})
    annotations.pop(_TRIGGERED, None)
    metadata["annotations"] = annotations | ({_TRIGGERED: since} if since else {})
    return found | {"metadata": metadata} | {field: body.get(field) for field in fields}


def _changed_at(service: JsonObject, pods: list[JsonObject], before: set[tuple[str, bool]]) -> str:
    """Return when the first of the pods that are new or changed became what it is; empty: unknown."""
    changed = (
        pod for pod in pods if (pod["metadata"]["uid"], _is_served(service, pod)) not in before
    )
    times = ((get_condition(pod, "Ready") or {}).get("lastTransitionTime") for pod in changed)
    return min((str(time) for time in times if time), default="")


def _members_of_subsets(found: JsonObject) -> set[tuple[str, bool]]:
    return {
        ((address.get("targetRef") or {}).get("uid", ""), field == "addresses")
        for subset in found.get("subsets") or ()
        for field in ("addresses", "notReadyAddresses")
        for address in subset.get(field) or ()
    }


def _members_of_slice(found: JsonObject) -> set[tuple[str, bool]]:
    return {
        ((one.get("targetRef") or {}).get("uid", ""), bool(one["conditions"].get("ready")))
        for one in found.get("endpoints") or ()
    }


def _labels(service: JsonObject) -> dict[str, str]:
    labels: dict[str, str] = service["metadata"].get("labels") or {}
    return labels | (_HEADLESS if service["spec"].get("clusterIP") == "None" else {})


def _family(service: JsonObject) -> str:
    families = service["spec"].get("ipFamilies") or ["IPv4"]
    return str(families[0])


def _is_served(service: JsonObject, pod: JsonObject) -> bool:
    if service["spec"].get("publishNotReadyAddresses"):
        return True
    return is_ready(pod) and not is_deleting(pod)


def _ports(service: JsonObject, pod: JsonObject, *, named: bool = False) -> list[JsonObject]:
    """Return a service's ports as they are at a pod; one whose name the pod does not have is left out."""
    found = []
    for port in service["spec"].get("ports") or ():
        target = port.get("targetPort", port["port"])
        number = _number(pod, target, port.get("protocol", "TCP"))
        if number is None:
            continue
        made: JsonObject = {"port": number, "protocol": port.get("protocol", "TCP")}
        if port.get("name") or named:
            made["name"] = port.get("name", "")
        if port.get("appProtocol"):
            made["appProtocol"] = port["appProtocol"]
        found.append(made)
    return found


def _number(pod: JsonObject, target: int | str, protocol: str) -> int | None:
    if isinstance(target, int):
        return target
    by_name = defaultdict(list)
    for container in pod["spec"].get("containers") or ():
        for port in container.get("ports") or ():
            by_name[port.get("name"), port.get("protocol", "TCP")].append(port["containerPort"])
    found = by_name.get((target, protocol))
    return int(found[0]) if found else None


def _reference(pod: JsonObject) -> JsonObject:
    metadata = pod["metadata"]
    return {"kind": "Pod"} | {key: metadata[key] for key in ("namespace", "name", "uid")}


def _address(pod: JsonObject) -> JsonObject:
    made: JsonObject = {"ip": pod["status"]["podIP"], "targetRef": _reference(pod)}
    if node_of(pod):
        made["nodeName"] = node_of(pod)
    return made | _hostname(pod)


def _hostname(pod: JsonObject) -> JsonObject:
    spec = pod["spec"]
    return {"hostname": spec["hostname"]} if spec.get("hostname") and spec.get("subdomain") else {}


def _endpoint(service: JsonObject, pod: JsonObject) -> JsonObject:
    conditions = {
        "ready": _is_served(service, pod),
        "serving": is_ready(pod),
        "terminating": is_deleting(pod),
    }
    made: JsonObject = {
        "addresses": [pod["status"]["podIP"]],
        "conditions": conditions,
        "targetRef": _reference(pod),
    }
    if node_of(pod):
        made["nodeName"] = node_of(pod)
    return made | _hostname(pod)


def _of_service(context: Context, change: Change) -> Iterator[Key]:
    yield context.services.note(change)


def _of_pod(context: Context, change: Change) -> Iterator[Key]:
    return context.services.of_pod(change)


def _of_node(context: Context, change: Change) -> Iterator[Key]:
    """A node came: pods that were bound to it before it was there count now."""
    if change.type == "ADDED" and context.services:
        for stored in context.stored(PODS, None):
            if bound_to(stored) == change.stored.name:
                yield from context.services.of_pod(Change("MODIFIED", stored, None))


def _of_endpoints(_: Context, change: Change) -> Iterator[Key]:
    if change.type == "DELETED":
        yield change.stored.namespace, change.stored.name


def _of_slice(_: Context, change: Change) -> Iterator[Key]:
    name = change.stored.labels.get(_SERVICE)
    if name and change.type == "DELETED":
        yield change.stored.namespace, name


CONTROLLER: Final = Controller(
    "endpoints",
    None,
    _reconcile,
    watches=(
        (SERVICES, _of_service),
        (PODS, _of_pod),
        (NODES, _of_node),
        (ENDPOINTS, _of_endpoints),
        (ENDPOINT_SLICES, _of_slice),
    ),
)
