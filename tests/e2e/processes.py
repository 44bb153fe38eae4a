"""Child processes that cannot be left behind, and what /proc says about them.

Children die with this process even when it is killed (Linux: PR_SET_PDEATHSIG), and their own
orphans come to this process (PR_SET_CHILD_SUBREAPER), so that a test that kills a parent can still
account for the children.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_PROC: Final = Path("/proc")
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_LIBC: Final = ctypes.CDLL(None)
_TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies."""
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@contextlib.contextmanager
def ending_cleanly() -> Iterator[None]:
    """Turn a request to end into the end of the test run, so that everything started is stopped."""
    adopt_orphans()

    def end(*_: object) -> None:
        pytest.exit("asked to end", returncode=1)

    before = signal.signal(signal.SIGTERM, end)
    yield
    signal.signal(signal.SIGTERM, before)


@dataclass
class Process:
    """A running child; standard output and error go to `log`."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path
    #: descendants seen at the last `family()`, so that a dead parent's orphans are still known
    _known: set[int] = field(default_factory=set)

    @classmethod
    def start(
        cls,
        name: str,
        command: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str] | None = None,
        death_signal: signal.Signals = signal.SIGKILL,
    ) -> Process:
        """Start a child, to be called from the main thread: the death signal follows the thread."""

        def follow() -> None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)

        log = folder / f"{name}.log"
        with log.open("ab") as output:
            popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                preexec_fn=follow,  # noqa: PLW1509 (one prctl call, no lock taken)
                start_new_session=True,  # an interrupt at the terminal is ours to pass on
            )
        return cls(name, popen, log)

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self.popen.pid

    def alive(self) -> bool:
        """Say whether the child still runs."""
        return self.popen.poll() is None

    def check_alive(self) -> None:
        """Raise RuntimeError, with the end of the log, if the child has ended by itself."""
        if not self.alive():
            message = f"{self.name} has ended; {self.log} ends:\n{self.tail()}"
            raise RuntimeError(message)

    def family(self) -> list[int]:
        """Return the child and its living descendants, orphans of the family included."""
        found = {self.pid, *self._known} & set(_parents())
        self._known = found | set(descendants(found))
        return sorted(self._known)

    def kill(self) -> None:
        """Kill the child alone, as a crash would, and reap it."""
        self.family()
        self.popen.kill()
        self.popen.wait()

    def stop(self, grace_s: float = 10) -> None:
        """Ask the child to end, kill it and whatever it left behind after `grace_s`."""
        self.family()
        if self.alive():
            self.popen.terminate()
            try:
                self.popen.wait(grace_s)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        for pid in self.family():
            kill(pid)
        reap(self._known)

    def tail(self, size_bytes: int = 2000) -> str:
        """Return the end of the log."""
        return self.log.read_bytes()[-size_bytes:].decode(errors="replace")


def stop_all(processes: Iterable[Process]) -> None:
    """Stop the processes, last started first."""
    for process in reversed(list(processes)):
        process.stop()


def kill(pid: int) -> None:
    """Kill a process that may be gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def reap(pids: Iterable[int]) -> None:
    """Collect those of `pids` that were adopted and have ended, so that no zombie stays."""
    for pid in pids:
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            continue


def _parents() -> dict[int, int]:
    """Return pid -> parent of every living process; zombies are not living."""
    parents = {}
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = _stat(int(entry.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
        if fields[0] != "Z":
            parents[int(entry.name)] = int(fields[1])
    return parents


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from `state` on."""
    return (_PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()


def descendants(pids: Iterable[int]) -> list[int]:
    """Return all living descendants of `pids`."""
    parents = _parents()
    found: list[int] = []
    level = set(pids)
    while level:
        level = {pid for pid, parent in parents.items() if parent in level}
        found.extend(level)
    return found


def command_line(pid: int) -> list[str]:
    """Return a process's arguments; empty when it is gone."""
    try:
        return (_PROC / str(pid) / "cmdline").read_text().split("\0")[:-1]
    except (FileNotFoundError, ProcessLookupError):
        return []


@dataclass(frozen=True, slots=True)
class Usage:
    """What processes have used together."""

    cpu_s: float
    rss_bytes: int
    pss_bytes: int  #: like RSS, but a page that n processes share counts 1/n


def usage(pids: Iterable[int]) -> Usage:
    """Sum up CPU time and memory of `pids`; those that are gone count as nothing."""
    cpu_s, rss, pss = 0.0, 0, 0
    for pid in pids:
        try:
            fields = _stat(pid)
            rollup = (_PROC / str(pid) / "smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        # utime, stime and those of reaped children: fields 14 to 17, `state` being the third
        cpu_s += sum(int(value) for value in fields[11:15]) * _TICK_S
        sizes = {line.split()[0]: int(line.split()[1]) for line in rollup.splitlines()[1:]}
        rss += sizes["Rss:"] * 1024
        pss += sizes["Pss:"] * 1024
    return Usage(cpu_s, rss, pss)


def wait_gone(pids: Iterable[int], timeout_s: float) -> list[int]:
    """Wait until `pids` have ended; returns those that have not."""
    left = set(pids)
    deadline = time.monotonic() + timeout_s
    while left and time.monotonic() < deadline:
        left &= set(_parents())
        time.sleep(0.05)
    return sorted(left)
