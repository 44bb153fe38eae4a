"""The coordinator's side of all workers: the sockets, heartbeats and the supervisor.

A thin shell: `FleetState` decides, this sends. Controllers call it without waiting; what cannot be sent
now reaches the worker with the `Sync` that follows its next registration.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from capim.messaging import envelope as m
from capim.messaging.sockets import PeerBusyError, PeerGoneError, ipc_address
from coordinator.fleetorders import (
    Instruction,
    Notify,
    NotifyAll,
    RaiseEpoch,
    Replace,
    Send,
    TellHits,
    TellWorker,
)
from coordinator.fleetstate import PING_INTERVAL_S, FleetState
from coordinator.links import LinkOptions, Links
from coordinator.reign import CountedReign
from coordinator.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from capim.aio.clock import Clock
    from capim.aio.tasks import TaskScope
    from capim.api.faults import Fault
    from capim.api.gvk import NamespacedName
    from capim.api.workload import ClusterSpec, ListenerStatus, MachineProgress, MachineSpec
    from capim.messaging.codec import Message
    from coordinator.reign import Reign

_log = structlog.get_logger(__name__)

#: How long a debug or metrics request waits for the slowest worker.
_QUERY_TIMEOUT_S: Final = 2.0


class FleetOptions(LinkOptions, Protocol):
    """What of the manager's options concerns the workers."""

    @property
    def workers(self) -> int:
        """How many local worker processes."""

    @property
    def runtime_dir(self) -> str:
        """A folder for the socket and the locks, private to this installation and host."""

    @property
    def bind_host(self) -> str:
        """The address listeners bind."""

    @property
    def workload_authorization(self) -> str:
        """What decides who may do what in workload clusters."""

    @property
    def state_dir(self) -> str:
        """Folder of the workers' journals; empty: they keep none."""

    @property
    def journal_sync(self) -> str:
        """`normal` or `full`."""

    @property
    def workload_simulation(self) -> str:
        """How much of a control plane is simulated for workloads."""

    @property
    def verbosity(self) -> int:
        """`--v`."""

    @property
    def logging_format(self) -> str:
        """`json` or `text`."""


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A configured worker and whether it holds its whole shard now."""

    name: str
    ready: bool


class _Query:
    """A question to some workers and the answers so far."""

    def __init__(self, asked: set[str]) -> None:
        self._asked = asked
        self.answers: dict[str, bytes] = {}
        self.complete = asyncio.Event()
        if not asked:
            self.complete.set()

    def take(self, answer: m.Answer) -> None:
        """Keep one worker's answer."""
        self.answers[answer.worker] = answer.body
        if len(self.answers) == len(self._asked):
            self.complete.set()


class Fleet:
    """All workers of this installation. One loop, no lock."""

    def __init__(self, options: FleetOptions, clock: Clock, scope: TaskScope) -> None:
        self._options = options
        self._clock = clock
        self._scope = scope
        self._local_names = local_workers(options.workers)
        self._names = [*self._local_names, *(name for name, _ in options.remote_workers)]
        self.sent = self.received = self.gaps = 0  #: messages, and losses among them
        self._queries: dict[int, _Query] = {}
        self._next_query = 0
        self._runtime_dir = Path(options.runtime_dir)
        #: set by the controllers: called with the cluster and, where it concerns one, the machine
        self.on_change: Callable[[NamespacedName, str | None], None] = lambda cluster, machine: None
        #: set by the controllers: called when a worker confirmed its whole shard
        self.on_synced: Callable[[], None] = lambda: None
        #: set by the controllers: called with a cluster and how often faults, by uid, acted in it
        self.on_hits: Callable[[NamespacedName, tuple[tuple[str, int], ...]], None] = (
            lambda cluster, hits: None
        )
        #: set by the controllers: called with a worker that is lost (False), or back (True)
        self.on_worker: Callable[[str, bool], None] = lambda worker, back: None
        #: set by the controllers: uids of all clusters there are, and whether these are all there can be
        self.living: Callable[[], tuple[Iterable[str], bool]] = lambda: ((), False)
        self._state = FleetState(self._names, installation="", epoch=0)
        self._raising: asyncio.Task[None] | None = None

    async def start(self, *, installation: str, reign: Reign | None) -> None:
        """Bind the socket and run the workers; they are told nothing before `begin`.

        Args:
            installation: the ID of this installation.
            reign: of the leader election; None without one: counted in a file beside the socket.

        Raises:
            ValueError: the runtime folder cannot serve; the message names the option and the fix.
        """
        address = ipc_address(self._runtime_dir)
        self._lock = _lock_folder(self._runtime_dir)
        counted = CountedReign(self._runtime_dir / "epoch")
        self._reign = counted if reign is None else reign
        self._state = FleetState(self._names, installation=installation, epoch=self._reign.epoch)
        self._state.living = self._all_living
        self._links = Links(self._options, address, self._on_message, self._on_gap)
        self._supervisor = Supervisor(
            self._local_names,
            runtime_dir=self._runtime_dir,
            address=address,
            worker_args=self._worker_args(),
            clock=self._clock,
            on_exit=lambda name: self._state.lost(name, self._clock()),
            others=self._names,
        )
        self._supervisor.start(self._scope)
        self._scope.spawn(self._beat(), name="worker heartbeats")

    def _all_living(self) -> tuple[Iterable[str], bool]:
        return self.living()

    def _worker_args(self) -> list[str]:
        options = self._options
        journal: tuple[str, ...] = ()
        if options.state_dir:
            journal = ("--state-dir", options.state_dir, "--journal-sync", options.journal_sync)
        return [
            *journal,
            *("--bind-host", options.bind_host),
            *("--v", str(options.verbosity), "--logging-format", options.logging_format),
            *("--workload-simulation", options.workload_simulation),
            *("--workload-authorization", options.workload_authorization),
        ]

    def begin(self) -> None:
        """Send every worker its shard: the desired state is complete."""
        self._carry_out(self._state.begin())

    async def stop(self) -> None:
        """End the workers of this host and close the sockets; the others wait for a coordinator."""
        await self._supervisor.stop()
        self._links.close()
        os.close(self._lock)

    # --- desired state ---

    def set_cluster(self, worker: str, spec: ClusterSpec, *, settled: bool = True) -> None:
        """Desire a cluster on a worker; `settled`: that it is there is noted."""
        self._carry_out(self._state.set_cluster(worker, spec, settled=settled))

    def moved(self, cluster: NamespacedName) -> bool:
        """Say whether a cluster's new worker has it and waits to hear that this is noted."""
        return self._state.moved(cluster)

    def refusal(self, cluster: NamespacedName, uid: str) -> str:
        """Return why a cluster could not leave its worker, for a person; empty: it was never refused."""
        return self._state.refusal(cluster, uid)

    def set_machine(self, spec: MachineSpec) -> None:
        """Desire a machine in a cluster that was set."""
        self._carry_out(self._state.set_machine(spec))

    def set_faults(self, cluster: NamespacedName, faults: tuple[Fault, ...]) -> None:
        """Desire these faults of a cluster."""
        self._carry_out(self._state.set_faults(cluster, faults))

    def remove_machine(self, cluster: NamespacedName, name: str, uid: str) -> None:
        """Desire a machine no longer."""
        self._carry_out(self._state.remove_machine(cluster, name, uid))

    def remove_cluster(self, cluster: NamespacedName, uid: str) -> None:
        """Desire a cluster no longer."""
        self._carry_out(self._state.remove_cluster(cluster, uid))

    # --- observed state ---

    @property
    def installation(self) -> str:
        """The ID of this installation; empty before it is known."""
        return self._state.installation

    def workers(self) -> list[WorkerInfo]:
        """Return the configured workers."""
        return [WorkerInfo(name, self._state.worker_ready(name)) for name in self._names]

    def machine(self, cluster: NamespacedName, name: str) -> MachineProgress | None:
        """Return what was last reported of a machine."""
        return self._state.machine(cluster, name)

    def listener(self, cluster: NamespacedName) -> ListenerStatus | None:
        """Return what was last reported of a cluster's listener."""
        return self._state.listener(cluster)

    def damage(self, cluster: NamespacedName, uid: str) -> str:
        """Return why a cluster is not what was written down of it, for a person; empty: it is."""
        return self._state.damage(cluster, uid)

    def machine_gone(self, cluster: NamespacedName, name: str, uid: str) -> bool:
        """Say whether no worker can hold this machine any more."""
        return self._state.machine_gone(cluster, name, uid)

    def cluster_gone(self, cluster: NamespacedName, uid: str) -> bool:
        """Say whether no worker can hold this cluster any more."""
        return self._state.cluster_gone(cluster, uid)

    async def query(self, subject: str) -> dict[str, bytes]:
        """Ask every ready worker for a view; those that do not answer in time are left out."""
        self._next_query += 1
        request = self._next_query
        asked = {name for name in self._names if self._state.worker_ready(name)}
        query = self._queries[request] = _Query(asked)
        self._carry_out(Send(name, m.Query(self._state.epoch, request, subject)) for name in asked)
        try:
            async with asyncio.timeout(_QUERY_TIMEOUT_S):
                await query.complete.wait()
        except TimeoutError:
            _log.warning("workers did not answer", missing=sorted(asked - set(query.answers)))
        finally:
            del self._queries[request]
        return query.answers

    # --- the loop ---

    def _on_message(self, identity: str, message: Message) -> None:
        self.received += 1
        if isinstance(message, m.Answer):
            self._take_answer(message)
        elif isinstance(message, m.Report) and message.worker == identity:
            self._carry_out(self._state.handle(message, self._clock()))

    def _on_gap(self, worker: str) -> None:
        self.gaps += 1
        _log.warning("reports of a worker were lost: it is asked for all", worker=worker)
        self._state.missed(worker)

    def _take_answer(self, answer: m.Answer) -> None:
        if query := self._queries.get(answer.request):
            query.take(answer)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(PING_INTERVAL_S)
            self._carry_out(self._state.tick(self._clock()))

    def _carry_out(self, instructions: Iterable[Instruction]) -> None:
        for instruction in instructions:
            match instruction:
                case Send():
                    self._send(instruction)
                case Notify():
                    self.on_change(instruction.cluster, instruction.machine)
                case NotifyAll():
                    self.on_synced()
                case TellHits():
                    self.on_hits(instruction.cluster, instruction.hits)
                case TellWorker():
                    self.on_worker(instruction.worker, instruction.back)
                case Replace():
                    _log.warning("worker replaced", worker=instruction.worker, why=instruction.why)
                    self._supervisor.kill(instruction.worker)
                case RaiseEpoch():
                    self._raise(instruction.epoch)

    def _raise(self, epoch: int) -> None:
        """Ask for a higher number, unless one is asked for already: the worker will tell again."""
        if self._raising is None or self._raising.done():
            _log.warning("workers have obeyed a later reign", epoch=self._state.epoch, needed=epoch)
            self._raising = self._scope.spawn(self._have_raised(epoch), name="raise epoch")

    async def _have_raised(self, epoch: int) -> None:
        await self._reign.raise_to(epoch)
        self._carry_out(self._state.raised(self._reign.epoch))

    def _send(self, instruction: Send) -> None:
        try:
            self._links.send(instruction.worker, instruction.command)
            self.sent += 1
        except (PeerGoneError, PeerBusyError) as error:
            _log.info("worker unreachable", worker=instruction.worker, error=type(error).__name__)
            self._state.lost(instruction.worker, self._clock())


def local_workers(count: int) -> list[str]:
    """Name the workers that the supervisor runs."""
    return [f"worker-{index}" for index in range(count)]


def _lock_folder(folder: Path) -> int:
    """Hold the folder for this process; the lock goes with the process, however it ends."""
    lock = os.open(folder / "coordinator.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise ValueError(
            f"--runtime-dir {folder} is in use by another coordinator: choose another folder, "
            "or stop that one"
        ) from error
    return lock
