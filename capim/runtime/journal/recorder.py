"""Tells what of a cluster is not written down yet, one frame a commit.

Changes of objects are taken from the watch history, which holds them in order anyway: a write pays
nothing for being journaled. When the history has gone on without us, or the frames have grown to a
multiple of the cluster, a new base takes the place of all that came before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.runtime.journal.frames import ChangeFrame, Frame, ObjectFrame, Row, first_link, link
from capim.runtime.journal.records import etcd_record, machine_record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from capim.api.meta import JsonObject
    from capim.runtime.objects import Change, Stored
    from capim.runtime.workload import WorkloadCluster

#: frames may take so many times the bytes of their base, and this much at least, before a new base
_GROWTH: Final = 4
_LEAST_BYTES: Final = 1 << 20


class Recorder:
    """What of one cluster has been handed out to be written. One loop, no lock."""

    def __init__(self, cluster: WorkloadCluster) -> None:
        self.cluster = cluster
        self.number = 0  #: of the last frame that was handed out
        self._link = b""
        self._version = -1
        self._etcd_edition = -1
        self._base_bytes = 0
        self._bytes = 0

    @property
    def clean(self) -> bool:
        """Whether all there is has been handed out."""
        cluster = self.cluster
        return (
            cluster.group.resource_version == self._version
            and cluster.etcd.edition == self._etcd_edition
            and not cluster.unsaved
        )

    def resume(self, row: Row, frame_bytes: int) -> None:
        """Go on after the frame `row`, the last of a cluster restored from `frame_bytes` bytes."""
        self.number, self._link = row.number, row.link
        self._bytes = self._base_bytes = frame_bytes
        self._note_handed_out()

    def take(self) -> tuple[Row, bool]:
        """Return what is to be written, and whether it takes the place of all before it."""
        group = self.cluster.group
        whole = (
            self._version < group.history.floor
            or self._bytes > _GROWTH * self._base_bytes + _LEAST_BYTES
        )
        body = (base(self.cluster) if whole else self._addition()).encode()
        if whole:
            self._link = first_link(self.cluster.spec.uid)
            self._base_bytes = self._bytes = 0
        self.number += 1
        self._link = link(self._link, body)
        self._bytes += len(body)
        if whole:
            self._base_bytes = self._bytes
        self._note_handed_out()
        return Row(self.number, self._link, body), whole

    def _note_handed_out(self) -> None:
        cluster = self.cluster
        self._version = cluster.group.resource_version
        self._etcd_edition = cluster.etcd.edition
        cluster.unsaved.clear()

    def _addition(self) -> Frame:
        cluster = self.cluster
        changes = cluster.group.history.since(self._version)
        machines = {name: _machine(cluster, name) for name in cluster.unsaved}
        etcd = None
        if cluster.etcd.edition != self._etcd_edition:
            etcd = etcd_record(cluster.etcd)
        return Frame(None, [], _change_frames(changes), machines, etcd)


def base(cluster: WorkloadCluster) -> Frame:
    """Return all that a cluster is, its watch history with it."""
    history = cluster.group.history
    return Frame(
        history.floor,
        [
            *(_lost_frame(stored) for stored in cluster.group.store.lost_at_floor()),
            *(_object_frame(stored) for stored in cluster.group.store.at_floor()),
        ],
        _change_frames(history.since(history.floor)),
        {name: _machine(cluster, name) for name in cluster.machines},
        etcd_record(cluster.etcd),
    )


def _machine(cluster: WorkloadCluster, name: str) -> JsonObject | None:
    machine = cluster.machines.get(name)
    return machine_record(machine) if machine else None


def _object_frame(stored: Stored) -> ObjectFrame:
    return ObjectFrame(stored.resource.api_version, stored.resource.kind, stored.data)


def _lost_frame(stored: Stored) -> ObjectFrame:
    resource = stored.resource
    return ObjectFrame(resource.api_version, resource.kind, stored.key.encode())


def _change_frames(changes: Iterable[Change]) -> list[ChangeFrame]:
    return [
        ChangeFrame(
            change.type,
            change.stored.resource.api_version,
            change.stored.resource.kind,
            change.stored.data,
        )
        for change in changes
    ]
