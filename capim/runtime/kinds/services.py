"""What an API server gives to Services: cluster addresses and node ports, out of its ranges.

What is taken follows from the Services there are, so nothing can leak. A real server draws at random
from the upper part of its range and leaves the lower one to those who name an address; here the lowest
free one of the upper part is taken, so that a cluster is the same in every run.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final, TypeAlias

from capim.api.errors import APIError
from capim.api.resources import Resource
from capim.api.validation import field
from capim.runtime.validation import invalid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject
    from capim.runtime.objects import Change

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

NODE_PORTS: Final = range(30_000, 32_768)
#: how many of the first node ports are left to those who name one (pkg/registry/core/service/portallocator)
_NAMED_PORTS: Final = 86
_FALLBACK: Final = ipaddress.ip_network("10.128.0.0/12")
_WITH_ADDRESS: Final = frozenset({"ClusterIP", "NodePort", "LoadBalancer"})
_WITH_PORTS: Final = frozenset({"NodePort", "LoadBalancer"})
_NONE: Final = "None"
_SERVICE: Final = Resource("", "v1", "services", "Service", True, "service")


class ServiceRanges:
    """The addresses and node ports of one cluster, and which Service has which."""

    def __init__(self, service_cidr: str) -> None:
        self._networks = {_family(network): network for network in _networks(service_cidr)}
        self._held: dict[str, tuple[list[str], list[int]]] = {}  # by the Service's key
        self._addresses: dict[str, str] = {}  # address -> key of its Service
        self._ports: dict[int, str] = {}

    def observe(self, change: Change) -> None:
        """Note what a Service has now, and what it gave back."""
        key = change.stored.key
        addresses, ports = self._held.pop(key, ((), ()))
        for address in addresses:
            self._addresses.pop(address, None)
        for port in ports:
            self._ports.pop(port, None)
        if change.type != "DELETED":
            spec = change.stored.json().get("spec") or {}
            held = _addresses_of(spec), [*_node_ports(spec)]
            self._held[key] = held
            self._addresses.update(dict.fromkeys(held[0], key))
            self._ports.update(dict.fromkeys(held[1], key))

    def carry_over(self, service: JsonObject, old: JsonObject) -> None:
        """Keep what an update does not say and still fits, drop what no longer does, in place."""
        spec, was = service["spec"], old.get("spec") or {}
        _drop_what_no_longer_fits(spec, was)
        _keep_allocated(spec, was)

    def allocate(self, service: JsonObject, old: JsonObject | None) -> None:
        """Complete a Service's families, addresses and node ports, in place.

        Raises:
            APIError: Invalid, for a family, address or port that cannot be had.
        """
        spec, was = service["spec"], (old or {}).get("spec") or {}
        metadata = service["metadata"]
        try:
            if spec["type"] in _WITH_ADDRESS:
                self._choose_families(spec)
                self._take_addresses(spec, was)
            if spec["type"] in _WITH_PORTS:
                self._take_ports(spec, f"{metadata['namespace']}/{metadata['name']}")
        except _RefusedError as error:
            raise _invalid_service(metadata["name"], error.cause) from None

    def _choose_families(self, spec: JsonObject) -> None:
        addresses = spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])
        if addresses:
            spec["clusterIPs"] = addresses
            spec.setdefault("clusterIP", addresses[0])
        bare = addresses[:1] == [_NONE] and not spec.get("selector")
        policy = spec.setdefault("ipFamilyPolicy", "RequireDualStack" if bare else "SingleStack")
        families = spec.setdefault("ipFamilies", [])
        for index, address in enumerate(addresses if addresses[:1] != [_NONE] else ()):
            self._infer_family(families, addresses, index, address)
        if not bare:
            self._check_families(policy, families)
        if not families:
            families.append(next(iter(self._networks)))
        if policy != "SingleStack" and len(families) == 1 and (bare or len(self._networks) > 1):
            families.append("IPv6" if families[0] == "IPv4" else "IPv4")

    def _infer_family(
        self, families: list[str], addresses: list[str], index: int, address: str
    ) -> None:
        family = _family(ipaddress.ip_address(address))
        if index < len(families):
            return
        if family not in self._networks:
            text = f"{family} is not configured on this cluster"
            raise _RefusedError(field.invalid(f"spec.clusterIPs[{index}]", addresses, text))
        families.append(family)

    def _check_families(self, policy: str, families: list[str]) -> None:
        if policy == "RequireDualStack" and len(self._networks) == 1:
            text = "this cluster is not configured for dual-stack services"
            raise _RefusedError(field.invalid("spec.ipFamilyPolicy", policy, text))
        for index, family in enumerate(families):
            if family not in self._networks:
                text = "not configured on this cluster"
                raise _RefusedError(field.invalid(f"spec.ipFamilies[{index}]", family, text))

    def _take_addresses(self, spec: JsonObject, was: JsonObject) -> None:
        asked = spec.get("clusterIPs") or []
        if asked[:1] == [_NONE]:
            return
        own = _addresses_of(was)
        taken = []
        for index, family in enumerate(spec["ipFamilies"]):
            if index >= len(asked):
                taken.append(self._free_address(self._networks[family]))
                continue
            if asked[index] not in own:
                self._check_address(family, asked[index])
            taken.append(asked[index])
        spec["clusterIP"], spec["clusterIPs"] = taken[0], taken

    def _check_address(self, family: str, address: str) -> None:
        network = self._networks[family]
        why = ""
        if ipaddress.ip_address(address) not in network:
            why = f"the provided IP ({address}) is not in the valid range. "
            why += f"The range of valid IPs is {network}"
        elif address in self._addresses:
            why = "provided IP is already allocated"
        if why:
            text = f"failed to allocate IP {address}: {why}"
            raise _RefusedError(field.invalid("spec.clusterIPs", [address], text))

    def _free_address(self, network: Network) -> str:
        size = min(network.num_addresses, 1 << 16)
        named = min(max(16, size // 16), 256) if size > 16 else 0
        for index in (*range(named + 1, size - 1), *range(1, named + 1)):
            address = str(network[index])
            if address not in self._addresses:
                return address
        text = "failed to allocate a serviceIP: range is full"
        raise APIError("InternalError", 500, f"Internal error occurred: {text}")

    def _take_ports(self, spec: JsonObject, key: str) -> None:
        wanted = spec["type"] != "LoadBalancer" or spec.get("allocateLoadBalancerNodePorts", True)
        given: dict[int, str] = {}
        for index, port in enumerate(spec.get("ports") or ()):
            asked = port.get("nodePort")
            if asked:
                self._check_port(f"spec.ports[{index}].nodePort", asked, key)
                given[asked] = key
        for port in (spec.get("ports") or ()) if wanted else ():
            if not port.get("nodePort"):
                port["nodePort"] = self._free_port(given)
                given[port["nodePort"]] = key
        local = spec["type"] == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"
        if local and not spec.get("healthCheckNodePort"):
            spec["healthCheckNodePort"] = self._free_port(given)

    def _check_port(self, path: str, port: int, key: str) -> None:
        if port not in NODE_PORTS:
            first, last = NODE_PORTS[0], NODE_PORTS[-1]
            text = f"provided port is not in the valid range. The range of valid ports is {first}-{last}"
            raise _RefusedError(field.invalid(path, port, text))
        if self._ports.get(port, key) != key:
            raise _RefusedError(field.invalid(path, port, "provided port is already allocated"))

    def _free_port(self, given: dict[int, str]) -> int:
        for ports in (NODE_PORTS[_NAMED_PORTS:], NODE_PORTS[:_NAMED_PORTS]):
            for port in ports:
                if port not in self._ports and port not in given:
                    return port
        raise APIError("InternalError", 500, "Internal error occurred: range is full")


class _RefusedError(Exception):
    def __init__(self, cause: field.Cause) -> None:
        super().__init__(cause)
        self.cause = cause


def _invalid_service(name: str, cause: field.Cause) -> APIError:
    return invalid(_SERVICE, name, [cause])


def _family(address: Network | ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    return f"IPv{address.version}"


def _networks(service_cidr: str) -> Iterator[Network]:
    found = False
    for part in service_cidr.split(","):
        try:
            yield ipaddress.ip_network(part.strip(), strict=False)
        except ValueError:
            continue
        found = True
    if not found:
        yield _FALLBACK


def _addresses_of(spec: JsonObject) -> list[str]:
    addresses = spec.get("clusterIPs") or [spec.get("clusterIP")]
    return [address for address in addresses if address and address != _NONE]


def _node_ports(spec: JsonObject) -> Iterator[int]:
    for port in spec.get("ports") or ():
        if port.get("nodePort"):
            yield port["nodePort"]
    if spec.get("healthCheckNodePort"):
        yield spec["healthCheckNodePort"]


def _drop_what_no_longer_fits(spec: JsonObject, was: JsonObject) -> None:
    """Drop what a type's change makes meaningless, where the writer left it as it was."""
    dropped: list[str] = []
    if spec["type"] == "ExternalName" != was.get("type"):
        dropped += (
            "clusterIP",
            "clusterIPs",
            "ipFamilies",
            "ipFamilyPolicy",
            "internalTrafficPolicy",
        )
    if spec["type"] not in _WITH_PORTS and was.get("type") in _WITH_PORTS:
        old_ports = set(_node_ports(was))
        ports: list[JsonObject] = spec.get("ports") or []
        if {port["nodePort"] for port in ports if port.get("nodePort")} <= old_ports:
            for port in ports:
                port.pop("nodePort", None)
        if not spec.get("externalIPs"):
            dropped.append("externalTrafficPolicy")
    if spec["type"] != "LoadBalancer" and was.get("type") == "LoadBalancer":
        dropped += ("allocateLoadBalancerNodePorts", "loadBalancerClass", "healthCheckNodePort")
    for name in dropped:
        if spec.get(name) == was.get(name):
            spec.pop(name, None)


def _keep_allocated(spec: JsonObject, was: JsonObject) -> None:
    """Keep what was given before where the writer does not say: a manifest written twice must pass."""
    if spec["type"] in _WITH_ADDRESS and was.get("type") in _WITH_ADDRESS:
        for name in ("clusterIP", "clusterIPs", "ipFamilyPolicy", "ipFamilies"):
            if not spec.get(name) and was.get(name):
                spec[name] = was[name]
        if spec.get("clusterIP") != was.get("clusterIP") and (
            spec.get("clusterIPs") == was.get("clusterIPs")
        ):
            spec["clusterIPs"] = [spec["clusterIP"]]
    if spec["type"] in _WITH_PORTS and was.get("type") in _WITH_PORTS:
        used = {port.get("nodePort") for port in spec.get("ports") or ()}
        known = {port.get("name", ""): port.get("nodePort") for port in was.get("ports") or ()}
        for port in spec.get("ports") or ():
            before = known.get(port.get("name", ""))
            if not port.get("nodePort") and before and before not in used:
                port["nodePort"] = before
