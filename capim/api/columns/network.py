"""Printed columns of services, endpoints, ingresses and other kinds of networking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from capim.api.columns.definitions import (
    AGE,
    NAME,
    NONE,
    UNKNOWN,
    UNSET,
    Column,
    at,
    first_of,
    items_at,
    label_text,
    selector_text,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from capim.api.meta import JsonObject

#: of endpoints, ports and hosts so many are shown
_SHOWN: Final = 3


# --- services ----------------------------------------------------------------------------------------


def _cluster_ip(service: JsonObject, _: float) -> str:
    addresses = items_at(service, "spec.clusterIPs")
    return str(addresses[0] if addresses else at(service, "spec.clusterIP") or NONE)


def _external_ip(service: JsonObject, _: float) -> str:
    kind = at(service, "spec.type") or "ClusterIP"
    own: list[str] = items_at(service, "spec.externalIPs")
    if kind in {"ClusterIP", "NodePort"}:
        return ",".join(own) or NONE
    if kind == "LoadBalancer":
        return ",".join([*_balancers(service), *own]) or "<pending>"
    return str(at(service, "spec.externalName") or "") if kind == "ExternalName" else UNKNOWN


def _balancers(obj: JsonObject) -> list[str]:
    """Return the addresses that load balancers gave to a service or ingress."""
    given = items_at(obj, "status.loadBalancer.ingress")
    return sorted({one.get("ip") or one.get("hostname") or "" for one in given} - {""})


def _service_ports(service: JsonObject, _: float) -> str:
    return ",".join(map(_service_port, items_at(service, "spec.ports"))) or NONE


def _service_port(port: JsonObject) -> str:
    node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port['port']}{node_port}/{port.get('protocol', 'TCP')}"


def _service_selector(service: JsonObject, _: float) -> str:
    return label_text(at(service, "spec.selector"))


SERVICES: Final = (
    NAME,
    Column("Type", text("spec.type", "ClusterIP"), "How it is reached"),
    Column("Cluster-IP", _cluster_ip, "Address in the cluster"),
    Column("External-IP", _external_ip, "Addresses for the outside"),
    Column("Port(s)", _service_ports, "Port, node port and protocol"),
    AGE,
    Column("Selector", _service_selector, "Selects the pods behind it", priority=1),
)


# --- endpoints ---------------------------------------------------------------------------------------


def _endpoints(endpoints: JsonObject, _: float) -> str:
    subsets = endpoints.get("subsets")
    if not subsets:
        return NONE
    found = [address for subset in subsets for address in _subset_addresses(subset)]
    return first_of(found, _SHOWN, len(found))


def _subset_addresses(subset: JsonObject) -> Iterable[str]:
    addresses = [str(one["ip"]) for one in subset.get("addresses") or ()]
    ports = subset.get("ports")
    if not ports:
        return addresses
    return [_host_port(address, port["port"]) for port in ports for address in addresses]


def _host_port(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


ENDPOINTS: Final = (NAME, Column("Endpoints", _endpoints, "Addresses behind the service"), AGE)


def _slice_ports(found: JsonObject, _: float) -> str:
    ports = [str(_slice_port(port)) for port in found.get("ports") or ()]
    return first_of(ports, _SHOWN, len(ports)) or UNSET


def _slice_port(port: JsonObject) -> Any:
    if port.get("port") is not None:
        return port["port"]
    return port["name"] if port.get("name") is not None else "*"


def _slice_endpoints(found: JsonObject, _: float) -> str:
    endpoints = found.get("endpoints") or ()
    addresses = [address for one in endpoints for address in one.get("addresses") or ()]
    return first_of(addresses, _SHOWN, len(addresses)) or UNSET


ENDPOINT_SLICES: Final = (
    NAME,
    Column("AddressType", text("addressType"), "IPv4, IPv6 or FQDN"),
    Column("Ports", _slice_ports, "Ports of every endpoint"),
    Column("Endpoints", _slice_endpoints, "Addresses behind the service"),
    AGE,
)


# --- ingresses and the rest --------------------------------------------------------------------------


def _hosts(ingress: JsonObject, _: float) -> str:
    hosts: list[str] = []
    rules = items_at(ingress, "spec.rules")
    for rule in rules:
        if len(hosts) == _SHOWN:  # whatever follows counts, with a host or without
            return f"{','.join(hosts)} + {len(rules) - _SHOWN} more..."
        if rule.get("host"):
            hosts.append(rule["host"])
    return ",".join(hosts) or "*"


def _ingress_ports(ingress: JsonObject, _: float) -> str:
    return "80, 443" if at(ingress, "spec.tls") else "80"


INGRESSES: Final = (
    NAME,
    Column("Class", text("spec.ingressClassName", NONE), "Which controller serves it"),
    Column("Hosts", _hosts, "Hosts that it answers for"),
    Column("Address", lambda obj, _: ",".join(_balancers(obj)), "Where it is reached"),
    Column("Ports", _ingress_ports, "Ports that it opens"),
    AGE,
)


def _class_parameters(ingress_class: JsonObject, _: float) -> str:
    parameters = at(ingress_class, "spec.parameters")
    if parameters is None:
        return NONE
    group = f".{parameters['apiGroup']}" if parameters.get("apiGroup") else ""
    return f"{parameters['kind']}{group}/{parameters['name']}"


INGRESS_CLASSES: Final = (
    NAME,
    Column("Controller", text("spec.controller"), "Who serves ingresses of this class"),
    Column("Parameters", _class_parameters, "Where its settings are"),
    AGE,
)


def _pod_selector(policy: JsonObject, _: float) -> str:
    return selector_text(at(policy, "spec.podSelector")) or NONE


NETWORK_POLICIES: Final = (NAME, Column("Pod-Selector", _pod_selector, "Selects the pods"), AGE)


def _parent(address: JsonObject, _: float) -> str:
    parent = at(address, "spec.parentRef")
    if parent is None:
        return NONE
    group = f".{parent['group']}" if parent.get("group") else ""
    namespace = f"/{parent['namespace']}" if parent.get("namespace") else ""
    return f"{parent['resource']}{group}".lower() + f"{namespace}/{parent['name']}"


IP_ADDRESSES: Final = (NAME, Column("ParentRef", _parent, "What the address belongs to"))


def _cidrs(found: JsonObject, _: float) -> str:
    return ",".join(items_at(found, "spec.cidrs"))


SERVICE_CIDRS: Final = (NAME, Column("CIDRs", _cidrs, "Ranges of service addresses"), AGE)
