"""EndpointSlices of Endpoints that clients wrote, for services without a selector.

Source: kube-controller-manager's endpointslicemirroring controller. Departure: it mirrors at most 1000
addresses of a subset, this one all.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from capim.api.meta import owner_reference
from capim.runtime.controllers.base import Controller
from capim.runtime.controllers.kinds import ENDPOINT_SLICES, ENDPOINTS, SERVICES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject
    from capim.runtime.controllers.base import Context, Key
    from capim.runtime.objects import Change

_MANAGER: Final = {
    "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io"
}
_SERVICE: Final = "kubernetes.io/service-name"
_SKIP: Final = "endpointslice.kubernetes.io/skip-mirror"
_LEADER: Final = "control-plane.alpha.kubernetes.io/leader"
#: annotations that say nothing of the copy
_NOT_COPIED: Final = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        "endpoints.kubernetes.io/last-change-trigger-time",
    }
)
_PARTS: Final = ("addressType", "endpoints", "ports")


def _reconcile(context: Context, namespace: str, name: str) -> None:
    endpoints = context.get(ENDPOINTS, namespace, name)
    if endpoints is None:
        return  # what mirrored it goes with it
    own = [
        one
        for one in context.controlled(endpoints, ENDPOINT_SLICES)
        if _MANAGER.items() <= (one["metadata"].get("labels") or {}).items()
    ]
    wanted = [*_wanted(endpoints)] if _is_mirrored(context, endpoints) else []
    for body in wanted:
        found = _take(own, body)
        if found is None:
            context.create(ENDPOINT_SLICES, body)
        elif any(found.get(part) != body.get(part) for part in _PARTS) or _metadata_differs(
            found, body
        ):
            kept = {key: body["metadata"][key] for key in ("labels", "annotations")}
            metadata = found["metadata"] | kept
            metadata.pop("generateName", None)  # as a real controller's write loses it
            context.save(ENDPOINT_SLICES, found | body | {"metadata": metadata})
    for one in own:
        context.delete(ENDPOINT_SLICES, namespace, one["metadata"]["name"])


def _is_mirrored(context: Context, endpoints: JsonObject) -> bool:
    metadata = endpoints["metadata"]
    service = context.get(SERVICES, metadata["namespace"], metadata["name"])
    if service is None or service["spec"].get("selector"):
        return False
    skipped = (metadata.get("labels") or {}).get(_SKIP) == "true"
    return not skipped and _LEADER not in (metadata.get("annotations") or {})


def _wanted(endpoints: JsonObject) -> Iterator[JsonObject]:
    """Yield a slice for each subset and address family."""
    metadata = endpoints["metadata"]
    annotations = metadata.get("annotations") or {}
    shared: JsonObject = {
        "namespace": metadata["namespace"],
        "generateName": f"{metadata['name']}-",
        "labels": (metadata.get("labels") or {}) | _MANAGER | {_SERVICE: metadata["name"]},
        "annotations": {k: v for k, v in annotations.items() if k not in _NOT_COPIED},
        "ownerReferences": [owner_reference(endpoints)],
    }
    for (family, _), (ports, members) in _by_ports(endpoints).items():
        yield {
            "metadata": dict(shared),
            "addressType": family,
            "endpoints": members,
            "ports": ports,
        }


def _by_ports(
    endpoints: JsonObject,
) -> dict[tuple[str, str], tuple[list[JsonObject], list[JsonObject]]]:
    """Return ports and members by address family and ports: subsets with the same ports are one."""
    made: dict[tuple[str, str], tuple[list[JsonObject], list[JsonObject]]] = {}
    for subset in endpoints.get("subsets") or ():
        ports = [{"name": "", "protocol": "TCP"} | port for port in subset.get("ports") or ()]
        known_by = json.dumps(sorted(ports, key=lambda port: (port["name"], port["port"])))
        for field in ("addresses", "notReadyAddresses"):
            for address in subset.get(field) or ():
                family = "IPv6" if ":" in address["ip"] else "IPv4"
                _, members = made.setdefault((family, known_by), (ports, []))
                members.append(_endpoint(address, ready=field == "addresses"))
    return made


def _endpoint(address: JsonObject, *, ready: bool) -> JsonObject:
    made: JsonObject = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
    return made | {k: address[k] for k in ("hostname", "nodeName", "targetRef") if k in address}


def _take(own: list[JsonObject], body: JsonObject) -> JsonObject | None:
    """Take away and return the slice that has the same ports and family, else None."""
    for index, found in enumerate(own):
        if all(found.get(part) == body[part] for part in ("addressType", "ports")):
            return own.pop(index)
    return None


def _metadata_differs(found: JsonObject, body: JsonObject) -> bool:
    metadata = found["metadata"]
    return any(
        (metadata.get(key) or {}) != body["metadata"][key] for key in ("labels", "annotations")
    )


def _of_service(_: Context, change: Change) -> Iterator[Key]:
    yield change.stored.namespace, change.stored.name


CONTROLLER: Final = Controller(
    "endpoint slice mirroring",
    ENDPOINTS,
    _reconcile,
    owns=(ENDPOINT_SLICES,),
    watches=((SERVICES, _of_service),),
)
