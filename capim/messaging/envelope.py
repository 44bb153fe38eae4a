"""The messages between coordinator and workers, as typed values. Pure: `codec` makes them bytes.

Rules. Commands are idempotent and level-based: sending one twice, or the whole set again, changes
nothing. Every command carries the coordinator's epoch, and a worker takes nothing from an older one.
Every report carries the worker's `life` (drawn at its start), so that a report from a dead worker's
socket is not taken for its successor's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from capim.api.faults import Fault
from capim.api.gvk import NamespacedName
from capim.api.workload import ClusterSpec, ListenerStatus, MachineProgress, MachineSpec

#: Raised with every change of a message's fields; a coordinator refuses a worker of another version.
VERSION = 9


# --- coordinator to worker -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Welcome:
    """Answers `Register`: the worker is known; `Sync` follows."""

    epoch: int
    installation: str
    orphan_after_s: float  #: without word from any coordinator for so long, the worker ends itself
    workers: tuple[str, ...] = ()  #: all workers of the installation


@dataclass(frozen=True, slots=True)
class EnsureCluster:
    """The cluster should be as `spec` says. Machines keep their state."""

    epoch: int
    spec: ClusterSpec


@dataclass(frozen=True, slots=True)
class EnsureMachine:
    """The machine should exist as `spec` says."""

    epoch: int
    spec: MachineSpec


@dataclass(frozen=True, slots=True)
class RemoveMachine:
    """The machine should not exist; answered by `MachineGone`, also when it never did."""

    epoch: int
    cluster: NamespacedName
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class RemoveCluster:
    """The cluster should not exist; answered by `ClusterGone`, also when it never did."""

    epoch: int
    cluster: NamespacedName
    uid: str


@dataclass(frozen=True, slots=True)
class GiveAway:
    """Another worker is to hold the cluster: close it and send what it is; answered by `Given`.

    It stays where it is, closed, until `RemoveCluster`, or until a command says that it stays after all.
    """

    epoch: int
    cluster: NamespacedName
    uid: str


@dataclass(frozen=True, slots=True)
class TakeOver:
    """Hold this cluster as another worker gave it away; answered by `Taken` when it is written down.

    Its listener stays closed until `EnsureCluster` says that the cluster is this worker's for good.
    """

    epoch: int
    spec: ClusterSpec
    machines: tuple[MachineSpec, ...]
    state: bytes = field(repr=False)  #: of `Given`; empty: there was nothing to give


@dataclass(frozen=True, slots=True)
class SetFaults:
    """The cluster should suffer these faults, each by its own schedule, and no others."""

    epoch: int
    cluster: NamespacedName
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class Sync:
    """The whole shard: what is not in it goes. Listeners open only after a worker's first one."""

    epoch: int
    clusters: tuple[ClusterSpec, ...]
    machines: tuple[MachineSpec, ...]
    number: int = 0  #: counted by worker, returned by `Synced`
    living: tuple[str, ...] = ()  #: uids of clusters that there are, on any worker
    complete: bool = False  #: there are no others in this installation
    elsewhere: tuple[str, ...] = ()  #: those of them that other workers are to hold
    #: of the clusters that have any
    faults: tuple[tuple[NamespacedName, tuple[Fault, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Ping:
    """Sent every heartbeat interval; answered by `Pong`."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Query:
    """Asks for a view that a debug or metrics endpoint shows; answered by `Answer`."""

    epoch: int
    request: int
    subject: str  #: `metrics`, `listeners`, `clusters`, `cluster/<namespace>/<name>`


@dataclass(frozen=True, slots=True)
class Stop:
    """The worker should end: close listeners, then exit."""

    epoch: int


Command: TypeAlias = (
    Welcome
    | EnsureCluster
    | EnsureMachine
    | RemoveMachine
    | RemoveCluster
    | GiveAway
    | TakeOver
    | SetFaults
    | Sync
    | Ping
    | Query
    | Stop
)


# --- worker to coordinator -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Register:
    """The worker is there; sent at its start, on reconnection, and when a newer epoch greets it."""

    worker: str
    life: str
    pid: int
    version: int = VERSION
    clusters: tuple[NamespacedName, ...] = ()  #: what it holds already
    epoch: int = -1  #: the newest it knows; it takes nothing from an older one
    #: name and uid of what it gave away and keeps, closed, until it is told that it arrived
    given: tuple[tuple[NamespacedName, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Pong:
    """Answers `Ping`."""

    worker: str
    life: str


@dataclass(frozen=True, slots=True)
class ListenerChanged:
    """A listener was bound, opened, closed again, or could not be bound."""

    worker: str
    life: str
    status: ListenerStatus


@dataclass(frozen=True, slots=True)
class MachineProgressed:
    """A machine came further; the whole of its progress."""

    worker: str
    life: str
    progress: MachineProgress


@dataclass(frozen=True, slots=True)
class MachineGone:
    """Answers `RemoveMachine`."""

    worker: str
    life: str
    cluster: NamespacedName
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class ClusterGone:
    """Answers `RemoveCluster`."""

    worker: str
    life: str
    cluster: NamespacedName
    uid: str


@dataclass(frozen=True, slots=True)
class Given:
    """Answers `GiveAway`: the cluster is closed, and this is all of it."""

    worker: str
    life: str
    cluster: NamespacedName
    uid: str
    state: bytes = field(repr=False)  #: empty: it was not here
    refusal: str = ""  #: why it cannot be given away, for a person; it is served on


@dataclass(frozen=True, slots=True)
class Taken:
    """Answers `TakeOver`: the cluster is here and written down, closed."""

    worker: str
    life: str
    cluster: NamespacedName
    uid: str


@dataclass(frozen=True, slots=True)
class JournalsDamaged:
    """All clusters of the worker that are not what was written down of them; sent when that changes."""

    worker: str
    life: str
    clusters: tuple[tuple[NamespacedName, str, str], ...]  #: name, uid, and why, for a person


@dataclass(frozen=True, slots=True)
class FaultsActed:
    """How often faults of a cluster, by uid, have acted since the worker said so last."""

    worker: str
    life: str
    cluster: NamespacedName
    hits: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Synced:
    """Answers `Sync`: every cluster of it is built and its listener bound or reported."""

    worker: str
    life: str
    epoch: int
    number: int = 0  #: of the Sync


@dataclass(frozen=True, slots=True)
class Answer:
    """Answers `Query`."""

    worker: str
    life: str
    request: int
    body: bytes = field(default=b"", repr=False)


Report: TypeAlias = (
    Register
    | Pong
    | ListenerChanged
    | MachineProgressed
    | MachineGone
    | ClusterGone
    | Given
    | Taken
    | JournalsDamaged
    | FaultsActed
    | Synced
    | Answer
)
