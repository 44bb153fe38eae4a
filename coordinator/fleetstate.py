"""What every worker should hold and what it reported: events in, instructions out. Pure.

Desired state comes from the controllers and goes to workers as idempotent commands; a worker that
registers gets its whole shard as one `Sync`. Observed state outlives a worker's death: a machine that
was up is reported up until its restarted worker says otherwise, so that conditions do not flap.

Invariants: a cluster is desired on one worker; nothing is sent before `begin` (whole or closed: the
desired state must be complete first); a removal is kept until the worker confirmed it, by its own
answer or by a whole Sync, sent after the removal, that no longer named the object.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from capim.api.gvk import NamespacedName
from capim.messaging import envelope as m
from coordinator.fleetorders import (
    Notify,
    NotifyAll,
    RaiseEpoch,
    Replace,
    Send,
    TellHits,
    TellWorker,
)
from coordinator.moves import Desired, Moves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from capim.api.faults import Fault
    from capim.api.workload import ClusterSpec, ListenerStatus, MachineProgress, MachineSpec
    from coordinator.fleetorders import Instruction

#: How often a worker is pinged, and after how much silence it counts as hung. A worker that builds a
#: large shard answers between clusters, so ten silent beats mean it does not run its loop.
PING_INTERVAL_S: Final = 1.0
HUNG_AFTER_S: Final = 10.0

#: How long a started or adopted worker may take to register: an interpreter's start on a busy machine.
REGISTER_WITHIN_S: Final = 30.0

#: What a Lease has room for.
MAX_EPOCH: Final = (1 << 31) - 1

#: How long workers serve on without a coordinator before they end.
ORPHAN_AFTER_S: Final = 60.0


@dataclass(slots=True)
class _Worker:
    life: str = ""  #: empty until it registered
    greeted: str = ""  #: the last life that was welcomed here, also when it is lost
    heard_at: float | None = None  #: or since when it is waited for; None before the first tick
    synced: bool = False  #: confirmed the last Sync; only then absence from desired means gone
    missed: bool = False  #: something it reported was lost
    lost: bool = False  #: since it was known it went, and did not come back yet
    told: bool = False  #: of the loss
    syncs: int = 0  #: how many Syncs it was sent; the number of the last
    #: clusters it held when it registered; those that are another worker's now it lets go of by its Sync
    held: frozenset[NamespacedName] = frozenset()
    #: clusters of its shard that another worker may still hold: it is not told of them yet
    awaited: frozenset[NamespacedName] = frozenset()
    #: name and uid of what it gave away and keeps
    given: tuple[tuple[NamespacedName, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Going:
    """A removal that its worker has not confirmed."""

    worker: str
    uid: str
    after_sync: int  #: the number of the last Sync that may still have named the object


class FleetState:
    """The desired and the observed state of all workers. One loop, no lock."""

    def __init__(self, workers: list[str], *, installation: str, epoch: int) -> None:
        self.installation = installation
        self.epoch = epoch
        self.begun = False
        #: set by the controllers: uids of all clusters there are, and whether these are all there can be
        self.living: Callable[[], tuple[Iterable[str], bool]] = lambda: ((), False)
        self._workers = {name: _Worker() for name in workers}
        self.clusters: dict[NamespacedName, Desired] = {}
        self._moves = Moves(self)
        self._faults: dict[NamespacedName, tuple[Fault, ...]] = {}
        self._going_clusters: dict[NamespacedName, _Going] = {}
        self._going_machines: dict[tuple[NamespacedName, str], _Going] = {}
        self._listeners: dict[NamespacedName, ListenerStatus] = {}
        self._progress: dict[tuple[NamespacedName, str], MachineProgress] = {}
        #: what workers said of journals: (cluster, uid) -> (worker, why it is not what was written)
        self._damage: dict[tuple[NamespacedName, str], tuple[str, str]] = {}

    # --- read by the controllers ---

    def worker_ready(self, worker: str) -> bool:
        """Say whether the worker is connected and holds its whole shard."""
        return self._workers[worker].synced

    def machine(self, cluster: NamespacedName, name: str) -> MachineProgress | None:
        """Return what was last reported of a machine."""
        return self._progress.get((cluster, name))

    def listener(self, cluster: NamespacedName) -> ListenerStatus | None:
        """Return what was last reported of a cluster's listener."""
        return self._listeners.get(cluster)

    def damage(self, cluster: NamespacedName, uid: str) -> str:
        """Return why a cluster is not what was written down of it, for a person; empty: it is."""
        return self._damage.get((cluster, uid), ("", ""))[1]

    def machine_gone(self, cluster: NamespacedName, name: str, uid: str) -> bool:
        """Say whether no worker can hold this machine any more."""
        held = self.clusters.get(cluster)
        spec = held.machines.get(name) if held else None
        if (spec is not None and spec.uid == uid) or (cluster, name) in self._going_machines:
            return False
        return self._confirmed(held.worker if held else None)

    def cluster_gone(self, cluster: NamespacedName, uid: str) -> bool:
        """Say whether no worker can hold this cluster any more."""
        held = self.clusters.get(cluster)
        if (held is not None and held.spec.uid == uid) or cluster in self._going_clusters:
            return False
        return self._confirmed(held.worker if held else None)

    def _confirmed(self, worker: str | None) -> bool:
        concerned = [self._workers[worker]] if worker else list(self._workers.values())
        return all(one.synced for one in concerned)

    # --- told by the controllers ---

    def moved(self, cluster: NamespacedName) -> bool:
        """Say whether a cluster's new worker has it and waits to hear that this is noted."""
        return self._moves.taken(cluster)

    def refusal(self, cluster: NamespacedName, uid: str) -> str:
        """Return why a cluster could not leave its worker, for a person; empty: it was never refused."""
        return self._moves.refusal(cluster, uid)

    def set_cluster(
        self, worker: str, spec: ClusterSpec, *, settled: bool = True
    ) -> Iterator[Instruction]:
        """Desire a cluster on a worker, which is given it by the one before; the same again changes nothing.

        Args:
            worker: who is to have it.
            spec: what it is to be.
            settled: that it is on this worker is noted where the next coordinator reads it.
        """
        held = self.clusters.get(spec.key)
        if held is not None and held.spec.uid == spec.uid:
            if held.worker != worker or spec.key in self._moves:
                if (held.worker, held.spec.port) != (worker, spec.port):
                    self._listeners.pop(spec.key, None)
                yield from self._moves.change(worker, spec, settled=settled)
                return
            if held.spec == spec:
                return
        elif held is not None and held.worker != worker:
            yield from self.remove_cluster(spec.key, held.spec.uid)
            held = None
        if held is None or held.spec.uid != spec.uid:
            self._forget(spec.key)
        elif held.spec.port != spec.port:
            self._listeners.pop(spec.key, None)  # what was reported is about another port
        machines = held.machines if held is not None else {}
        self.clusters[spec.key] = Desired(worker, spec, machines)
        self._going_clusters.pop(spec.key, None)
        if spec.key not in self._workers[worker].awaited:
            yield from self._tell(spec.key)

    def _tell(self, cluster: NamespacedName) -> Iterator[Instruction]:
        held = self.clusters[cluster]
        yield from self.command(held.worker, m.EnsureCluster(self.epoch, held.spec))
        if faults := self._faults.get(cluster):
            yield from self.command(held.worker, m.SetFaults(self.epoch, cluster, faults))

    def ensure(self, cluster: NamespacedName) -> Iterator[Instruction]:
        """Tell a cluster's worker all that it is to be."""
        yield from self._tell(cluster)
        held = self.clusters[cluster]
        for machine in held.machines.values():
            yield from self.command(held.worker, m.EnsureMachine(self.epoch, machine))

    def set_machine(self, spec: MachineSpec) -> Iterator[Instruction]:
        """Desire a machine in a cluster that was set before; the same again changes nothing."""
        held = self.clusters.get(spec.cluster)
        if held is None or held.machines.get(spec.name) == spec:
            return
        progress = self._progress.get((spec.cluster, spec.name))
        if progress is not None and progress.uid != spec.uid:
            del self._progress[spec.cluster, spec.name]
        held.machines[spec.name] = spec
        self._going_machines.pop((spec.cluster, spec.name), None)
        if spec.cluster not in self._workers[held.worker].awaited:
            yield from self.command(held.worker, m.EnsureMachine(self.epoch, spec))

    def set_faults(
        self, cluster: NamespacedName, faults: tuple[Fault, ...]
    ) -> Iterator[Instruction]:
        """Desire these faults of a cluster, set or yet to be; the same again changes nothing."""
        if self._faults.get(cluster, ()) == faults:
            return
        self._faults[cluster] = faults
        if not faults:
            del self._faults[cluster]
        held = self.clusters.get(cluster)
        if held is not None and cluster not in self._workers[held.worker].awaited:
            yield from self.command(held.worker, m.SetFaults(self.epoch, cluster, faults))

    def remove_machine(self, cluster: NamespacedName, name: str, uid: str) -> Iterator[Instruction]:
        """Desire a machine no longer; `machine_gone` tells when its worker has let it go."""
        held = self.clusters.get(cluster)
        spec = held.machines.get(name) if held else None
        if held is None or spec is None or spec.uid != uid:
            return
        del held.machines[name]
        self._going_machines[cluster, name] = self._going(held.worker, uid)
        yield from self.command(held.worker, m.RemoveMachine(self.epoch, cluster, name, uid))

    def remove_cluster(self, cluster: NamespacedName, uid: str) -> Iterator[Instruction]:
        """Desire a cluster and its machines no longer; `cluster_gone` tells when it is gone."""
        held = self.clusters.get(cluster)
        if held is None or held.spec.uid != uid:
            yield from self._tell_all_that_gone(cluster, uid)
            return
        del self.clusters[cluster]
        self._going_clusters[cluster] = self._going(held.worker, uid)
        self._forget(cluster)
        yield from self._moves.cancel(cluster, uid)
        yield from self.command(held.worker, m.RemoveCluster(self.epoch, cluster, uid))

    def _tell_all_that_gone(self, cluster: NamespacedName, uid: str) -> Iterator[Instruction]:
        """A cluster that another coordinator placed is deleted: some worker may have it in its journal."""
        going = self._going_clusters.get(cluster)
        if going is None or going.uid != uid:
            for name in self._workers:
                yield from self.command(name, m.RemoveCluster(self.epoch, cluster, uid))

    def _going(self, worker: str, uid: str) -> _Going:
        return _Going(worker, uid, self._workers[worker].syncs)

    def _forget(self, cluster: NamespacedName) -> None:
        self._listeners.pop(cluster, None)
        for key in [key for key in self._progress if key[0] == cluster]:
            del self._progress[key]

    def begin(self) -> Iterator[Instruction]:
        """Start to command: the desired state is complete."""
        self.begun = True
        for name, worker in self._workers.items():
            if worker.life:
                yield from self._sync(name)

    def command(self, worker: str, command: m.Command) -> Iterator[Instruction]:
        """Send, if the desired state is complete and the worker is there."""
        if self.begun and self._workers[worker].life:
            yield Send(worker, command)

    def _sync(self, name: str) -> Iterator[Instruction]:
        """Send a worker its shard, without what another holds: two would serve it, and one forget it."""
        mine = self._named_to(name)
        worker = self._workers[name]
        self._moves.unsettled(name)
        worker.awaited = frozenset(mine.keys() & self._held_by_others(name))
        worker.synced = worker.missed = False
        worker.syncs += 1
        held = [self.clusters[key] for key in mine if key not in worker.awaited]
        living, complete = self.living()
        yield Send(
            name,
            m.Sync(
                self.epoch,
                tuple(mine[cluster.spec.key] for cluster in held),
                tuple(spec for cluster in held for spec in cluster.machines.values()),
                worker.syncs,
                tuple(sorted({*living, *(one.spec.uid for one in self.clusters.values())})),
                complete,
                tuple(one.spec.uid for key, one in self.clusters.items() if key not in mine),
                tuple(self._faults_of(held)),
            ),
        )
        yield from self._moves.arrived(name, worker.given)
        worker.given = ()

    def _named_to(self, name: str) -> dict[NamespacedName, ClusterSpec]:
        """Return the clusters of a worker's shard as it is to have them now."""
        named = ((key, self._moves.named_to(key)) for key in self.clusters)
        return {key: one[1] for key, one in named if one is not None and one[0] == name}

    def _faults_of(self, held: list[Desired]) -> Iterator[tuple[NamespacedName, tuple[Fault, ...]]]:
        for one in held:
            if faults := self._faults.get(one.spec.key):
                yield one.spec.key, faults

    def _held_by_others(self, name: str) -> set[NamespacedName]:
        return {key for other, one in self._workers.items() if other != name for key in one.held}

    def _hand_on(self) -> Iterator[Instruction]:
        """Let workers have what they waited for and nobody else holds any more."""
        for name, worker in self._workers.items():
            if worker.life and worker.awaited - self._held_by_others(name):
                yield from self._sync(name)

    # --- reported by workers ---

    def handle(self, report: m.Report, now: float) -> Iterator[Instruction]:
        """Take one report. Reports of unknown workers and of earlier lives are dropped."""
        worker = self._workers.get(report.worker)
        if worker is None:
            return
        if isinstance(report, m.Register):
            yield from self._registered(worker, report, now)
        elif report.life == worker.life:
            worker.heard_at = now
            if isinstance(report, m.FaultsActed):
                yield TellHits(report.cluster, report.hits)
            else:
                yield from self._reported(worker, report)

    def _registered(self, worker: _Worker, report: m.Register, now: float) -> Iterator[Instruction]:
        if report.version != m.VERSION:
            why = f"it speaks message version {report.version}, this coordinator {m.VERSION}"
            yield Replace(report.worker, why)
            return
        # who comes with our own number, and not from us, obeyed another who counted as far
        if report.epoch > self.epoch - (report.life != worker.greeted):
            yield from self._outranked(report)
            return
        worker.lost = worker.lost or worker.life not in {"", report.life}
        worker.life, worker.heard_at, worker.synced = report.life, now, False
        worker.greeted = report.life
        worker.held, worker.given = frozenset(report.clusters), report.given
        welcome = m.Welcome(
            self.epoch, self.installation, ORPHAN_AFTER_S, workers=tuple(self._workers)
        )
        yield Send(report.worker, welcome)
        if self.begun:
            yield from self._sync(report.worker)

    def _outranked(self, report: m.Register) -> Iterator[Instruction]:
        """A worker obeyed a later reign: the count of reigns was lost, or ours is over.

        Whoever keeps the count finds out which it is. The worker goes on introducing itself until then.
        """
        if report.epoch >= MAX_EPOCH:
            yield Replace(report.worker, f"it knows of epoch {report.epoch}, which is the last")
        else:
            yield RaiseEpoch(report.epoch + 1)

    def raised(self, epoch: int) -> Iterator[Instruction]:
        """This reign has another number now: what is under way in the old one is asked for again."""
        if epoch <= self.epoch:
            return
        self.epoch = epoch
        if self.begun:
            for name, worker in self._workers.items():
                if worker.life:
                    yield from self._sync(name)

    def _reported(self, worker: _Worker, report: m.Report) -> Iterator[Instruction]:
        match report:
            case m.ListenerChanged():
                if self._moves.concerns(report.status.cluster, report.worker):
                    yield from self._listener_changed(report.status)
            case m.MachineProgressed():
                yield from self._machine_progressed(report.progress)
            case m.MachineGone() | m.ClusterGone():
                yield from self._gone(report)
            case m.JournalsDamaged():
                yield from self._journals_damaged(report)
            case m.Given() | m.Taken():
                yield from self._moves.reported(report)
            case m.Synced() if report.epoch == self.epoch:
                yield from self._synced(worker, report)
            case _:
                pass  # a Pong says only that the worker lives, which is noted already

    def _gone(self, report: m.MachineGone | m.ClusterGone) -> Iterator[Instruction]:
        if isinstance(report, m.ClusterGone):
            if _is_of(self._going_clusters.get(report.cluster), report):
                del self._going_clusters[report.cluster]
                yield Notify(report.cluster)
            return
        key = (report.cluster, report.name)
        if _is_of(self._going_machines.get(key), report):
            del self._going_machines[key]
            self._progress.pop(key, None)
            yield Notify(*key)

    def _synced(self, worker: _Worker, report: m.Synced) -> Iterator[Instruction]:
        worker.synced = report.number == worker.syncs
        yield from self._confirm_removals(report)
        if worker.synced:
            yield from self._back(report.worker)
            worker.held = frozenset()  # nothing but its shard now
            yield from self._hand_on()
            yield from self._moves.go_on(report.worker)

    def _back(self, name: str) -> Iterator[Instruction]:
        worker = self._workers[name]
        if worker.lost:
            worker.lost = worker.told = False
            yield TellWorker(name, back=True)

    def _journals_damaged(self, report: m.JournalsDamaged) -> Iterator[Instruction]:
        before = {key for key, (worker, _) in self._damage.items() if worker == report.worker}
        now = {(key, uid): (report.worker, why) for key, uid, why in report.clusters}
        for key in before - now.keys():
            del self._damage[key]
        self._damage |= now
        for cluster, _ in before | now.keys():
            yield Notify(cluster)

    def _listener_changed(self, status: ListenerStatus) -> Iterator[Instruction]:
        held = self.clusters.get(status.cluster)
        if held is not None and (held.spec.uid, held.spec.port) == (status.uid, status.port):
            self._listeners[status.cluster] = status
            yield Notify(status.cluster)

    def _machine_progressed(self, progress: MachineProgress) -> Iterator[Instruction]:
        held = self.clusters.get(progress.cluster)
        spec = held.machines.get(progress.name) if held else None
        if spec is not None and spec.uid == progress.uid:
            self._progress[progress.cluster, progress.name] = progress
            yield Notify(progress.cluster, progress.name)

    def _confirm_removals(self, synced: m.Synced) -> Iterator[Instruction]:
        """A whole Sync was applied: what it did not name is gone from that worker."""

        def gone(going: _Going) -> bool:
            return going.worker == synced.worker and going.after_sync < synced.number

        for key in [key for key, going in self._going_machines.items() if gone(going)]:
            del self._going_machines[key]
            self._progress.pop(key, None)
        for cluster in [key for key, going in self._going_clusters.items() if gone(going)]:
            del self._going_clusters[cluster]
        yield NotifyAll()

    # --- time ---

    def tick(self, now: float) -> Iterator[Instruction]:
        """Ping every connected worker; give up on those that have not answered for too long."""
        for name, worker in self._workers.items():
            if worker.heard_at is None:
                worker.heard_at = now
            patience_s = HUNG_AFTER_S if worker.life else REGISTER_WITHIN_S
            if now - worker.heard_at > patience_s:
                self.lost(name, now)
                yield Replace(name, f"silent for {patience_s:.0f} s")
            elif worker.life:
                yield Send(name, m.Ping(self.epoch))
                if worker.missed and self.begun:
                    yield from self._sync(name)
            if worker.lost and not worker.told:
                worker.told = True
                yield TellWorker(name, back=False)
        yield from self._hand_on()

    def missed(self, name: str) -> None:
        """Reports were lost on their way: with the next heartbeat the worker is asked for all of them."""
        if name in self._workers:
            self._workers[name].missed = True

    def lost(self, name: str, now: float) -> None:
        """A send failed or the process ended: the worker must register again."""
        worker = self._workers[name]
        worker.lost = worker.lost or bool(worker.life)
        worker.life, worker.synced, worker.heard_at = "", False, now
        worker.held = worker.awaited = frozenset()
        self._moves.unsettled(name)


def _is_of(going: _Going | None, report: m.MachineGone | m.ClusterGone) -> bool:
    return going is not None and (going.worker, going.uid) == (report.worker, report.uid)
