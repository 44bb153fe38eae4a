"""A worker's shard: commands and time in, instructions out. Pure.

Rules kept here: nothing is taken from an epoch older than the newest seen; every command may come
twice; listeners open only after the first whole Sync (whole or closed); a new life of a cluster starts
its versions above anything an earlier life can have handed out; a worker without a coordinator serves
on until its orphan time has run out, and registers again until somebody answers.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from capim.api.workload import ListenerState, ListenerStatus, Simulation
from capim.messaging import envelope as m
from capim.runtime.workload import WorkloadCluster
from workers.instructions import (
    AnswerQuery,
    BindListener,
    Breathe,
    CloseListener,
    DropListener,
    End,
    FollowFaults,
    GiveState,
    LetGo,
    OpenListener,
    RenewListener,
    Send,
    TidyJournal,
)
from workers.keeper import NoKeeper, taken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from capim.api.faults import Fault
    from capim.api.gvk import NamespacedName
    from capim.api.workload import ClusterSpec, MachineProgress, MachineSpec
    from workers.instructions import Instruction
    from workers.keeper import Keeper

#: Without a ping for so long (three intervals) the worker introduces itself again, and again.
_SILENCE_S: Final = 3.0
_REGISTER_EVERY_S: Final = 0.5
#: A clock that falls behind the steady one by more between two looks was set; less is steering.
_CLOCK_STEP_S: Final = 0.2

#: Until a coordinator's Welcome says otherwise.
_ORPHAN_AFTER_S: Final = 60.0


@dataclass(slots=True)
class Held:
    """A cluster of the shard and its listener as far as the shell reported it."""

    cluster: WorkloadCluster
    listener: ListenerState | None = None  #: None: bind asked, no answer yet
    message: str = ""
    #: taken over from another worker: closed until the coordinator says that it is here for good
    provisional: bool = False

    def status(self) -> ListenerStatus | None:
        """Return the listener as the coordinator should see it."""
        if self.listener is None:
            return None
        spec = self.cluster.spec
        return ListenerStatus(spec.key, spec.uid, spec.port, self.listener, self.message)


class WorkerState:
    """One worker's shard. One loop, no lock."""

    def __init__(
        self,
        name: str,
        *,
        life: str,
        pid: int,
        clock: Callable[[], float],
        steady: Callable[[], float],
        keeper: Keeper | None = None,
        simulation: Simulation = Simulation.OFF,
    ) -> None:
        self.name = name
        self.life = life
        self.pid = pid
        self.epoch = -1
        self.synced = False
        self.clusters: dict[NamespacedName, Held] = {}
        self._clock = clock
        self._keeper = keeper or NoKeeper()
        self._orphan_after_s = _ORPHAN_AFTER_S
        self._steady = steady
        self._ahead_s = clock() - steady()  #: changes when the clock is set
        self._heard_at = steady()
        self._registered_at = steady()
        self._must_register = True
        self._over = False  #: told to end, once: what is asked for again and again piles up
        self._version_floor = 0
        self._simulation = simulation
        self._faulty: set[NamespacedName] = set()  #: clusters with faults
        #: given to other workers, by uid, and kept until it is said that they arrived
        self._given: dict[str, WorkloadCluster] = {}
        self.fault_hits: Counter[str] = Counter()  #: by the fault's name, as far as they were told
        self._due: list[tuple[float, NamespacedName]] = []
        self._planned: dict[NamespacedName, float] = {}  #: other entries of `_due` are stale
        #: called when `wait_s` became nothing, for a reason outside of commands and ticks
        self.on_work: Callable[[], None] = lambda: None

    # --- commands ---

    def handle(self, command: m.Command) -> Iterator[Instruction]:
        """Take one command of the coordinator."""
        if command.epoch < self.epoch:
            return
        self.epoch = command.epoch
        self._heard_at = self._steady()
        self._look_at_clock()
        match command:
            case m.Welcome():
                self._orphan_after_s = command.orphan_after_s
                self._keeper.greet(command.installation, command.workers)
            case m.Ping():
                yield Send(m.Pong(self.name, self.life))
                for key in self._faulty:
                    yield from self._tell_hits(self.clusters[key])
            case m.Sync():
                yield from self._sync(command)
            case m.Query():
                yield AnswerQuery(command.request, command.subject)
            case m.Stop():
                yield End("the coordinator said so")
            case _:
                yield from self._change(command)

    def _change(self, command: m.Command) -> Iterator[Instruction]:
        match command:
            case m.EnsureCluster():
                yield from self._ensure_cluster(command.spec)
                if self._keeper.damage(command.spec.uid):
                    yield self._damages()
                yield from self._advance(command.spec.key)
            case m.EnsureMachine() if held := self.clusters.get(command.spec.cluster):
                held.cluster.ensure_machine(command.spec)
                yield from self._advance(command.spec.cluster)
            case m.SetFaults() if held := self.clusters.get(command.cluster):
                yield from self._set_faults(held, command.faults)
                yield from self._advance(command.cluster)
            case m.RemoveMachine():
                yield from self._remove_machine(command)
            case m.RemoveCluster():
                yield from self._remove_cluster(command)
            case m.GiveAway():
                yield from self._give_away(command)
            case m.TakeOver():
                yield from self._take_over(command)
            case _:
                return  # a machine of a cluster not held here: the next Sync brings both

    def _remove_cluster(self, command: m.RemoveCluster) -> Iterator[Instruction]:
        self._keeper.forget(command.uid)  # first: what is dropped is written down once more
        held = self.clusters.get(command.cluster)
        if held is not None and held.cluster.spec.uid == command.uid:
            yield from self._drop(command.cluster)
        if given := self._given.pop(command.uid, None):
            yield LetGo(given)
        yield Send(m.ClusterGone(self.name, self.life, command.cluster, command.uid))

    def _give_away(self, command: m.GiveAway) -> Iterator[Instruction]:
        """Close a cluster, keep it, and send it; asked again, send it again."""
        key, held = command.cluster, self.clusters.get(command.cluster)
        if held is not None and held.cluster.spec.uid == command.uid:
            yield from self._tell_hits(held)
            del self.clusters[key]
            self._faulty.discard(key)
            self._planned.pop(key, None)
            self._given[command.uid] = held.cluster
            yield DropListener(key)
        if given := self._given.get(command.uid):
            yield GiveState(given)
        else:
            yield Send(m.Given(self.name, self.life, key, command.uid, b""))

    def _take_over(self, command: m.TakeOver) -> Iterator[Instruction]:
        """Hold a cluster as it was given away; it is served when it is said to be here for good."""
        spec = command.spec
        held = self.clusters.get(spec.key)
        if held is None or held.cluster.spec.uid != spec.uid:
            if held is not None:
                self._keeper.forget(held.cluster.spec.uid)
                yield from self._drop(spec.key)
            if given := self._given.pop(spec.uid, None):  # it comes back, and has gone on meanwhile
                self._keeper.drop(given)
                yield LetGo(given)
            cluster = taken(self._keeper, spec, self._make, command.state)
            held = self.clusters[spec.key] = Held(cluster, provisional=True)
            yield BindListener(spec.key)
        else:
            yield from self._update(held, spec)
        _match_machines(held, {one.name: one for one in command.machines})
        held.cluster.advance()
        self._keeper.touch(held.cluster)
        self._schedule(spec.key)
        yield from self._report(held)
        yield Send(m.Taken(self.name, self.life, spec.key, spec.uid))

    def _remove_machine(self, command: m.RemoveMachine) -> Iterator[Instruction]:
        if held := self.clusters.get(command.cluster):
            held.cluster.remove_machine(command.name, command.uid)
            self._keeper.touch(held.cluster)
            yield from self._serve(held)
        gone = m.MachineGone(self.name, self.life, command.cluster, command.name, command.uid)
        yield Send(gone)

    def _sync(self, sync: m.Sync) -> Iterator[Instruction]:
        """Make the shard what the command says, then open what is complete, then report all of it."""
        wanted = {spec.key for spec in sync.clusters}
        for key in [key for key in self.clusters if key not in wanted]:
            yield from self._drop(key)
        self._keeper.expect(spec.uid for spec in sync.clusters)
        for spec in sync.clusters:
            yield from self._ensure_cluster(spec)
        self._sync_machines(sync.machines)
        faults = dict(sync.faults)
        for key in self._faulty | (faults.keys() & self.clusters.keys()):
            yield from self._set_faults(self.clusters[key], faults.get(key, ()))
        for held in list(self.clusters.values()):
            held.cluster.advance()
            self._keeper.touch(held.cluster)
            yield Breathe()
        self.synced, self._must_register = True, False
        self._keeper.confirm()
        yield self._damages()
        for key, held in self.clusters.items():
            yield from self._serve(held)
            self._schedule(key)
            yield from self._report(held)
        yield TidyJournal(sync.living, sync.complete, sync.elsewhere)
        yield Send(m.Synced(self.name, self.life, sync.epoch, sync.number))

    def _sync_machines(self, specs: Iterable[MachineSpec]) -> None:
        machines: dict[NamespacedName, dict[str, MachineSpec]] = {}
        for spec in specs:
            machines.setdefault(spec.cluster, {})[spec.name] = spec
        for key, held in self.clusters.items():
            _match_machines(held, machines.get(key, {}))

    def _set_faults(self, held: Held, faults: tuple[Fault, ...]) -> Iterator[Instruction]:
        yield from self._tell_hits(held)  # of those that go now as well
        held.cluster.set_faults(faults)
        if faults:
            self._faulty.add(held.cluster.key)
        else:
            self._faulty.discard(held.cluster.key)
        yield FollowFaults(held.cluster.key)

    def _tell_hits(self, held: Held) -> Iterator[Instruction]:
        book = held.cluster.faults
        if book is not None and (hits := book.take_hits()):
            names = {fault.uid: fault.name for fault in book.faults}
            self.fault_hits.update({names[uid]: count for uid, count in hits})
            yield Send(m.FaultsActed(self.name, self.life, held.cluster.key, hits))

    @property
    def faulty_clusters(self) -> int:
        """How many clusters have faults declared."""
        return len(self._faulty)

    def _damages(self) -> Send:
        specs = [held.cluster.spec for held in self.clusters.values()]
        found = [(spec.key, spec.uid, self._keeper.damage(spec.uid)) for spec in specs]
        damaged = tuple(damage for damage in found if damage[2])
        return Send(m.JournalsDamaged(self.name, self.life, damaged))

    def _report(self, held: Held) -> Iterator[Instruction]:
        if status := held.status():
            yield Send(m.ListenerChanged(self.name, self.life, status))
        yield from self._report_machines(_progress_of_all(held))

    def _report_machines(self, machines: Iterable[MachineProgress]) -> Iterator[Instruction]:
        for progress in machines:
            yield Send(m.MachineProgressed(self.name, self.life, progress))

    # --- one cluster ---

    def _ensure_cluster(self, spec: ClusterSpec) -> Iterator[Instruction]:
        held = self.clusters.get(spec.key)
        if held is not None and held.cluster.spec.uid != spec.uid:
            self._keeper.forget(held.cluster.spec.uid)
            yield from self._drop(spec.key)
            held = None
        if held is None:
            self.clusters[spec.key] = Held(self._built(spec))
            yield BindListener(spec.key)
        else:
            held.provisional = False
            yield from self._update(held, spec)

    def _built(self, spec: ClusterSpec) -> WorkloadCluster:
        """Return a cluster that was not held: one that was given away and stays after all, or as written."""
        given = self._given.pop(spec.uid, None)
        if given is None:
            return self._keeper.build(spec, self._make)
        given.update_spec(spec)
        if given.faults is not None:
            self._faulty.add(spec.key)
        return given

    def _update(self, held: Held, spec: ClusterSpec) -> Iterator[Instruction]:
        before = held.cluster.spec
        held.cluster.update_spec(spec)
        if before.port != spec.port or held.listener is ListenerState.FAILED:
            held.listener = None
            yield DropListener(spec.key)
            yield BindListener(spec.key)
        elif _certificates(before) != _certificates(spec):
            yield RenewListener(spec.key)

    def _make(self, spec: ClusterSpec, first_version: int | None = None) -> WorkloadCluster:
        """Make an empty cluster; `first_version`: the one an earlier life of it began with."""
        # Milliseconds of the wall clock: above what an earlier life can have reached, in this process
        # or another, unless it wrote more than a thousand times a second for its whole life.
        newest = max(int(self._clock() * 1000), self._version_floor + 1)
        # The version goes into the seed: UIDs drawn in one life must not come again in the next.
        rng = random.Random(f"{spec.uid}/{newest}")  # noqa: S311 - no secrets
        cluster = WorkloadCluster(
            spec,
            clock=self._clock,
            rng=rng,
            first_version=newest if first_version is None else first_version,
            simulation=self._simulation,
        )
        cluster.on_work = lambda: self._wake(cluster)
        return cluster

    def _wake(self, cluster: WorkloadCluster) -> None:
        """Let a cluster go on soon: a client's write gave its controllers something to do."""
        held = self.clusters.get(cluster.key)
        if held is not None and held.cluster is cluster:
            self._plan(cluster.key, self._clock())
            self.on_work()

    def _drop(self, key: NamespacedName) -> Iterator[Instruction]:
        held = self.clusters.pop(key)
        self._faulty.discard(key)
        if held.provisional:  # it is another's: what is written down of it here would be found once
            self._keeper.forget(held.cluster.spec.uid)
        self._keeper.drop(held.cluster)
        self._planned.pop(key, None)
        self._version_floor = max(self._version_floor, held.cluster.group.resource_version)
        yield DropListener(key)
        yield LetGo(held.cluster)

    def _advance(self, key: NamespacedName) -> Iterator[Instruction]:
        """Do what is due in a cluster and report what changed."""
        held = self.clusters.get(key)
        if held is None:
            return
        changed = held.cluster.advance()
        self._keeper.touch(held.cluster)
        if held.cluster.take_turned():
            yield FollowFaults(key)
        yield from self._serve(held)
        yield from self._report_machines(changed)
        self._schedule(key)

    def _serve(self, held: Held) -> Iterator[Instruction]:
        """Open the listener with the first API server, close it with the last."""
        key = held.cluster.key
        serving = held.cluster.reachable and self.synced and not held.provisional
        if serving and held.listener is ListenerState.BOUND:
            held.listener = ListenerState.OPEN
            yield OpenListener(key)
        elif not serving and held.listener is ListenerState.OPEN:
            held.listener = ListenerState.BOUND
            yield CloseListener(key)
        else:
            return
        if status := held.status():
            yield Send(m.ListenerChanged(self.name, self.life, status))

    # --- the shell's answers ---

    def listener_bound(self, key: NamespacedName) -> Iterator[Instruction]:
        """The port is taken."""
        held = self.clusters[key]
        held.listener, held.message = ListenerState.BOUND, ""
        yield from self._bound_or_failed(held)
        yield from self._serve(held)

    def listener_failed(self, key: NamespacedName, message: str) -> Iterator[Instruction]:
        """The port could not be taken."""
        held = self.clusters[key]
        held.listener, held.message = ListenerState.FAILED, message
        yield from self._bound_or_failed(held)

    def _bound_or_failed(self, held: Held) -> Iterator[Instruction]:
        status = held.status()
        if status is not None:
            yield Send(m.ListenerChanged(self.name, self.life, status))

    # --- time ---

    def _look_at_clock(self) -> None:
        """Plan anew when the clock was set back; heartbeats ask for it every second."""
        before, self._ahead_s = self._ahead_s, self._clock() - self._steady()
        if self._ahead_s > before - _CLOCK_STEP_S:
            return
        for key, held in self.clusters.items():
            held.cluster.clock_set_back()
            self._planned.pop(key, None)
            self._schedule(key)

    def _schedule(self, key: NamespacedName) -> None:
        deadline = self.clusters[key].cluster.next_deadline()
        if deadline is not None:
            self._plan(key, deadline)

    def _plan(self, key: NamespacedName, when: float) -> None:
        """Look at a cluster again at a time; an earlier one that is planned stays."""
        if self._planned.get(key, math.inf) > when:
            self._planned[key] = when
            heapq.heappush(self._due, (when, key))

    def wait_s(self) -> float:
        """Return for how long at most `tick` has nothing to do."""
        if self._over:
            return _SILENCE_S
        beat = self._registered_at + _REGISTER_EVERY_S
        if not self._must_register:
            beat = max(beat, self._heard_at + _SILENCE_S)
        beat_s = beat - self._steady()
        due_s = self._due[0][0] - self._clock() if self._due else beat_s
        return max(min(beat_s, due_s), 0.0)

    def tick(self) -> Iterator[Instruction]:
        """Do what is due: phases that end, registration, the orphan's end."""
        now = self._clock()
        while self._due and self._due[0][0] <= now:
            when, key = heapq.heappop(self._due)
            if self._planned.get(key) == when:
                del self._planned[key]
                yield from self._advance(key)
        now = self._steady()
        silent_s = now - self._heard_at
        if silent_s >= self._orphan_after_s:
            if not self._over:
                self._over = True
                yield End(f"no coordinator for {silent_s:.0f} s")
        elif (
            self._must_register or silent_s >= _SILENCE_S
        ) and now - self._registered_at >= _REGISTER_EVERY_S:
            yield self.register()

    def register(self) -> Instruction:
        """Introduce this worker to whoever is coordinator now."""
        self._registered_at = self._steady()
        given = tuple((cluster.key, uid) for uid, cluster in self._given.items())
        return Send(
            m.Register(
                self.name,
                self.life,
                self.pid,
                clusters=tuple(self.clusters),
                epoch=self.epoch,
                given=given,
            )
        )

    def out_of_step(self) -> None:
        """A command was lost or a report could not be sent: register again, so that a Sync follows."""
        self._must_register = True


def _match_machines(held: Held, specs: Mapping[str, MachineSpec]) -> None:
    """Let a cluster have these machines and no others."""
    for progress in _progress_of_all(held):
        spec = specs.get(progress.name)
        if spec is None or spec.uid != progress.uid:
            held.cluster.remove_machine(progress.name, progress.uid)
    for spec in specs.values():
        held.cluster.ensure_machine(spec)


def _progress_of_all(held: Held) -> list[MachineProgress]:
    cluster = held.cluster
    found = [cluster.progress(name) for name in cluster.machines]
    return [progress for progress in found if progress is not None]


def _certificates(spec: ClusterSpec) -> tuple[object, ...]:
    """Return what of a cluster its serving certificates and the keys of its tokens depend on."""
    authorities = (spec.ca, spec.etcd_ca, spec.service_account)
    return (spec.host, spec.endpoint, spec.service_cidr, *authorities)
