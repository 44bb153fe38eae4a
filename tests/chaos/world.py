"""CAPIM's processes on an embedded management API, with the means to disturb them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import random
import resource
import signal
import socket
import ssl
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aiohttp
import yaml

from capim.aio.clock import wall_clock
from capim.aio.tasks import TaskScope
from capim.api.gvk import NamespacedName
from capim.embedded import kinds
from capim.embedded.api import EmbeddedApi
from capim.embedded.fleet import FleetSpec, cluster_names, objects
from capim.embedded.standin.controller import StandIn
from tests.chaos.clients import Client, connect, kubeconfig_of
from tests.chaos.management import Gateway
from tests.chaos.schedules import Event, Fault
from tests.chaos.trouble import Trouble
from tests.e2e.ports import free_ports, free_range

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from capim.api.meta import JsonObject
    from coordinator.kube.client import KubeClient

WORKERS: Final = 2
FLEET: Final = FleetSpec(
    clusters=2, worker_machines=1, behaviour=(("vm", "300ms", "0.5"), ("node", "100ms", "0"))
)
_INSIDE: Final = Path(__file__).with_name("inside")
_RESTART_S: Final = 0.2
_ASTRAY: Final = 0.2  #: share of messages
_JUMP_S: Final = 3600.0
_LISTENING: Final = "0A"  #: as /proc/net/tcp writes the state
_SLOW_S: Final = 0.1
_BY_KIND: Final = {resource.kind: resource.gvr for resource in kinds.MANAGEMENT_RESOURCES}


class World:
    """One installation and its fleet. One loop, no lock."""

    def __init__(self, folder: Path, scope: TaskScope) -> None:
        self._folder = folder
        self._scope = scope
        self._api = EmbeddedApi(clock=wall_clock, scope=scope)
        self._coordinator: asyncio.subprocess.Process | None = None
        self._ports = free_ports(3)
        self._range = free_range(20)
        self._ending = False
        self._trouble = Trouble.make(folder / "trouble")
        self._log_end, self._log = os.pipe()  # no file: the disk may be full
        self._stolen: list[socket.socket] = []
        self.gateway: Gateway
        self.kube: KubeClient
        self.standin: StandIn
        self.clients: dict[str, Client] = {}

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, folder: Path) -> AsyncIterator[World]:
        """Yield a world whose coordinator is kept running as a kubelet would; then end all of it."""
        async with TaskScope() as outer, TaskScope() as scope:
            world = cls(folder, outer)
            await world._start(scope)
            try:
                yield world
            finally:
                await world._stop()

    async def _start(self, scope: TaskScope) -> None:
        await self._api.start()
        kubeconfig = self._api.kubeconfig()
        self.gateway = await _gateway(kubeconfig, self._folder)
        through = yaml.safe_load(kubeconfig)
        through["clusters"][0]["cluster"] = {"server": self.gateway.url}
        self._folder.joinpath("kubeconfig").write_text(yaml.safe_dump(through))
        self.kube = await connect(kubeconfig, "chaos")
        rng = random.Random(0)  # noqa: S311 - backoff
        self.standin = StandIn(self.kube, clock=wall_clock, rng=rng, scope=scope)
        scope.spawn(self.standin.start(), name="stand-in")
        asyncio.get_running_loop().add_reader(self._log_end, self._keep_log)
        scope.spawn(self._keep_running(), name="kubelet")

    async def _stop(self) -> None:
        self.gateway.go_on()
        for pid in self.worker_pids():
            _signal(pid, signal.SIGCONT)
        process = self._coordinator
        if process is not None and process.returncode is None:
            process.send_signal(signal.SIGCONT)
        await self._ready()  # one that was killed comes back, and before that none can end in order
        self._ending = True
        process = self._coordinator
        if process is not None:
            process.terminate()
            await asyncio.wait_for(process.wait(), 30)
        for client in self.clients.values():
            await client.kube.close()
        await self.kube.close()
        await self.gateway.stop()
        await self._api.stop()
        asyncio.get_running_loop().remove_reader(self._log_end)
        os.close(self._log)
        os.close(self._log_end)

    def _keep_log(self) -> None:
        with self._folder.joinpath("manager.log").open("ab") as log:
            log.write(os.read(self._log_end, 1 << 20))

    async def _ready(self) -> None:
        """Wait until the coordinator says that it is ready."""
        url = f"http://127.0.0.1:{self._ports[0]}/readyz"
        async with asyncio.timeout(30), aiohttp.ClientSession() as session:
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(url) as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(_RESTART_S)

    async def _keep_running(self) -> None:
        """Start the coordinator, and again whenever it has ended."""
        while not self._ending:
            self._coordinator = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "capim.cli.main", "manager"),
                *self._arguments(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                start_new_session=True,
                env=self._environment(),
            )
            await self._coordinator.wait()
            await asyncio.sleep(_RESTART_S)

    def _environment(self) -> dict[str, str]:
        """Let the processes begin with `inside/sitecustomize.py`."""
        paths = [str(_INSIDE), *sys.path, os.environ.get("PYTHONPATH", "")]
        trouble = {"CAPIM_CHAOS_TROUBLE": str(self._folder / "trouble")}
        return {**os.environ, **trouble, "PYTHONPATH": os.pathsep.join(filter(None, paths))}

    def _arguments(self) -> list[str]:
        health, diagnostics, debug = (f"127.0.0.1:{port}" for port in self._ports)
        return [
            f"--kubeconfig={self._folder}/kubeconfig",
            "--advertise-host=127.0.0.1",
            "--bind-host=127.0.0.1",
            f"--workers={WORKERS}",
            f"--port-range={self._range[0]}-{self._range[-1]}",
            f"--runtime-dir={self._folder}/run",
            f"--state-dir={self._folder}/state",
            "--webhook-port=0",
            f"--health-addr={health}",
            f"--diagnostics-address={diagnostics}",
            "--insecure-diagnostics",
            f"--debug-address={debug}",
            "--kube-api-qps=1000",
            "--kube-api-burst=1000",
        ]

    # --- the fleet ---

    async def create(self) -> None:
        """Ask for all clusters."""
        for name in cluster_names(FLEET):
            for body in objects(FLEET, name):
                await self.kube.create(_BY_KIND[body["kind"]], FLEET.namespace, body)

    async def scale(self, workers: int) -> None:
        """Ask for so many worker machines in each cluster."""
        for name in cluster_names(FLEET):
            patch = {"spec": {"replicas": workers}}
            await self.kube.patch(kinds.MACHINE_DEPLOYMENTS, FLEET.namespace, f"{name}-md-0", patch)

    async def delete(self) -> None:
        """Ask for the end of all clusters."""
        for name in cluster_names(FLEET):
            await self.kube.delete(kinds.CLUSTERS, FLEET.namespace, name)

    def missing(self, workers: int) -> list[str]:
        """Say what is not as it was asked for."""
        machines, wanted = (
            self.standin.objects(kinds.MACHINES).values(),
            FLEET.clusters * (1 + workers),
        )
        counts = {
            "machines": machines,
            "their records": self.standin.objects(kinds.INFRA_MACHINES).values(),
        }
        left = [
            f"{len(found)} {what} of {wanted}"
            for what, found in counts.items()
            if len(found) != wanted
        ]
        return left + [
            f"{machine['metadata']['name']} is {phase}"
            for machine in machines
            if (phase := (machine.get("status") or {}).get("phase")) != "Running"
        ]

    def left(self) -> list[str]:
        """Name what a deleted fleet has left."""
        gone = (kinds.CLUSTERS, kinds.MACHINES, kinds.INFRA_CLUSTERS, kinds.INFRA_MACHINES)
        return [
            item["metadata"]["name"] for gvr in gone for item in self.standin.objects(gvr).values()
        ]

    def endpoints(self) -> dict[str, str]:
        """Return the clusters' endpoints."""
        found = {}
        for item in self.standin.objects(kinds.INFRA_CLUSTERS).values():
            endpoint = (item.get("spec") or {}).get("controlPlaneEndpoint") or {}
            if endpoint.get("port"):
                found[item["metadata"]["name"]] = f"{endpoint['host']}:{endpoint['port']}"
        return found

    async def client(self, name: str) -> Client:
        """Return the client of a cluster that has come up."""
        if name not in self.clients:
            key = NamespacedName(FLEET.namespace, f"{name}-kubeconfig")
            secret: JsonObject = await self.kube.get(kinds.SECRETS, *key)
            self.clients[name] = Client(await connect(kubeconfig_of(secret), f"client of {name}"))
        return self.clients[name]

    # --- trouble ---

    def worker_pids(self) -> list[int]:
        """Return the workers' process ids, as their locks tell."""
        found = []
        for number in range(WORKERS):
            lock = self._folder / "run" / f"worker-{number}.lock"
            with contextlib.suppress(FileNotFoundError, ValueError):
                found.append(int(lock.read_text()))
        return found

    async def suffer(self, event: Event) -> None:
        """Let a fault happen, and end."""
        begin, end = self._fault(event)
        begin()
        try:
            await asyncio.sleep(event.for_s)
        finally:
            end()

    def _fault(self, event: Event) -> tuple[Callable[[], None], Callable[[], None]]:
        """Return what begins a fault, and what ends it."""
        workers = self.worker_pids()
        worker = workers[event.worker : event.worker + 1]
        coordinator = [self._coordinator.pid] if self._coordinator else []
        faults = {
            Fault.KILL_WORKER: (_sending(signal.SIGKILL, worker), _nothing),
            Fault.KILL_COORDINATOR: (_sending(signal.SIGKILL, coordinator), _nothing),
            Fault.KILL_ALL: (_sending(signal.SIGKILL, coordinator + workers), _nothing),
            Fault.STOP_WORKER: _pausing(worker),
            Fault.STOP_COORDINATOR: _pausing(coordinator),
            Fault.CUT_MANAGEMENT: (self.gateway.refuse, self.gateway.go_on),
            Fault.HANG_MANAGEMENT: (self.gateway.hang, self.gateway.go_on),
            Fault.SLOW_MANAGEMENT: (self._slow, self.gateway.go_on),
            Fault.FAIL_MANAGEMENT: (self.gateway.fail, self.gateway.go_on),
            Fault.EXPIRE_WATCHES: (self.gateway.expire, self.gateway.go_on),
            Fault.LOSE_MESSAGES: self._troubling(lost=_ASTRAY),
            Fault.DOUBLE_MESSAGES: self._troubling(doubled=_ASTRAY),
            Fault.DELAY_MESSAGES: self._troubling(late=_ASTRAY),
            Fault.FILL_DISK: _filling_disk(worker),
            Fault.SET_CLOCK_FORWARD: self._troubling(clock_s=_JUMP_S),
            Fault.SET_CLOCK_BACK: self._troubling(clock_s=-_JUMP_S),
            Fault.STEAL_PORTS: (self._steal_ports, self._give_ports_back),
        }
        return faults[event.fault]

    def _slow(self) -> None:
        self.gateway.delay_s = _SLOW_S

    def _troubling(self, **what: float) -> tuple[Callable[[], None], Callable[[], None]]:
        nothing = dict.fromkeys(what, 0.0)
        return lambda: self._trouble.set(**what), lambda: self._trouble.set(**nothing)

    def _steal_ports(self) -> None:
        """Take every port of the range that no worker holds now."""
        for port in self._range:
            thief = socket.socket()
            try:
                thief.bind(("127.0.0.1", port))
            except OSError:
                thief.close()
            else:
                self._stolen.append(thief)

    def _give_ports_back(self) -> None:
        while self._stolen:
            self._stolen.pop().close()

    def listening(self) -> list[int]:
        """Return the ports of the range that somebody listens on."""
        lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
        rows = [line.split() for line in lines]
        ports = {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == _LISTENING}
        return sorted(ports & set(self._range))


def _filling_disk(pids: list[int]) -> tuple[Callable[[], None], Callable[[], None]]:
    """Let processes write no file any more: the journal fails, the log is a pipe."""

    def limit(size: int) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    return lambda: limit(0), lambda: limit(resource.RLIM_INFINITY)


async def _gateway(kubeconfig: bytes, folder: Path) -> Gateway:
    """Start what stands before the management API."""
    config = yaml.safe_load(kubeconfig)
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    tls = ssl.create_default_context(
        cadata=base64.b64decode(cluster["certificate-authority-data"]).decode()
    )
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        for part in ("client-certificate-data", "client-key-data"):
            file.write(base64.b64decode(user[part]))
        file.flush()
        tls.load_cert_chain(file.name)
    gateway = Gateway(cluster["server"], tls, random.Random(0))  # noqa: S311 - a test
    await gateway.start()
    return gateway


def _sending(number: signal.Signals, pids: list[int]) -> Callable[[], None]:
    def send() -> None:
        for pid in pids:
            _signal(pid, number)

    return send


def _pausing(pids: list[int]) -> tuple[Callable[[], None], Callable[[], None]]:
    return _sending(signal.SIGSTOP, pids), _sending(signal.SIGCONT, pids)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
        os.kill(pid, number)


def _nothing() -> None:
    """Nothing ends: whoever was killed is started again by whoever watches over it."""
