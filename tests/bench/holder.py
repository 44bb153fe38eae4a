"""Workload clusters in real workers, without a management cluster: `python -m tests.bench.holder`.

The coordinator's side of the workers is told what to hold as the controllers would tell it. Cluster
`bench-N` listens on the N-th port; its machines are `bench-N-cp-0` and `bench-N-w-M`, and they take no
time to start. `FOLDER/ready` is there when all of them run; the process serves until it is asked to end.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from capim.aio.clock import steady_clock
from capim.aio.descriptors import raise_limit
from capim.aio.tasks import TaskScope
from capim.api.gvk import NamespacedName
from capim.api.workload import ClusterSpec, ListenerState, MachineSpec, Phase, Simulation
from coordinator.fleet import Fleet
from tests.bench.keys import Keys
from tests.support.fleetoptions import Options

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOST = "127.0.0.1"
_VERSION = "v1.35.0"


class Holder:
    """Desires clusters of one control plane machine and some others, and waits for them."""

    def __init__(self, options: argparse.Namespace, scope: TaskScope) -> None:
        self._options = options
        # as the manager has it by default
        settings = Options(
            str(options.folder / "run"),
            options.workers,
            verbosity=2,
            workload_simulation=Simulation.STATUS,
            state_dir=str(options.folder / "state") if options.journal else "",
        )
        self.fleet = Fleet(settings, steady_clock, scope)
        self._changed = asyncio.Event()
        self.fleet.on_change = self._on_change
        self._missing: set[tuple[NamespacedName, str | None]] = set()

    def _on_change(self, cluster: NamespacedName, machine: str | None) -> None:
        if (cluster, machine) in self._missing and self._is_up(cluster, machine):
            self._missing.discard((cluster, machine))
            self._changed.set()

    def _is_up(self, cluster: NamespacedName, machine: str | None) -> bool:
        if machine is None:
            listener = self.fleet.listener(cluster)
            return listener is not None and listener.state is ListenerState.OPEN
        progress = self.fleet.machine(cluster, machine)
        last = Phase.API_SERVER if machine.endswith("-cp-0") else Phase.NODE
        return progress is not None and last in progress.done

    async def start(self) -> None:
        """Run the workers and wait until they hold and serve everything."""
        await self.fleet.start(installation="bench", reign=None)
        for number, spec in enumerate(self._clusters()):
            self.fleet.set_cluster(f"worker-{number % self._options.workers}", spec)
            self._missing.add((spec.key, None))
            for machine in self._machines(spec):
                self.fleet.set_machine(machine)
                self._missing.add((spec.key, machine.name))
        self.fleet.begin()
        while self._missing:
            self._changed.clear()
            await self._changed.wait()

    def _clusters(self) -> Iterator[ClusterSpec]:
        keys = Keys(self._options.keys)
        ca, etcd_ca = keys.pair("ca"), keys.pair("etcd-ca")
        for number in range(self._options.clusters):
            key = NamespacedName("default", f"bench-{number}")
            port = self._options.port + number
            yield ClusterSpec(
                key, f"uid-{key.name}", _HOST, port, f"{_HOST}:{port}", ca=ca, etcd_ca=etcd_ca
            )

    def _machines(self, cluster: ClusterSpec) -> Iterator[MachineSpec]:
        for number in range(self._options.machines):
            name = f"{cluster.key.name}-w-{number}" if number else f"{cluster.key.name}-cp-0"
            yield MachineSpec(
                cluster.key, name, f"uid-{name}", number == 0, _VERSION, f"in-memory://{name}"
            )


async def serve(options: argparse.Namespace) -> None:
    """Hold the clusters until the process is asked to end."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with TaskScope() as scope:
        holder = Holder(options, scope)
        try:
            await holder.start()
            (options.folder / "ready").touch()
            await stop.wait()
        finally:
            await holder.fleet.stop()


def main() -> None:
    """Serve from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="for what it writes; short, sockets are there")
    parser.add_argument("--keys", type=Path, required=True, help="see tests/bench/keys.py")
    parser.add_argument("--port", type=int, required=True, help="of the first cluster")
    parser.add_argument("--clusters", type=int, default=1)
    parser.add_argument("--machines", type=int, default=1, help="a cluster")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--journal", action="store_true", help="keep what is held in files")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    raise_limit()
    uvloop.run(serve(options))


if __name__ == "__main__":
    main()
