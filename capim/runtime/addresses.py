"""Addresses of simulated machines: stable where they can be, unique within a cluster."""

from __future__ import annotations

import hashlib
import heapq
import ipaddress
from typing import Final

#: outside the default service and pod ranges; a million addresses
_NODES_V4: Final = ipaddress.ip_network("172.16.0.0/12")
_NODES_V6: Final = ipaddress.ip_network("fd00:ca91::/64")
_POD_PREFIX_V4: Final = 24  # kube-controller-manager's --node-cidr-mask-size
_POD_PREFIX_V6: Final = 64
_NOWHERE: Final = ipaddress.ip_network("192.0.2.0/32")


class NodeAddresses:
    """Gives each machine an address that follows from its uid, so that a rebuild gives the same one.

    Two uids that want the same address (one chance in a million a pair) get neighbours.
    """

    def __init__(self, pod_cidr: str) -> None:
        self._network = _NODES_V6 if _first_network(pod_cidr).version == 6 else _NODES_V4
        self._used: set[int] = set()

    def take(self, uid: str) -> str:
        """Return a free address."""
        size = min(self._network.num_addresses, 1 << 62)
        wanted = int.from_bytes(hashlib.sha256(uid.encode()).digest()[:8])
        # neither the network's own address nor its broadcast
        index = wanted % (size - 2) + 1
        while index in self._used:
            index = index % (size - 2) + 1
        self._used.add(index)
        return str(self._network[index])

    def keep(self, address: str) -> None:
        """Let nobody else have an address that was taken in an earlier life."""
        self._used.add(self._index(address))

    def give_back(self, address: str) -> None:
        """Let another machine have this address."""
        self._used.discard(self._index(address))

    def _index(self, address: str) -> int:
        return int(ipaddress.ip_address(address)) - int(self._network.network_address)


class PodRanges:
    """Cuts a cluster's pod range into one range a Node, the lowest free one first.

    As kube-controller-manager does; when none is left, or the range is none, Nodes stay without.
    """

    def __init__(self, pod_cidr: str) -> None:
        network = _first_network(pod_cidr)
        self._first = int(network.network_address)
        self._prefix = _POD_PREFIX_V6 if network.version == 6 else _POD_PREFIX_V4
        self._step = 1 << (network.max_prefixlen - self._prefix)
        self._address = type(network.network_address)
        self._count = 1 << max(self._prefix - network.prefixlen, 0)
        if network.prefixlen > self._prefix:
            self._count = 0
        self._free: list[int] = []
        self._next = 0

    def take(self) -> str:
        """Return a free range, or the empty string when there is none."""
        if self._free:
            index = heapq.heappop(self._free)
        elif self._next < self._count:
            index = self._next
            self._next += 1
        else:
            return ""
        return f"{self._address(self._first + index * self._step)}/{self._prefix}"

    def keep(self, pod_cidr: str) -> None:
        """Let nobody else have a range that was taken in an earlier life; the empty string is nobody's."""
        if not pod_cidr:
            return
        index = self._index(pod_cidr)
        if index >= self._next:
            self._free += range(self._next, index)  # larger than all before: still a heap
            self._next = index + 1
        elif index in self._free:
            self._free.remove(index)
            heapq.heapify(self._free)

    def give_back(self, pod_cidr: str) -> None:
        """Let another Node have this range; the empty string is nobody's."""
        if pod_cidr:
            heapq.heappush(self._free, self._index(pod_cidr))

    def _index(self, pod_cidr: str) -> int:
        start = int(ipaddress.ip_network(pod_cidr).network_address)
        return (start - self._first) // self._step


def _first_network(cidr: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Return the first of a list of ranges; what is no range has no room for any Node."""
    try:
        return ipaddress.ip_network(cidr.split(",", maxsplit=1)[0].strip(), strict=False)
    except ValueError:
        return _NOWHERE
