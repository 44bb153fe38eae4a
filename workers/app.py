"""The worker's shell: one event loop, one socket to the coordinator, the listeners of its shard.

`WorkerState` decides; instructions are carried out in order by one task, so that a machine is reported
up only after the listener it opens takes connections.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import gc
import os
import secrets
import signal
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import structlog
import uvloop

from capim.aio import logs
from capim.aio.clock import Clock, steady_clock, wall_clock
from capim.aio.descriptors import Capacity, raise_limit
from capim.aio.process import settle
from capim.aio.taskmetrics import TaskMetrics
from capim.aio.tasks import TaskScope
from capim.api.workload import Authorization, Simulation
from capim.messaging import envelope as m
from capim.messaging.keys import COORDINATOR, KeyFileError, load_pair, load_public
from capim.messaging.sockets import PeerBusyError, WorkerSocket
from capim.runtime.journal.recorder import base
from capim.server.requestlog import request_log
from workers import instructions as i
from workers.faultmetrics import FaultMetrics
from workers.journal import Journal
from workers.journalfile import JournalError
from workers.journalmetrics import JournalMetrics
from workers.listeners import Listeners
from workers.shardmetrics import ShardMetrics
from workers.state import Held, WorkerState
from workers.views import Views

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from capim.messaging.codec import Message
    from capim.runtime.workload import WorkloadCluster

_log = structlog.get_logger(__name__)

#: for so long a command may keep the loop, before heartbeats and clients have their turn
_SLICE_S: Final = 0.02
#: a body that is decoded has hundreds of objects, each of which went at once with the last that held it:
#: looking for others after every 700, as Python does, is 9 % of all writes while a cluster's history grows
_COLLECTED_AFTER: Final = (10_000, 10, 10)


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What the supervisor tells a worker on its command line."""

    name: str
    connect: str  #: the coordinator's ZeroMQ address
    runtime_dir: Path  #: holds the lock that says this worker lives
    bind_host: str
    verbosity: int
    logging_format: str
    workload_simulation: Simulation
    workload_authorization: Authorization
    keys: Path | None = None  #: folder of the keys for a coordinator on another host
    state_dir: Path | None = (
        None  #: holds the journal; None: what is in memory is lost with the process
    )
    journal_sync: str = (
        "normal"  #: what it survives: `normal` any process's death, `full` loss of power
    )


def parse_options(arguments: Sequence[str] | None = None) -> WorkerOptions:
    """Read the command line; a bad one ends the process with a message, as argparse does."""
    parser = argparse.ArgumentParser(prog="capim worker", description=__doc__.splitlines()[0])
    parser.add_argument("--name", required=True, help="stable identity, for example worker-0")
    parser.add_argument(
        "--connect", required=True, help="the coordinator's address, ipc:// or tcp://"
    )
    parser.add_argument(
        "--keys", type=Path, help="folder of the keys for tcp://: `capim keys` makes them"
    )
    parser.add_argument("--runtime-dir", required=True, type=Path, help="folder for the lock file")
    parser.add_argument("--bind-host", default="", help="address listeners bind; empty: all")
    parser.add_argument("--v", type=int, default=2, dest="verbosity", help="log verbosity")
    parser.add_argument("--logging-format", choices=("text", "json"), default="text")
    parser.add_argument(
        "--workload-simulation",
        type=Simulation,
        choices=tuple(Simulation),
        default=Simulation.STATUS,
    )
    parser.add_argument(
        "--workload-authorization",
        type=Authorization,
        choices=tuple(Authorization),
        default=Authorization.ALWAYS_ALLOW,
    )
    parser.add_argument(
        "--state-dir", type=Path, help="folder of the journal; none: nothing is kept"
    )
    parser.add_argument(
        "--journal-sync",
        choices=("normal", "full"),
        default="normal",
        help="normal: the journal survives any process's death; full: loss of power as well, slower",
    )
    options = WorkerOptions(**vars(parser.parse_args(arguments)))
    if options.connect.startswith("tcp://") and options.keys is None:
        parser.error("--connect tcp://... needs --keys: `capim keys` makes them")
    return options


#: a cluster with more than this stays where it is: it travels as one message
MOST_STATE_BYTES: Final = 64 << 20


class Link(Protocol):
    """A worker's connection to who tells it what to do."""

    def send(self, message: Message) -> None:
        """Hand a report over. Raises PeerBusyError."""

    def close(self) -> None:
        """Say and hear nothing any more."""


#: makes the connection, from what takes messages and what is told that some were lost
Connect: TypeAlias = "Callable[[Callable[[Message], None], Callable[[], None]], Link]"


class Worker:
    """One worker process."""

    def __init__(
        self,
        options: WorkerOptions,
        scope: TaskScope,
        clock: Clock = wall_clock,
        capacity: Capacity | None = None,
        connect: Connect | None = None,
    ) -> None:
        self._options = options
        self._scope = scope
        self._journal = _open_journal(options, clock)
        self._state = WorkerState(
            options.name,
            life=secrets.token_hex(8),
            pid=os.getpid(),
            clock=clock,
            steady=steady_clock,
            keeper=self._journal,
            simulation=options.workload_simulation,
        )
        self._state.on_work = self._plan_tick
        self._listeners = Listeners(
            options.bind_host,
            scope=scope,
            clock=clock,
            request_log=request_log(options.verbosity),
            authorization=options.workload_authorization,
            barrier_of=self._journal.of if self._journal else None,
            capacity=capacity,
        )
        self._listeners.metrics.registry.register(FaultMetrics(self._state))
        self._listeners.metrics.registry.register(TaskMetrics(options.name))
        if self._journal is not None:
            self._listeners.metrics.registry.register(JournalMetrics(self._journal))
        self._listeners.metrics.registry.register(
            ShardMetrics(options.name, self._state, self._listeners)
        )
        self._views = Views(self._state, self._listeners)
        self._commands: asyncio.Queue[m.Command] = asyncio.Queue()
        self._todo: asyncio.Queue[i.Instruction] = asyncio.Queue()
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        connect = connect or partial(_connect, options)
        self._socket = connect(self._on_message, self._register_again)
        self.ended = asyncio.Event()

    def start(self) -> None:
        """Introduce this worker and follow commands until `ended`."""
        self._scope.spawn(self._carry_out(), name="instructions")
        self._scope.spawn(self._follow(), name="commands")
        self._take([self._state.register()])

    async def stop(self) -> None:
        """Close every listener, the socket and the journal."""
        await self._listeners.close()
        self._socket.close()
        if self._journal is not None:
            await self._journal.close()
        if self._timer is not None:
            self._timer.cancel()

    def _on_message(self, message: Message) -> None:
        if isinstance(message, m.Ping | m.Query):  # answered while a large shard is built
            self._take(self._state.handle(message))
        elif isinstance(message, m.Command):
            self._commands.put_nowait(message)

    async def _follow(self) -> None:
        """Take commands one after another, and let others have the loop while a large one is followed."""
        while True:
            command = await self._commands.get()
            until = self._loop.time() + _SLICE_S
            for instruction in self._state.handle(command):
                if not isinstance(instruction, i.Breathe):
                    self._todo.put_nowait(instruction)
                if self._loop.time() >= until:
                    await asyncio.sleep(0)
                    until = self._loop.time() + _SLICE_S
                    if command.epoch < self._state.epoch:
                        break  # another coordinator has spoken, and will send all it wants
            self._plan_tick()

    def _tick(self) -> None:
        self._take(self._state.tick())

    def _take(self, instructions: Iterable[i.Instruction]) -> None:
        for instruction in instructions:
            self._todo.put_nowait(instruction)
        self._plan_tick()

    def _plan_tick(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(self._state.wait_s(), self._tick)

    async def _carry_out(self) -> None:
        while True:
            await self._do(await self._todo.get())

    async def _do(self, instruction: i.Instruction) -> None:
        match instruction:
            case i.Send():
                if self._journal is not None:  # what is reported must not be undone by a crash
                    await self._journal.settle()
                self._send(instruction.report)
            case i.AnswerQuery():
                body = self._views.answer(instruction.subject)
                life, name = self._state.life, self._state.name
                self._send(m.Answer(name, life, instruction.request, body))
            case i.TidyJournal() if self._journal is not None:
                await self._journal.tidy(
                    instruction.living,
                    complete=instruction.complete,
                    elsewhere=instruction.elsewhere,
                )
            case i.GiveState():
                await self._give(instruction.cluster)
            case i.LetGo() if self._journal is not None:
                await self._journal.let_go(instruction.cluster)
            case i.LetGo():
                instruction.cluster.let_go()
            case i.End():
                _log.info("worker ends", why=instruction.why)
                self.ended.set()
            case _:
                await self._listen(instruction)

    async def _give(self, cluster: WorkloadCluster) -> None:
        """Send a cluster that is closed. What its clients were told is written down in either place."""
        state = base(cluster).encode()
        refusal = ""
        if len(state) > MOST_STATE_BYTES:
            refusal = f"it takes {len(state)} bytes, {MOST_STATE_BYTES} can be moved at most"
            state = b""
        spec = cluster.spec
        given = m.Given(self._state.name, self._state.life, spec.key, spec.uid, state, refusal)
        await self._do(i.Send(given))

    async def _listen(self, instruction: i.Instruction) -> None:
        match instruction:
            case i.BindListener() if held := self._state.clusters.get(instruction.cluster):
                await self._bind(held)
            case i.OpenListener() if held := self._state.clusters.get(instruction.cluster):
                await self._listeners.open(held.cluster)
            case i.CloseListener():
                await self._listeners.refuse(instruction.cluster)
            case i.FollowFaults() if held := self._state.clusters.get(instruction.cluster):
                self._listeners.follow_faults(held.cluster)
            case i.RenewListener() if held := self._state.clusters.get(instruction.cluster):
                self._listeners.renew(held.cluster)
            case i.DropListener():
                await self._listeners.drop(instruction.cluster)
            case _:
                return  # the cluster went while the instruction waited

    async def _bind(self, held: Held) -> None:
        """Take the port, and do what follows at once: a Sync is confirmed with its listeners open."""
        problem = self._listeners.bind(held.cluster)
        if problem is None:
            follow = self._state.listener_bound(held.cluster.key)
        else:
            follow = self._state.listener_failed(held.cluster.key, problem)
        for instruction in list(follow):
            await self._do(instruction)

    def _send(self, report: m.Report) -> None:
        try:
            self._socket.send(report)
        except PeerBusyError:
            self._register_again()

    def _register_again(self) -> None:
        self._state.out_of_step()
        self._plan_tick()


def _connect(
    options: WorkerOptions, on_message: Callable[[Message], None], on_gap: Callable[[], None]
) -> WorkerSocket:
    """Go to the coordinator. Raises KeyFileError."""
    if options.keys is None:
        return WorkerSocket(options.connect, options.name, on_message, on_gap=on_gap)
    return WorkerSocket(
        options.connect,
        options.name,
        on_message,
        on_gap=on_gap,
        keys=load_pair(options.keys, options.name),
        coordinator=load_public(options.keys, COORDINATOR),
    )


def _open_journal(options: WorkerOptions, clock: Clock) -> Journal | None:
    """Open this worker's journal, if it is to have one. Raises JournalError."""
    if options.state_dir is None:
        return None
    path = options.state_dir / f"{options.name}.journal"
    return Journal(path, full_sync=options.journal_sync == "full", clock=clock)


def _hold_lock(options: WorkerOptions) -> int:
    """Hold `<name>.lock` for the life of this process and write our ID into it.

    Raises:
        SystemExit: another process is this worker already.
    """
    options.runtime_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = options.runtime_dir / f"{options.name}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit(f"capim worker: {path} is held: {options.name} runs already") from None
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


async def run(options: WorkerOptions) -> int:
    """Run one worker until the coordinator, a signal or its orphan time ends it."""
    capacity = raise_limit()
    _log.info("capacity", fits=str(capacity))
    async with TaskScope() as scope:
        worker = Worker(options, scope, capacity=capacity)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, worker.ended.set)
        worker.start()
        settle()
        ended = scope.spawn(worker.ended.wait(), name="end")
        failed = scope.spawn(scope.failed.wait(), name="failure")
        await asyncio.wait({ended, failed}, return_when=asyncio.FIRST_COMPLETED)
        await worker.stop()
        return 1 if scope.failed.is_set() else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `capim worker`."""
    options = parse_options(arguments)
    os.umask(0o077)  # whatever is made from here on, down to SQLite's own files, is ours alone
    logs.configure(
        verbosity=options.verbosity, logging_format=options.logging_format, worker=options.name
    )
    lock = _hold_lock(options)
    gc.set_threshold(*_COLLECTED_AFTER)
    try:
        return uvloop.run(run(options))
    except (KeyFileError, JournalError) as error:
        sys.stderr.write(f"capim worker: {error}\n")
        return 2
    finally:
        os.close(lock)
