"""A workload cluster from the frames of its journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capim.api.gvk import GVK, split_api_version
from capim.runtime.journal.frames import DamageError
from capim.runtime.journal.frames import decode as decode_frame
from capim.runtime.journal.records import machine_of, restore_etcd
from capim.runtime.objects import Stored, decode
from capim.runtime.store import ObjectRef

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from capim.api.meta import JsonObject
    from capim.api.resources import Resource
    from capim.api.workload import ClusterSpec
    from capim.runtime.journal.frames import Frame
    from capim.runtime.objects import EventType
    from capim.runtime.workload import WorkloadCluster


def floor_of(frames: Sequence[Frame]) -> int:
    """Return the version that a cluster must begin with to be given these frames."""
    floor = frames[0].floor
    if floor is None:
        raise DamageError("there is no base")
    return floor


def restore(cluster: WorkloadCluster, frames: Sequence[Frame]) -> None:
    """Give a new cluster what an earlier life of it wrote down; then it goes on from there.

    Raises:
        DamageError: the frames make no sense. The cluster is half filled then, and of no use.
    """
    try:
        objects, changes = _objects(cluster, frames[0]), _changes(cluster, frames)
        cluster.group.store.restore(objects, changes, _lost(cluster, frames[0]))
        for name, record in _last_machines(frames):
            cluster.restore_machine(machine_of(cluster.key, name, record))
        restore_etcd(cluster.etcd, _last_etcd(frames))
    except (KeyError, TypeError, ValueError) as error:
        raise DamageError(f"what was written makes no sense: {error!r}") from error


def revived(
    spec: ClusterSpec,
    make: Callable[[ClusterSpec, int | None], WorkloadCluster],
    state: bytes,
) -> WorkloadCluster:
    """Return the cluster that a base's bytes tell of; `make` makes an empty one. Raises DamageError."""
    frames = [decode_frame(state)]
    cluster = make(spec, floor_of(frames))
    restore(cluster, frames)
    cluster.group.settle()
    return cluster


def _objects(cluster: WorkloadCluster, base: Frame) -> Iterator[Stored]:
    return (_stored(cluster, *item) for item in base.objects if not item.lost)


def _lost(cluster: WorkloadCluster, base: Frame) -> list[ObjectRef]:
    """Return what the cluster was born with and what was gone; none of it is of a custom kind."""
    return [
        ObjectRef(_resource(cluster, item.api_version, item.kind).group_resource, item.lost)
        for item in base.objects
        if item.lost
    ]


def _changes(
    cluster: WorkloadCluster, frames: Sequence[Frame]
) -> Iterator[tuple[EventType, Stored]]:
    return (
        (change.event, _stored(cluster, change.api_version, change.kind, change.data))
        for frame in frames
        for change in frame.changes
    )


def _stored(cluster: WorkloadCluster, api_version: str, kind: str, data: bytes) -> Stored:
    return decode(_resource(cluster, api_version, kind), data)


def _resource(cluster: WorkloadCluster, api_version: str, kind: str) -> Resource:
    resource = cluster.group.resources.by_gvk(GVK(*split_api_version(api_version), kind))
    if resource is None:
        raise DamageError(f"the table of served kinds has no {api_version} {kind}")
    return resource


def _last_machines(frames: Sequence[Frame]) -> Iterator[tuple[str, JsonObject]]:
    """Yield the machines there are, the oldest first."""
    machines: dict[str, JsonObject | None] = {}
    for frame in frames:
        machines |= frame.machines
    there = [(name, record) for name, record in machines.items() if record is not None]
    return iter(sorted(there, key=lambda item: (item[1]["createdAt"], item[0])))


def _last_etcd(frames: Sequence[Frame]) -> JsonObject:
    return next(frame.etcd for frame in reversed(frames) if frame.etcd is not None)
