"""What a worker shows of itself: metrics as Prometheus text, listeners and clusters as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from prometheus_client import generate_latest

from capim.aio.process import usage
from capim.api.gvk import NamespacedName
from capim.api.workload import ListenerState

if TYPE_CHECKING:
    from workers.listeners import Listeners
    from workers.state import Held, WorkerState


class Views:
    """Answers the coordinator's queries."""

    def __init__(self, state: WorkerState, listeners: Listeners) -> None:
        self._state = state
        self._listeners = listeners

    def answer(self, subject: str) -> bytes:
        """Return the view of this subject; an unknown subject, or cluster, has an empty one."""
        if subject == "metrics":
            return generate_latest(self._listeners.metrics.registry)
        clusters = self._state.clusters
        if subject == "shard":
            return orjson.dumps(self._shard())
        if subject == "listeners":
            return orjson.dumps({str(key): _address(held) for key, held in clusters.items()})
        if subject == "clusters":
            return orjson.dumps({str(key): _summary(held) for key, held in clusters.items()})
        held_cluster = clusters.get(NamespacedName.parse(subject.removeprefix("cluster/")))
        return orjson.dumps(_detail(held_cluster)) if held_cluster else b""

    def _shard(self) -> dict[str, float]:
        """Sum the shard up; open listeners are those whose clusters have an API server."""
        held = self._state.clusters.values()
        return {
            "clusters": len(held),
            "machines": sum(len(one.cluster.machines) for one in held),
            "openListeners": sum(one.listener is ListenerState.OPEN for one in held),
            "connections": self._listeners.connections,
            "clusterLimit": self._listeners.cluster_limit,
            **usage(),
        }


def _address(held: Held) -> str:
    spec = held.cluster.spec
    return f"https://{spec.host}:{spec.port}"


def _summary(held: Held) -> dict[str, Any]:
    return {
        "address": _address(held),
        "listener": held.listener,
        "machines": len(held.cluster.machines),
        "resourceVersion": held.cluster.group.resource_version,
    }


def _detail(held: Held) -> dict[str, Any]:
    return {**_summary(held), **held.cluster.debug()}
