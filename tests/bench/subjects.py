"""What is measured: CAPIM's workers, and the servers of the Go provider, each as processes of their own.

Servers have the first processor and the load the last, so that neither takes time from the other; what
is to use all processors is not pinned.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import ssl
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.bench.keys import Keys
from tests.e2e import build, ports
from tests.e2e.processes import Process, usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_HOST: Final = "127.0.0.1"
_START_TIMEOUT_S: Final = 600
_LOOK_S: Final = 0.005
_MIB: Final = 1 << 20
#: how the subjects are called in results; a Go provider goes by its line of Cluster API
CAPIM: Final = "capim"


def pinned(command: Sequence[str], *, last: bool = False) -> list[str]:
    """Return the command bound to the first processor, or to the last."""
    processors = sorted(os.sched_getaffinity(0))
    return ["taskset", "-c", str(processors[-1 if last else 0]), *command]


@dataclass(frozen=True, slots=True)
class Subject:
    """A running provider and where its workload clusters are."""

    name: str
    process: Process
    ports: range
    keys: Keys
    start_s: float  #: from its start to the first handshake
    ready_s: float  #: and until it served everything

    @property
    def urls(self) -> list[str]:
        """The API servers."""
        return [f"https://{_HOST}:{port}" for port in self.ports]

    @property
    def etcd_pod(self) -> str:
        """The pod of the only etcd member of the first cluster."""
        return "etcd-bench-0-cp-0"

    def pss_mib(self) -> float:
        """Return the memory of all its processes, shared pages divided up."""
        return usage(self.process.family()).pss_bytes / _MIB

    def cpu_s(self) -> float:
        """Return what all its processes have computed."""
        return usage(self.process.family()).cpu_s


@dataclass(frozen=True, slots=True)
class Shape:
    """How much CAPIM is to hold, and in how many processes."""

    clusters: int = 1
    machines: int = 1  #: a cluster
    workers: int = 1
    journal: bool = False
    pinned: bool = True


@contextlib.contextmanager
def capim(keys: Keys, folder: Path, shape: Shape | None = None) -> Iterator[Subject]:
    """Yield CAPIM when all its clusters are served; ends its processes after."""
    shape = shape or Shape()
    taken = _port_range(shape.clusters)
    # not in `folder`: a Unix socket's path has room for a hundred characters
    private = Path(tempfile.mkdtemp(prefix="capim-bench-"))
    command = [
        *(sys.executable, "-m", "tests.bench.holder", str(private)),
        *("--keys", str(keys.folder), "--port", str(taken[0])),
        *("--clusters", str(shape.clusters), "--machines", str(shape.machines)),
        *("--workers", str(shape.workers), *(["--journal"] if shape.journal else [])),
    ]
    process = _start(CAPIM, pinned(command) if shape.pinned else command, folder)
    try:
        start_s = _wait(process, lambda: _shakes_hands(taken[0]))
        ready_s = start_s + _wait(process, (private / "ready").exists)
        yield Subject(CAPIM, process, taken, keys, start_s, ready_s)
    finally:
        process.stop()
        shutil.rmtree(private, ignore_errors=True)


@contextlib.contextmanager
def go(line: str, keys: Keys, folder: Path) -> Iterator[Subject]:
    """Yield the servers of the Go provider of a line with one cluster; ends the process after."""
    program = build.ensure([f"inmemory-{line}"]) / f"inmemory-{line}"
    taken = ports.free_range(2)
    port, debug_port = taken
    command = [str(program), f"-port={port}", f"-debug-port={debug_port}", f"-keys={keys.folder}"]
    process = _start(go_name(line), pinned(command), folder)
    try:
        start_s = _wait(process, lambda: _shakes_hands(port))
        yield Subject(go_name(line), process, taken[:1], keys, start_s, ready_s=start_s)
    finally:
        process.stop()


def go_name(line: str) -> str:
    """Return how the Go provider of a line is called in results."""
    return f"go-{line}"


def _start(name: str, command: Sequence[str], folder: Path) -> Process:
    folder.mkdir(parents=True, exist_ok=True)
    return Process.start(name, command, folder=folder)


def _port_range(count: int) -> range:
    """Return free ports in a row; many are taken where the Go provider would have its own."""
    return ports.free_range(count) if count <= 1000 else range(20_000, 20_000 + count)


def _wait(process: Process, is_up: Callable[[], bool]) -> float:
    """Wait until a process that was just started is up; returns for how long."""
    began = time.monotonic()
    while not is_up():
        process.check_alive()
        if time.monotonic() - began > _START_TIMEOUT_S:
            raise RuntimeError(f"{process.name} is not up after {_START_TIMEOUT_S} s")
        time.sleep(_LOOK_S)
    return time.monotonic() - began


def _shakes_hands(port: int) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        contextlib.suppress(OSError),
        socket.create_connection((_HOST, port), timeout=2) as plain,
        context.wrap_socket(plain),
    ):
        return True
    return False
