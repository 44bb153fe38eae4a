"""Keeps the local worker processes running: adopts those that outlived a coordinator, starts the rest.

A worker holds a lock on `<runtime-dir>/<name>.lock`, with its process ID inside. A locked file at start
means a worker of the coordinator before us still serves: it is left to register; one that is not wanted
any more is killed before others take its clusters over. Restarts back off, and a worker that hangs is
killed and reaped before its replacement starts.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection
    from pathlib import Path

    from capim.aio.clock import Clock
    from capim.aio.tasks import TaskScope

_log = structlog.get_logger(__name__)

_FIRST_BACKOFF_S: Final = 1.0
_LONGEST_BACKOFF_S: Final = 60.0
_STEADY_AFTER_S: Final = 300.0

#: How long a worker may take to close its listeners on SIGTERM before it is killed.
_STOP_GRACE_S: Final = 5.0


@dataclass(slots=True)
class Backoff:
    """How long to wait before the next start: 1 s doubling to 60 s, from the start after 5 minutes up."""

    delay_s: float = 0.0

    def after(self, ran_s: float) -> float:
        """Return the wait after a process that ran so long."""
        if ran_s >= _STEADY_AFTER_S or self.delay_s == 0.0:
            self.delay_s = _FIRST_BACKOFF_S
        else:
            self.delay_s = min(self.delay_s * 2, _LONGEST_BACKOFF_S)
        return self.delay_s


def lock_holder(lock: Path) -> int | None:
    """Return the process that holds a worker's lock, or None when nobody does."""
    try:
        with lock.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return int(lock.read_text() or 0) or None
    return None


async def run_again(
    run: Callable[[], Awaitable[bool]], pause: Callable[[float], Awaitable[None]], clock: Clock
) -> None:
    """Run something again and again, with a pause after each end that `Backoff` tells.

    Ends when `run` returns false.
    """
    backoff = Backoff()
    started = clock()
    while await run():
        await pause(backoff.after(clock() - started))
        started = clock()


class Supervisor:
    """Starts, adopts, replaces and stops the worker processes of one host. One loop, no lock."""

    def __init__(
        self,
        names: list[str],
        *,
        runtime_dir: Path,
        address: str,
        worker_args: list[str],
        clock: Clock,
        on_exit: Callable[[str], None],
        others: Collection[str] = (),
    ) -> None:
        """Keep the workers `names`; `others` are of this installation too, and not ours to end."""
        self._names = names
        self._known = {*names, *others, "coordinator"}
        self._runtime_dir = runtime_dir
        self._address = address
        self._worker_args = worker_args
        self._clock = clock
        self._on_exit = on_exit
        self._pids: dict[str, int] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()

    def pids(self) -> dict[str, int]:
        """Return the running workers and their process IDs."""
        return dict(self._pids)

    def start(self, scope: TaskScope) -> None:
        """Run every worker, now and after each of its ends."""
        clearing = scope.spawn(self._end_unwanted(), name="end workers that are not wanted")
        for name in self._names:
            task = scope.spawn(self._keep_running(name, clearing), name=f"supervise {name}")
            self._tasks.append(task)

    async def _end_unwanted(self) -> None:
        for lock in self._runtime_dir.glob("*.lock"):
            if lock.stem not in self._known and (pid := lock_holder(lock)) is not None:
                _log.warning("worker is not wanted any more", worker=lock.stem, pid=pid)
                _signal(pid, signal.SIGKILL)
                await _ended(pid)

    async def _keep_running(self, name: str, clearing: asyncio.Task[None]) -> None:
        await asyncio.wait({clearing})

        async def run() -> bool:
            code = await self._run(name)
            self._pids.pop(name, None)
            if self._stopping.is_set():
                return False
            _log.warning("worker ended", worker=name, exit_code=code)
            self._on_exit(name)
            return True

        await run_again(run, self._pause, self._clock)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _run(self, name: str) -> int | None:
        """Run a worker to its end; return its exit code, None for one that was no child of ours."""
        if self._stopping.is_set():
            return None
        pid = lock_holder(self._runtime_dir / f"{name}.lock")
        if pid is None:
            return await self._run_child(name)
        _log.info("worker adopted", worker=name, pid=pid)
        self._pids[name] = pid
        await _ended(pid)
        return None

    async def _run_child(self, name: str) -> int:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "workers", "--name", name, "--connect", self._address),
            *("--runtime-dir", str(self._runtime_dir), *self._worker_args),
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # a worker outlives a coordinator that is killed
        )
        _log.info("worker started", worker=name, pid=process.pid)
        self._pids[name] = process.pid
        if self._stopping.is_set():  # while it was being started
            _signal(process.pid, signal.SIGTERM)
        return await process.wait()

    def kill(self, name: str) -> None:
        """Kill a worker that hangs; it is started again once it is reaped."""
        if pid := self._pids.get(name):
            _signal(pid, signal.SIGKILL)

    async def stop(self) -> None:
        """End all workers and reap them: SIGTERM, then SIGKILL for those that do not go in time."""
        self._stopping.set()
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self._pids.values():
                _signal(pid, number)
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=_STOP_GRACE_S)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        _log.debug("process had ended", pid=pid)


async def _ended(pid: int) -> None:
    """Wait until a process has ended, child or not, without polling."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
