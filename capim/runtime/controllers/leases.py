"""The leases of simulated machines' nodes: renewed when somebody looks, and not otherwise.

A kubelet renews its lease every 10 s. Nobody can tell whether it did while nobody looks, so a lease is
brought up to date before it is read, and every 10 s while it is watched: idle clusters cost nothing. A
lease that somebody else holds is left alone. Measured: 45 us a lease that is renewed; a watch on the
leases of 1 000 nodes is 100 writes a second, and history reaches back 40 s while it is open.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from capim.api.meta import format_micro_time, parse_time
from capim.runtime.controllers.base import Controller
from capim.runtime.controllers.kinds import LEASES, NODES
from capim.runtime.manifests import nodes
from capim.runtime.manifests.defaults import NODE_LEASE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.runtime.controllers.base import Context, Key
    from capim.runtime.objects import Change

_INTERVAL_S: Final = 10.0


def refresh(context: Context, name: str = "") -> None:
    """Bring a node's lease up to date, or those of all nodes: somebody is about to read."""
    for node in [name] if name else names(context):
        _renew(context, node)


def names(context: Context) -> list[str]:
    """Return the nodes whose leases are renewed here."""
    return [node.name for node in context.nodes.all(context) if _renews(context, node.name)]


def _reconcile(context: Context, _: str, name: str) -> float | None:
    if not context.group.is_watched(LEASES, NODE_LEASE):
        return None
    return _renew(context, name)


def _renews(context: Context, name: str) -> bool:
    node = context.nodes.get(context, name)
    return node is not None and node.simulated and name not in context.taken_over


def _renew(context: Context, name: str) -> float | None:
    """Renew a lease if it is time; return when the next time is."""
    if not _renews(context, name):
        return None
    now, lease = context.now(), context.get(LEASES, NODE_LEASE, name)
    if lease is None:
        node = context.get(NODES, "", name)
        if node is not None:
            context.create(LEASES, nodes.lease(node, now=now), complete=True)
        return now + _INTERVAL_S
    last = parse_time(lease["spec"]["renewTime"])
    latest = last + math.floor((now - last) / _INTERVAL_S) * _INTERVAL_S
    if latest > last:
        spec = lease["spec"] | {"renewTime": format_micro_time(latest)}
        context.save(LEASES, lease | {"spec": spec})
    return latest + _INTERVAL_S


def _of_node(context: Context, change: Change) -> Iterator[Key]:
    if change.type == "ADDED" and context.group.is_watched(LEASES, NODE_LEASE):
        yield NODE_LEASE, change.stored.name


CONTROLLER: Final = Controller("node leases", None, _reconcile, watches=((NODES, _of_node),))
