"""Clusters on their way from one worker to another, with all they are: who has each now. Pure.

A cluster is asked of its giver, which closes it and sends it; its taker holds it, closed; when the
controllers have noted its new place where a next coordinator reads it (`settle`), the taker opens it and
the giver forgets it. Until then the giver keeps it, so that it is somewhere whole whoever dies; and while
it may be asked of the giver again, its Sync names it. Nobody else serves it meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import structlog

from capim.api.workload import ClusterSpec, MachineSpec
from capim.messaging import envelope as m
from coordinator.fleetorders import Notify

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from capim.api.gvk import NamespacedName
    from coordinator.fleetorders import Instruction

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Desired:
    """A cluster that is to be on a worker."""

    worker: str
    spec: ClusterSpec
    machines: dict[str, MachineSpec] = field(default_factory=dict)


@dataclass(slots=True)
class _Move:
    giver: str
    before: ClusterSpec  #: as the giver has it
    state: bytes | None = None  #: None: the giver has not sent it yet
    taken: bool = False  #: the taker holds it, and waits


class Sender(Protocol):
    """How moves reach workers, and the clusters they are of."""

    epoch: int
    clusters: dict[NamespacedName, Desired]

    def worker_ready(self, worker: str) -> bool:
        """Say whether the worker is connected and holds its whole shard."""

    def command(self, worker: str, command: m.Command) -> Iterator[Instruction]:
        """Send, if the worker is there."""

    def ensure(self, cluster: NamespacedName) -> Iterator[Instruction]:
        """Tell a cluster's worker all that it is to be."""


class Moves:
    """All moves under way. One loop, no lock."""

    def __init__(self, fleet: Sender) -> None:
        self._fleet = fleet
        self._moves: dict[NamespacedName, _Move] = {}
        self._refusals: dict[tuple[NamespacedName, str], str] = {}

    def __contains__(self, cluster: NamespacedName) -> bool:
        return cluster in self._moves

    def taken(self, cluster: NamespacedName) -> bool:
        """Say whether a cluster's new worker holds it and waits for `settle`."""
        return cluster in self._moves and self._moves[cluster].taken

    def refusal(self, cluster: NamespacedName, uid: str) -> str:
        """Return why a cluster could not leave its worker, for a person; empty: it was never refused."""
        return self._refusals.get((cluster, uid), "")

    def named_to(self, cluster: NamespacedName) -> tuple[str, ClusterSpec] | None:
        """Return which worker's Sync names a cluster, and as what; None while it is carried."""
        desired = self._fleet.clusters[cluster]
        move = self._moves.get(cluster)
        if move is None:
            return desired.worker, desired.spec
        return (move.giver, move.before) if move.state is None else None

    def concerns(self, cluster: NamespacedName, worker: str) -> bool:
        """Say whether a report on a cluster's listener is of the worker that is to have it."""
        return cluster not in self._moves or self._fleet.clusters[cluster].worker == worker

    # --- told by the controllers ---

    def change(self, worker: str, spec: ClusterSpec, *, settled: bool) -> Iterator[Instruction]:
        """Desire a cluster that is, or was, on another worker as `spec` on this one.

        Args:
            worker: who is to have it.
            spec: what it is to be there.
            settled: the new place is noted for the next coordinator.
        """
        desired = self._fleet.clusters[spec.key]
        move = self._moves.get(spec.key)
        if move is None:
            yield from self._begin(desired, worker, spec)
        elif worker == move.giver:
            yield from self._stay(desired, move, spec)
        elif worker == desired.worker and settled and move.taken:
            desired.spec = spec
            yield from self._settle(desired, move)
        elif (worker, spec) != (desired.worker, desired.spec):
            if worker != desired.worker:
                yield from self._take_back(desired, move)
            desired.worker, desired.spec = worker, spec
            yield from self._pass_on(desired, move)

    def _begin(self, desired: Desired, worker: str, spec: ClusterSpec) -> Iterator[Instruction]:
        self._moves[spec.key] = _Move(desired.worker, desired.spec)
        desired.worker, desired.spec = worker, spec
        yield from self._ask(spec.key)

    def _stay(self, desired: Desired, move: _Move, spec: ClusterSpec) -> Iterator[Instruction]:
        """Let the giver have it again."""
        yield from self._take_back(desired, move)
        del self._moves[spec.key]
        desired.worker, desired.spec = move.giver, spec
        yield from self._fleet.ensure(spec.key)

    def _settle(self, desired: Desired, move: _Move) -> Iterator[Instruction]:
        key = desired.spec.key
        del self._moves[key]
        yield from self._fleet.ensure(key)
        yield from self._remove(move.giver, key, desired.spec.uid)

    def _take_back(self, desired: Desired, move: _Move) -> Iterator[Instruction]:
        move.taken = False
        if move.state is not None:
            yield from self._remove(desired.worker, desired.spec.key, desired.spec.uid)

    def _remove(self, worker: str, cluster: NamespacedName, uid: str) -> Iterator[Instruction]:
        yield from self._fleet.command(worker, m.RemoveCluster(self._fleet.epoch, cluster, uid))

    def cancel(self, cluster: NamespacedName, uid: str) -> Iterator[Instruction]:
        """Let the giver forget a cluster that is deleted."""
        self._refusals.pop((cluster, uid), None)
        if move := self._moves.pop(cluster, None):
            yield from self._remove(move.giver, cluster, uid)

    # --- reported by workers ---

    def reported(self, report: m.Given | m.Taken) -> Iterator[Instruction]:
        """A giver has closed a cluster, or will not; or a taker holds it."""
        if isinstance(report, m.Given):
            yield from self._given(report)
        else:
            yield from self._taken(report)

    def _given(self, report: m.Given) -> Iterator[Instruction]:
        move = self._moves.get(report.cluster)
        desired = self._fleet.clusters.get(report.cluster)
        if move is None or desired is None or desired.spec.uid != report.uid:
            return
        if move.giver != report.worker or move.state is not None:
            return
        if report.refusal:
            why = report.refusal
            _log.warning("cluster stays where it is", cluster=str(report.cluster), why=why)
            self._refusals[report.cluster, report.uid] = report.refusal
            yield from self._stay(desired, move, move.before)
            yield Notify(report.cluster)
        else:
            move.state = report.state
            yield from self._pass_on(desired, move)

    def _taken(self, report: m.Taken) -> Iterator[Instruction]:
        move = self._moves.get(report.cluster)
        desired = self._fleet.clusters.get(report.cluster)
        if move is None or desired is None:
            return
        if (desired.worker, desired.spec.uid) == (report.worker, report.uid):
            move.taken = move.state is not None
            yield Notify(report.cluster)

    def unsettled(self, worker: str) -> None:
        """A worker is lost, or told its shard anew: what it had taken it has not."""
        for key, move in self._moves.items():
            if self._fleet.clusters[key].worker == worker:
                move.taken = False

    def go_on(self, worker: str) -> Iterator[Instruction]:
        """A worker holds its shard: ask of it what it is to give, send it what it is to take."""
        for key, move in self._moves.items():
            desired = self._fleet.clusters[key]
            if move.giver == worker and move.state is None:
                yield from self._ask(key)
            elif desired.worker == worker:
                yield from self._pass_on(desired, move)

    def arrived(
        self, worker: str, given: Iterable[tuple[NamespacedName, str]]
    ) -> Iterator[Instruction]:
        """Let a worker forget what it gave away under another coordinator, and what is where it should."""
        for key, uid in given:
            desired, move = self._fleet.clusters.get(key), self._moves.get(key)
            mine = desired is not None and desired.spec.uid == uid and desired.worker == worker
            if not mine and (move is None or move.giver != worker):
                yield from self._remove(worker, key, uid)

    def _ask(self, cluster: NamespacedName) -> Iterator[Instruction]:
        move, uid = self._moves[cluster], self._fleet.clusters[cluster].spec.uid
        if self._fleet.worker_ready(move.giver):
            give = m.GiveAway(self._fleet.epoch, cluster, uid)
            yield from self._fleet.command(move.giver, give)

    def _pass_on(self, desired: Desired, move: _Move) -> Iterator[Instruction]:
        if move.state is not None and self._fleet.worker_ready(desired.worker):
            machines = tuple(desired.machines.values())
            take = m.TakeOver(self._fleet.epoch, desired.spec, machines, move.state)
            yield from self._fleet.command(desired.worker, take)
