"""What the scheduler and the kubelets know of a cluster's nodes: read once a change, counted, addressed."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from capim.runtime.controllers.kinds import NODES
from capim.runtime.controllers.nodefit import NodeInfo

if TYPE_CHECKING:
    from capim.runtime.controllers.base import Context
    from capim.runtime.objects import Change


class NodeBook:
    """Nodes as they were read last, how many pods each has, and which pod addresses are taken."""

    __slots__ = ("_counts", "_infos", "_noted", "_taken")

    def __init__(self) -> None:
        self._infos: dict[str, NodeInfo] = {}
        self._noted = (0, False)  # version of the last change, and whether it mattered
        self._counts: dict[str, int] = {}
        self._taken: dict[str, str] = {}  # address -> uid of the pod

    def note(self, context: Context, change: Change) -> bool:
        """Take what changed of a node; tell whether any of it decides who runs there."""
        stored = change.stored
        if self._noted[0] != stored.resource_version:
            before = self._infos.pop(stored.name, None)
            if change.type != "DELETED":
                self._infos[stored.name] = NodeInfo.of(context.group.store.body_of(stored))
            matters = before is None or before != self._infos.get(stored.name)
            self._noted = (stored.resource_version, matters)
        return self._noted[1]

    def get(self, context: Context, name: str) -> NodeInfo | None:
        """Return a node, None where there is none."""
        info = self._infos.get(name)
        if info is None:
            stored = context.group.find(NODES, "", name)
            if stored is not None:
                info = self._infos[name] = NodeInfo.of(stored.json())
        return info

    def all(self, context: Context) -> list[NodeInfo]:
        """Return every node, by name."""
        found = (self.get(context, stored.name) for stored in context.stored(NODES, None))
        return [node for node in found if node is not None]

    def pods_on(self, name: str) -> int:
        """Return how many pods are bound to a node."""
        return self._counts.get(name, 0)

    def count(self, name: str, change: int) -> None:
        """Note that a pod came to a node or left it; no name, no node."""
        if not name:
            return
        count = self._counts.get(name, 0) + change
        if count > 0:
            self._counts[name] = count
        else:
            self._counts.pop(name, None)

    def take_address(self, node: NodeInfo, uid: str) -> str:
        """Return the lowest free address of a node's range for a pod; empty where none is left."""
        if not node.pod_cidr:
            return ""
        hosts = ipaddress.ip_network(node.pod_cidr, strict=False).hosts()
        next(hosts, None)  # the node's own
        for host in hosts:
            address = str(host)
            if address not in self._taken:
                self._taken[address] = uid
                return address
        return ""

    def keep_address(self, address: str, uid: str) -> None:
        """Take an address that a pod has already: it is of an earlier life."""
        self._taken.setdefault(address, uid)

    def give_back(self, address: str, uid: str) -> None:
        """Free the address of a pod that has gone."""
        if self._taken.get(address) == uid:
            del self._taken[address]
