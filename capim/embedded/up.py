"""`capim up`: an embedded management API, a coordinator with its workers, and the stand-in, in one go.

The coordinator runs as its own process with a kubeconfig, exactly as against a real management cluster.
Everything lives in one temporary folder, and ends with the command.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import socket
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvloop
from rich.console import Console
from rich.live import Live

from capim.aio import logs
from capim.aio.clock import steady_clock, wall_clock
from capim.aio.descriptors import raise_limit
from capim.aio.tasks import TaskScope
from capim.api.workload import Simulation
from capim.embedded import kinds, progress
from capim.embedded.api import EmbeddedApi
from capim.embedded.fleet import FleetSpec, cluster_names, objects
from capim.embedded.standin.controller import StandIn
from capim.embedded.view import came_up, how_to_look, render
from coordinator.kube import config
from coordinator.kube.client import KubeClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_CREATE_CONCURRENCY: Final = 20
_STOP_GRACE_S: Final = 15.0
_REDRAWS_PER_S: Final = 4
_OURS: Final = (kinds.INFRA_CLUSTERS, kinds.INFRA_MACHINES)

#: The embedded API is ours alone: no client there needs to be slowed down.
_QPS: Final = 100_000.0


@dataclass(frozen=True, slots=True)
class UpOptions:
    """The options of `capim up`."""

    fleet: FleetSpec
    workers: int
    until_ready: bool
    verbosity: int
    port_range: str
    workload_simulation: Simulation = Simulation.PODS


class UpError(Exception):
    """`capim up` cannot go on; the message says why and what to do."""


def run(options: UpOptions) -> int:
    """Run until Ctrl-C, or until ready when asked for; return the exit code."""
    console = Console()
    # The coordinator's log is where it can be asked for; the terminal is the live view's.
    logs.configure(verbosity=0)
    capacity = raise_limit()
    if options.fleet.clusters > capacity.clusters * options.workers:
        advice = "raise the limit (ulimit -Hn), or add --workers"
        console.print(f"capim up: {capacity} a worker: {advice}", highlight=False)
    try:
        return uvloop.run(_up(options, console))
    except UpError as error:
        Console(stderr=True).print(f"capim up: {error}", highlight=False)
        return 1


async def _up(options: UpOptions, console: Console) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="capim-")))
        scope = await stack.enter_async_context(TaskScope())
        api = EmbeddedApi(clock=wall_clock, scope=scope)
        await api.start()
        stack.push_async_callback(api.stop)
        kubeconfig, log = folder / "kubeconfig", folder / "manager.log"
        debug_address = f"127.0.0.1:{_free_port()}"
        kubeconfig.touch(mode=0o600)
        local = {"debugAddress": debug_address, "log": str(log)}
        kubeconfig.write_bytes(api.kubeconfig({config.EXTENSION: local}))
        await stack.enter_async_context(_coordinator(options, folder, log, debug_address, stop))
        client = await stack.enter_async_context(_client(kubeconfig))
        # Its own scope, so that its requests end before the client, the coordinator and the API do.
        standin_scope = await stack.enter_async_context(TaskScope())
        rng = random.Random(0)  # noqa: S311 - backoff, not secrets
        standin = StandIn(client, clock=wall_clock, rng=rng, scope=standin_scope)
        standin_scope.spawn(_create(client, options.fleet), name="create the fleet")
        standin_scope.spawn(standin.start(), name="start the stand-in")
        return await _show(options, standin, standin_scope, stop, console, kubeconfig)


@contextlib.asynccontextmanager
async def _client(kubeconfig: Path) -> AsyncIterator[KubeClient]:
    access = await config.load(str(kubeconfig))
    client = KubeClient(
        access.configuration,
        user_agent="capim-stand-in",
        qps=_QPS,
        burst=int(_QPS),
        clock=steady_clock,
        rng=random.Random(0),  # noqa: S311 - backoff, not secrets
    )
    config.remove_key_files()
    try:
        yield client
    finally:
        await client.close()


@contextlib.asynccontextmanager
async def _coordinator(
    options: UpOptions, folder: Path, log: Path, debug_address: str, stop: asyncio.Event
) -> AsyncIterator[None]:
    """Run `capim manager` against the embedded API; its end before ours stops the command."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "capim.cli.main", "manager"),
            *("--kubeconfig", str(folder / "kubeconfig"), "--advertise-host", "127.0.0.1"),
            *("--bind-host", "127.0.0.1", "--workers", str(options.workers)),
            *("--port-range", options.port_range, "--runtime-dir", str(folder / "run")),
            *("--webhook-port", "0", "--health-addr", f"127.0.0.1:{_free_port()}"),
            *("--diagnostics-address", f"127.0.0.1:{_free_port()}", "--insecure-diagnostics"),
            *("--debug-address", debug_address),
            *("--kube-api-qps", str(_QPS), "--kube-api-burst", str(int(_QPS))),
            *("--v", str(options.verbosity)),
            *("--workload-simulation", options.workload_simulation),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is ours to hand on, in order
        )
    async with TaskScope() as scope:
        scope.spawn(_stop_with(process, stop), name="coordinator")
        try:
            yield
        finally:
            crashed = process.returncode is not None
            await _end(process)
            if crashed:
                raise UpError(f"the coordinator ended with {process.returncode}:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])


async def _stop_with(process: asyncio.subprocess.Process, stop: asyncio.Event) -> None:
    await process.wait()
    stop.set()


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP_GRACE_S)
    except TimeoutError:
        process.kill()
        await process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _create(client: KubeClient, fleet: FleetSpec) -> None:
    slots = asyncio.Semaphore(_CREATE_CONCURRENCY)
    by_kind = {resource.kind: resource.gvr for resource in kinds.MANAGEMENT_RESOURCES}

    async def create(name: str) -> None:
        async with slots:
            for body in objects(fleet, name):
                await client.create(by_kind[body["kind"]], fleet.namespace, body)

    async with asyncio.TaskGroup() as group:
        for name in cluster_names(fleet):
            group.create_task(create(name))


async def _show(
    options: UpOptions,
    standin: StandIn,
    scope: TaskScope,
    stop: asyncio.Event,
    console: Console,
    kubeconfig: Path,
) -> int:
    """Draw the fleet until it is ready, print the summary, then wait for Ctrl-C unless told not to.

    Returns:
        The exit code: 1 when it should have become ready and was stopped before, else 0.
    """
    started, rate = steady_clock(), progress.Rate()
    clusters = progress.Tally(progress.told_of_cluster)
    machines = progress.Tally(progress.told_of_machine)
    complaints = [(kind, progress.Tally(progress.complaints)) for kind in _OURS]
    said: set[str] = set()

    def look() -> progress.Progress:
        clusters.look(standin.objects(kinds.CLUSTERS))
        machines.look(standin.objects(kinds.MACHINES))
        now = progress.count(options.fleet, clusters.counts, machines.counts)
        rate.add(steady_clock(), now.running)
        return now

    failed = scope.spawn(scope.wait_failed(), name="failure")
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while not (stop.is_set() or failed.done() or progress.is_ready(now := look())):
            elapsed_s = steady_clock() - started
            live.update(render(now, rate.per_second(), rate.left_s(now), elapsed_s), refresh=True)
            fresh = [one for kind, tally in complaints for one in tally.look(standin.objects(kind))]
            _complain(fresh, said, live.console)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 1 / _REDRAWS_PER_S)
    if failed.done():
        await failed
    if stop.is_set():
        return 1 if options.until_ready else 0
    elapsed_s = steady_clock() - started
    console.print(came_up(look(), elapsed_s), highlight=False)
    if not options.until_ready:
        first = cluster_names(options.fleet)[0]
        hints = how_to_look(options.fleet, first, kubeconfig)
        console.print(hints, highlight=False, soft_wrap=True)
        await stop.wait()
    return 0


def _complain(complaints: list[str], said: set[str], console: Console) -> None:
    """Print what asks for a person, each complaint once, above the live view."""
    for complaint in sorted(complaints):
        if complaint not in said:
            said.add(complaint)
            console.print(complaint, highlight=False, markup=False, soft_wrap=True)
