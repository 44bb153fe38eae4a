"""The IPAddress of every address that a Service has.

A real API server makes and deletes them with the Service itself, in the same request; here they follow it
at once. Source: k8s.io/kubernetes, `pkg/registry/core/service/ipallocator`. Departure: an address that
somebody else's IPAddress holds is given to a Service all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.runtime.controllers.base import Controller
from capim.runtime.controllers.kinds import IP_ADDRESSES, SERVICES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject
    from capim.runtime.controllers.base import Context, Key
    from capim.runtime.objects import Change, Stored

_MANAGER: Final = {"ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"}
_FAMILY: Final = "ipaddress.kubernetes.io/ip-family"
_NONE: Final = frozenset({"", "None"})


def _give(context: Context, namespace: str, name: str) -> None:
    """Make what a Service lacks."""
    service = context.group.find(SERVICES, namespace, name)
    for address in [] if service is None else _addresses_of(service):
        if context.group.find(IP_ADDRESSES, "", address) is None:
            family = "IPv6" if ":" in address else "IPv4"
            parent = {"resource": "services", "namespace": namespace, "name": name}
            metadata = {"name": address, "labels": {_FAMILY: family, **_MANAGER}}
            context.create(IP_ADDRESSES, {"metadata": metadata, "spec": {"parentRef": parent}})


def _take_back(context: Context, _: str, address: str) -> None:
    """Delete an address that its Service no longer has."""
    found = context.get(IP_ADDRESSES, "", address)
    if found is None or not _MANAGER.items() <= (found["metadata"].get("labels") or {}).items():
        return
    parent: JsonObject = found["spec"]["parentRef"]
    service = context.group.find(SERVICES, parent.get("namespace", ""), parent["name"])
    if service is None or address not in _addresses_of(service):
        context.delete(IP_ADDRESSES, "", address)


def _addresses_of(service: Stored) -> list[str]:
    spec: JsonObject = service.json().get("spec") or {}
    return [address for address in spec.get("clusterIPs") or () if address not in _NONE]


def _given_up(_: Context, change: Change) -> Iterator[Key]:
    """Yield what a Service had; what it keeps stays."""
    if change.previous is not None:
        for address in _addresses_of(change.previous):
            yield "", address


CONTROLLERS: Final = (
    Controller("service addresses", SERVICES, _give),
    Controller("addresses of services", None, _take_back, watches=((SERVICES, _given_up),)),
)
