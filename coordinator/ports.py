"""Port leases: which workload cluster has which port of which address. Pure.

A port belongs to one cluster at a time, for each address on its own. A freed port rests for 30 s, because
clients of the old cluster may still knock, and is given at once when nothing else is left. A port that
could not be bound belongs to somebody outside of us: it counts as taken for a while, then is tried again.
The original only ever counted up, so that its range ran dry.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from capim.api.gvk import NamespacedName

if TYPE_CHECKING:
    from collections.abc import Mapping

REST_S: Final = 30.0

#: How long a port that another process holds is left alone: long enough for a test's server to be gone.
AVOID_S: Final = 300.0


class PortsExhaustedError(Exception):
    """No port of the range is left; the message names the address and the flag."""


class PortTakenError(Exception):
    """The one port that would do is somebody else's; the message names the port and the fix."""


@dataclass(frozen=True, slots=True)
class PortRange:
    """Ports from `first` to `last`, both included."""

    first: int
    last: int

    def __contains__(self, port: int) -> bool:
        return self.first <= port <= self.last

    def __len__(self) -> int:
        return self.last - self.first + 1

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


@dataclass(slots=True)
class _Address:
    holders: dict[int, NamespacedName] = field(default_factory=dict)
    resting: dict[int, float] = field(default_factory=dict)  #: port -> usable again at
    avoided: dict[int, float] = field(default_factory=dict)  #: port -> tried again at
    next_port: int = 0


class PortLeases:
    """All leases, by address and by cluster. One loop, no lock."""

    def __init__(self, ports: PortRange, by_address: Mapping[str, PortRange] | None = None) -> None:
        """Lease from `ports`, and on the addresses that have a range of their own from that."""
        self._range = ports
        self._own = dict(by_address or {})
        self._addresses: dict[str, _Address] = {}
        self._leases: dict[NamespacedName, tuple[str, int]] = {}

    def range_of(self, address: str) -> PortRange:
        """Return the ports of an address."""
        return self._own.get(address, self._range)

    def port(self, cluster: NamespacedName) -> int | None:
        """Return the cluster's port."""
        lease = self._leases.get(cluster)
        return lease[1] if lease else None

    def lease(
        self, address: str, cluster: NamespacedName, now: float, *, preferred: int | None = None
    ) -> int:
        """Return the cluster's port on this address, leasing one if it has none.

        Args:
            address: where the listener will be; a cluster that moved gives its old lease back.
            cluster: who asks.
            now: seconds.
            preferred: taken if it is in the range and nobody else's: what the cluster had before.

        Raises:
            PortsExhaustedError: no port is left.
        """
        held = self._leases.get(cluster)
        if held is not None and held[0] == address:
            return held[1]
        self.release(cluster, now)
        pool = self._addresses.setdefault(address, _Address(next_port=self.range_of(address).first))
        mine = self.range_of(address)
        if preferred is not None and preferred in mine and _can_have(pool, preferred, now):
            port = preferred
        else:
            port = self._next(address, pool, now)
        pool.resting.pop(port, None)
        pool.avoided.pop(port, None)
        pool.holders[port] = cluster
        self._leases[cluster] = (address, port)
        return port

    def check(self, address: str, cluster: NamespacedName, port: int, now: float) -> None:
        """Make sure that a cluster can have exactly this port.

        Raises:
            PortTakenError: another cluster or another process has it.
        """
        pool = self._addresses.get(address, _Address())
        holder = pool.holders.get(port)
        if holder == cluster:
            return
        if holder is not None:
            owner = f"belongs to cluster {holder}"
        elif pool.avoided.get(port, now) > now:
            owner = "is held by another process"
        else:
            return
        raise PortTakenError(
            f"port {port} of {address}, which spec.controlPlaneEndpoint asks for, {owner}:"
            " choose another port, or leave the endpoint unset"
        )

    def _next(self, address: str, pool: _Address, now: float) -> int:
        """Pick the next free port round the range, else the one that has rested longest."""
        mine = self.range_of(address)
        start = pool.next_port - mine.first
        order = (mine.first + (start + step) % len(mine) for step in range(len(mine)))
        free = (port for port in order if _can_have(pool, port, now))
        resting: list[int] = []
        for port in free:  # most often the first will do: ten thousand clusters take one step each
            if pool.resting.get(port, now) <= now:
                break
            resting.append(port)
        else:
            if not resting:
                raise PortsExhaustedError(
                    f"all ports {mine} of {address} are leased or held by other processes: delete"
                    f" clusters, or widen {self._flag(address)}"
                )
            port = min(resting, key=pool.resting.__getitem__)
        pool.next_port = port + 1 if port < mine.last else mine.first
        return port

    def _flag(self, address: str) -> str:
        return "its range in --worker-ports" if address in self._own else "--port-range"

    def release(self, cluster: NamespacedName, now: float) -> bool:
        """Give the cluster's port back; say whether it had one."""
        lease = self._leases.pop(cluster, None)
        if lease is None:
            return False
        address, port = lease
        pool = self._addresses[address]
        del pool.holders[port]
        pool.resting[port] = now + REST_S
        return True

    def failed(self, cluster: NamespacedName, port: int, now: float) -> None:
        """Take the lease back: the port could not be bound. Word of an earlier port changes nothing."""
        if self.port(cluster) != port:
            return
        address, _ = self._leases[cluster]
        self.release(cluster, now)
        self._addresses[address].avoided[port] = now + AVOID_S


def _can_have(pool: _Address, port: int, now: float) -> bool:
    """Say whether a port may be had; one that rests may, by its old owner or for want of others."""
    return port not in pool.holders and pool.avoided.get(port, now) <= now
