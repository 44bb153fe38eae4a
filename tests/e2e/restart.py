"""Measure a restart from the journals: all workers are killed, and serve again what they held.

Run by hand: `python -m tests.e2e.restart --clusters 500 --workers 2`. There is no management cluster; the
fleet is told what to hold as the controllers would tell it. Printed are seconds from the kill to the
moment when every listener is open again, and how many watches went on from the version before.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import ssl
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aiohttp
import orjson
from cryptography.hazmat.primitives.asymmetric import rsa

from capim.aio.clock import steady_clock, wall_clock
from capim.aio.tasks import TaskScope
from capim.api.gvk import NamespacedName
from capim.api.workload import ClusterSpec, KeyPair, ListenerState, MachineSpec, Phase
from capim.certs.issue import self_signed_ca
from coordinator.fleet import Fleet
from coordinator.supervisor import lock_holder
from tests.support.fleetoptions import Options
from tests.support.served import load_client

if TYPE_CHECKING:
    from collections.abc import Iterable

FIRST_PORT: Final = 21000
#: Cluster API makes RSA keys, which take long to make: some clusters share one here
KEYS: Final = 8
CLIENTS: Final = 50


class Held:
    """A fleet with many clusters of one control plane machine and three workers each."""

    def __init__(self, options: Options, scope: TaskScope, clusters: int) -> None:
        self.options = options
        self.fleet = Fleet(options, steady_clock, scope)
        keys = [rsa.generate_private_key(65537, 2048) for _ in range(KEYS)]
        self.authorities = [self_signed_ca("kubernetes", wall_clock(), key) for key in keys]
        self.specs = [self._spec(number) for number in range(clusters)]
        self._changed = asyncio.Event()
        self.fleet.on_change = lambda cluster, machine: self._changed.set()
        self.fleet.on_synced = self._changed.set

    def _spec(self, number: int) -> ClusterSpec:
        ca, port = self.authorities[number % KEYS], FIRST_PORT + number
        key = NamespacedName("default", f"c{number}")
        return ClusterSpec(
            key, f"uid-{number}", "127.0.0.1", port, f"127.0.0.1:{port}", ca=ca, etcd_ca=ca
        )

    async def start(self) -> None:
        """Run the workers and fill them."""
        await self.fleet.start(installation="restart", reign=None)
        for number, spec in enumerate(self.specs):
            self.fleet.set_cluster(f"worker-{number % self.options.workers}", spec)
            for name in ("cp-0", "w-0", "w-1", "w-2"):
                self.fleet.set_machine(machine(spec, name))
        self.fleet.begin()
        await self.until_up()

    async def until_up(self) -> None:
        """Wait until every worker has confirmed its shard and every listener is open."""
        while not self._is_up():
            self._changed.clear()
            await self._changed.wait()

    def _is_up(self) -> bool:
        return all(worker.ready for worker in self.fleet.workers()) and all(
            self._serves(spec) for spec in self.specs
        )

    def _serves(self, spec: ClusterSpec) -> bool:
        listener = self.fleet.listener(spec.key)
        progress = self.fleet.machine(spec.key, f"{spec.key.name}-cp-0")
        return (
            listener is not None
            and listener.state is ListenerState.OPEN
            and progress is not None
            and Phase.API_SERVER in progress.done
        )

    async def kill(self) -> None:
        """Kill every worker, and wait until the fleet knows."""
        for name in range(self.options.workers):
            pid = lock_holder(Path(self.options.runtime_dir, f"worker-{name}.lock"))
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        while any(worker.ready for worker in self.fleet.workers()):  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0.01)

    def cpu_s(self) -> float:
        """Return how long all workers that live now have computed."""
        ticks = 0
        for name in range(self.options.workers):
            pid = lock_holder(Path(self.options.runtime_dir, f"worker-{name}.lock"))
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


def machine(cluster: ClusterSpec, name: str) -> MachineSpec:
    """Describe a machine that takes no time to start."""
    full = f"{cluster.key.name}-{name}"
    uid, provider_id = f"uid-{full}", f"in-memory://{full}"
    return MachineSpec(cluster.key, full, uid, name.startswith("cp"), "v1.35.0", provider_id)


class Clients:
    """A client for each cluster."""

    def __init__(self, held: Held) -> None:
        self._contexts = [client_context(ca) for ca in held.authorities]
        self._specs = held.specs

    async def each(self, query: str, versions: Iterable[str]) -> list[bytes]:
        """Ask every cluster for its nodes, some at a time."""
        gate = asyncio.Semaphore(CLIENTS)
        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def ask(number: int, version: str) -> bytes:
                port, context = self._specs[number].port, self._contexts[number % KEYS]
                url = f"https://127.0.0.1:{port}/api/v1/nodes?{query}{version}"
                async with gate, session.get(url, ssl=context) as answer:
                    return bytes(await answer.read())

            jobs = (ask(number, version) for number, version in enumerate(versions))
            return await asyncio.gather(*jobs)


def client_context(ca: KeyPair) -> ssl.SSLContext:
    """Make the context of a client that a cluster's authority has signed for."""
    context = ssl.create_default_context(cadata=ca.certificate.decode())
    load_client(context, ca, "kubernetes-admin")
    return context


async def measure(options: Options, clusters: int, runs: int) -> None:
    """Fill a fleet, then kill its workers some times and print what became of it."""
    async with TaskScope() as scope:
        held = Held(options, scope, clusters)
        begun = time.monotonic()
        try:
            await held.start()
            tell("filled", seconds=time.monotonic() - begun, megabytes=size(options))
            clients = Clients(held)
            for _ in range(runs):
                await measure_once(held, clients)
        finally:
            await held.fleet.stop()


async def measure_once(held: Held, clients: Clients) -> None:
    """Kill, wait, and go on watching from the versions before."""
    lists = await clients.each("", [""] * len(held.specs))
    before = [orjson.loads(body) for body in lists]
    versions = [body["metadata"]["resourceVersion"] for body in before]
    begun = time.monotonic()
    await held.kill()
    await held.until_up()
    up_s, cpu_s = time.monotonic() - begun, held.cpu_s()
    watches = await clients.each("watch=1&timeoutSeconds=1&resourceVersion=", versions)
    resumed = sum(b'"code":410' not in body for body in watches)
    after = [orjson.loads(body) for body in await clients.each("", [""] * len(held.specs))]
    same = sum(one["items"] == other["items"] for one, other in zip(before, after, strict=True))
    tell("restarted", seconds=up_s, cpu_seconds=cpu_s, watches_resumed=resumed, same_nodes=same)


def size(options: Options) -> float:
    """Return how large the journals are, in megabytes."""
    return sum(file.stat().st_size for file in Path(options.state_dir).iterdir()) / 1e6


def tell(what: str, **figures: float) -> None:
    """Print a row."""
    print(what, *(f"{name}={value:.4g}" for name, value in figures.items()), flush=True)  # noqa: T201


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clusters", type=int, default=500)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--journal-sync", choices=("normal", "full"), default="normal")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="capim-restart-") as folder:
        options = Options(
            folder,
            arguments.workers,
            workload_simulation="status",
            state_dir=f"{folder}/state",
            journal_sync=arguments.journal_sync,
        )
        asyncio.run(measure(options, arguments.clusters, arguments.runs))


if __name__ == "__main__":
    main()
