"""What a kube-apiserver and its controllers make in every cluster alike, as templates.

Texts like `@time@` stand for what is a cluster's own: see `values`. Roles are in `roles`.
"""

from __future__ import annotations

import functools
import ipaddress
from typing import TYPE_CHECKING, Final

import orjson

from capim.api.gvk import GVK, split_api_version
from capim.api.meta import format_time
from capim.api.resources import WORKLOAD_RESOURCES
from capim.runtime.baselayer import Layer
from capim.runtime.manifests import flowcontrol, kubeadm, roles
from capim.runtime.manifests.defaults import (
    PUBLIC,
    SYSTEM,
    new_object,
    service_account,
    service_ip,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject
    from capim.api.resources import Resource
    from capim.api.workload import ClusterSpec
    from capim.runtime.baselayer import Values

_NETWORK: Final = "networking.k8s.io"
#: group -> its place among the groups, and of its versions where that is not the usual one
_GROUPS: Final[dict[str, tuple[int, int]]] = {
    "": (18_000, 1),
    "admissionregistration.k8s.io": (16_700, 15),
    "apiextensions.k8s.io": (16_700, 15),
    "apps": (17_800, 15),
    "authentication.k8s.io": (17_700, 15),
    "authorization.k8s.io": (17_600, 15),
    "autoscaling": (17_500, 15),
    "batch": (17_400, 15),
    "certificates.k8s.io": (17_300, 15),
    "coordination.k8s.io": (16_500, 15),
    "discovery.k8s.io": (16_200, 15),
    "events.k8s.io": (17_750, 15),
    "flowcontrol.apiserver.k8s.io": (16_100, 21),
    "networking.k8s.io": (17_200, 15),
    "node.k8s.io": (16_300, 15),
    "policy": (17_100, 15),
    "rbac.authorization.k8s.io": (17_000, 15),
    "resource.k8s.io": (16_200, 21),
    "scheduling.k8s.io": (16_600, 15),
    "storage.k8s.io": (16_800, 15),
}
_SECOND_VERSION: Final = 30
#: accounts of controllers whose roles are of namespaces
_OTHER_CONTROLLERS: Final = ("bootstrap-signer", "token-cleaner")
_ENDPOINT_PORTS: Final = [{"name": "https", "port": "@#port@", "protocol": "TCP"}]


@functools.cache
def layer() -> Layer:
    """Return the objects every cluster has."""
    return Layer((_resource(body), body) for body in objects())


def values(spec: ClusterSpec, begun: float, control_plane: str) -> Values:
    """Return what of the templates is a cluster's own.

    Args:
        spec: the cluster.
        begun: when its first API server was up.
        control_plane: the address of a control plane machine, for where the endpoint is a name.
    """
    host, _, port = spec.endpoint.rpartition(":")
    host = host.strip("[]")
    if not _is_address(host):
        host, port = control_plane, "6443"
    address = service_ip(spec.service_cidr, 1)
    cidrs = [part.strip() for part in spec.service_cidr.split(",")]
    own = {
        "time": format_time(begun),
        "service": address,
        "service_family": _family(address),
        "address": host,
        "family": _family(host),
    }
    made = {name: text.encode() for name, text in own.items()}
    return made | {"port": (port or "6443").encode(), "cidrs": orjson.dumps(cidrs)}


def objects() -> Iterator[JsonObject]:
    """Yield what every cluster is born with."""
    yield from _api_services()
    yield from flowcontrol.objects()
    yield from roles.objects()
    yield from kubeadm.shared_objects()
    for name in ("default", SYSTEM, PUBLIC):
        yield service_account("default", name)
    for controller in sorted({*roles.controllers(), *_OTHER_CONTROLLERS}):
        yield service_account(controller, SYSTEM)
    yield _service_cidr()
    yield _service_address()
    yield from _endpoints()


def _resource(body: JsonObject) -> Resource:
    found = WORKLOAD_RESOURCES.by_gvk(GVK(*split_api_version(body["apiVersion"]), body["kind"]))
    if found is None:
        raise LookupError(f"the table of served kinds has no {body['apiVersion']} {body['kind']}")
    return found


def _api_services() -> Iterator[JsonObject]:
    labels = {"kube-aggregator.kubernetes.io/automanaged": "onstart"}
    served = WORKLOAD_RESOURCES.groups()
    for group, (minimum, priority) in _GROUPS.items():  # the aggregator's own group has none
        for version in served[group]:
            spec: JsonObject = {"group": group} if group else {}
            spec["version"] = version
            spec["groupPriorityMinimum"] = minimum
            spec["versionPriority"] = priority if version == "v1" else _SECOND_VERSION
            condition = {
                "type": "Available",
                "status": "True",
                "lastTransitionTime": "@time@",
                "reason": "Local",
                "message": "Local APIServices are always available",
            }
            name = f"{version}.{group}"
            body = new_object("apiregistration.k8s.io/v1", "APIService", name, labels=labels)
            yield body | {"spec": spec, "status": {"conditions": [condition]}}


def _service_cidr() -> JsonObject:
    body = new_object(f"{_NETWORK}/v1", "ServiceCIDR", "kubernetes")
    body["metadata"]["finalizers"] = [f"{_NETWORK}/service-cidr-finalizer"]
    condition = {
        "type": "Ready",
        "status": "True",
        "lastTransitionTime": "@time@",
        "reason": "",
        "message": "Kubernetes Service CIDR is ready",
    }
    return body | {"spec": {"cidrs": "@#cidrs@"}, "status": {"conditions": [condition]}}


def _service_address() -> JsonObject:
    labels = {
        "ipaddress.kubernetes.io/ip-family": "@service_family@",
        "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
    }
    parent = {"resource": "services", "namespace": "default", "name": "kubernetes"}
    body = new_object(f"{_NETWORK}/v1", "IPAddress", "@service@", labels=labels)
    return body | {"spec": {"parentRef": parent}}


def _endpoints() -> Iterator[JsonObject]:
    labels = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    body = new_object("v1", "Endpoints", "kubernetes", "default", labels=labels)
    yield body | {"subsets": [{"addresses": [{"ip": "@address@"}], "ports": _ENDPOINT_PORTS}]}
    labels = {"kubernetes.io/service-name": "kubernetes"}
    body = new_object(
        "discovery.k8s.io/v1", "EndpointSlice", "kubernetes", "default", labels=labels
    )
    endpoint = {"addresses": ["@address@"], "conditions": {"ready": True}}
    body |= {"addressType": "@family@", "endpoints": [endpoint]}
    yield body | {"ports": _ENDPOINT_PORTS}


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _family(address: str) -> str:
    return "IPv6" if ":" in address else "IPv4"
