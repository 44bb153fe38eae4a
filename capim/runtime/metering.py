"""metrics.k8s.io: what a cluster uses, for `kubectl top` and autoscalers, once it has a metrics server.

A cluster has no metrics server by itself, as a new real one has none. When its APIService is created (every
installation of metrics-server brings it) the group is served, and usage is made up: steady for each
container, a share of what it requests, in a slow swing. Pure.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, TypeAlias
from zlib import crc32

from capim.api.meta import format_time
from capim.api.quantities import NANO, parse_quantity
from capim.api.resources import Resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from capim.api.meta import JsonObject
    from capim.api.resources import ResourceTable
    from capim.runtime.objects import Change

API_SERVICES: Final = ("apiregistration.k8s.io", "apiservices")
API_SERVICE: Final = "v1beta1.metrics.k8s.io"
GROUP: Final = "metrics.k8s.io"
_VERBS: Final = ("get", "list")
_NODES: Final = Resource(
    GROUP, "v1beta1", "nodes", "NodeMetrics", False, "", verbs=_VERBS, stored=False
)
_PODS: Final = Resource(
    GROUP, "v1beta1", "pods", "PodMetrics", True, "", verbs=_VERBS, stored=False
)
_MI: Final = NANO << 20
#: what a container uses that requests nothing, and a node besides its pods: nanocores, nanobytes
_IDLE: Final = (20 * NANO // 1000, 40 * _MI)
_SYSTEM: Final = (120 * NANO // 1000, 450 * _MI)
_SWING_S: Final = 1800.0
_WINDOW: Final = "15s"

Usage: TypeAlias = tuple[int, int]


def table_after(table: ResourceTable, change: Change) -> ResourceTable:
    """Return what is served after a change of an APIService."""
    if change.stored.name != API_SERVICE:
        return table
    if change.type == "DELETED":
        return table.without(GROUP, "nodes").without(GROUP, "pods")
    return table if table.by_gvr(_NODES.gvr) else table.adding(_NODES, _PODS)


def pod_metrics(pod: JsonObject, now: float) -> JsonObject | None:
    """Return what a pod's containers use, None for one that does not run."""
    if (pod.get("status") or {}).get("phase") != "Running":
        return None
    rows = [
        {"name": container["name"], "usage": _shown(usage)}
        for container, usage in _containers(pod, now)
    ]
    return _measured("PodMetrics", pod, now) | {"containers": rows}


def node_metrics(node: JsonObject, pods: Iterable[JsonObject], now: float) -> JsonObject:
    """Return what a node uses with these pods on it, never more than it has."""
    cpu, memory = _swung(_SYSTEM, node["metadata"]["uid"], now)
    for pod in pods:
        if (pod.get("status") or {}).get("phase") == "Running":
            for _, usage in _containers(pod, now):
                cpu, memory = cpu + usage[0], memory + usage[1]
    has = (node.get("status") or {}).get("capacity") or {}
    most = parse_quantity(has.get("cpu", "1")).nanos, parse_quantity(has.get("memory", "1Gi")).nanos
    used = min(cpu, most[0]), min(memory, most[1])
    return _measured("NodeMetrics", node, now) | {"usage": _shown(used)}


def _containers(pod: JsonObject, now: float) -> Iterator[tuple[JsonObject, Usage]]:
    for container in pod["spec"].get("containers") or ():
        asked = (container.get("resources") or {}).get("requests") or {}
        cpu, memory = _IDLE
        if "cpu" in asked:
            cpu = parse_quantity(asked["cpu"]).nanos // 2
        if "memory" in asked:
            memory = parse_quantity(asked["memory"]).nanos * 7 // 10
        seed = f"{pod['metadata']['uid']}/{container['name']}"
        yield container, _swung((cpu, memory), seed, now)


def _swung(usage: Usage, seed: str, now: float) -> Usage:
    """Return an amount of its own for a seed: within a half of the usual, with a tenth of a swing."""
    share = crc32(seed.encode()) / (1 << 32)
    swing = 1 + 0.1 * math.sin(2 * math.pi * (now / _SWING_S + share))
    return int(usage[0] * (0.5 + share) * swing), int(usage[1] * (0.75 + share / 2) * swing)


def _shown(usage: Usage) -> JsonObject:
    return {"cpu": f"{usage[0]}n", "memory": f"{usage[1] // (NANO << 10)}Ki"}


def _measured(kind: str, obj: JsonObject, now: float) -> JsonObject:
    metadata = {
        key: obj["metadata"][key]
        for key in ("name", "namespace", "labels")
        if key in obj["metadata"]
    }
    return {
        "kind": kind,
        "apiVersion": f"{GROUP}/v1beta1",
        "metadata": metadata | {"creationTimestamp": format_time(now)},
        "timestamp": format_time(now),
        "window": _WINDOW,
    }
